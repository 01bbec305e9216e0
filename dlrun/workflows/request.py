"""Which experiment a workflow is asked for, and where its run is to be kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from dlrun.runs.unkept import Unkept

if TYPE_CHECKING:
    import pandas as pd

    from dlrun.config import LoadedExperiment
    from dlrun.config.schema import Experiment
    from dlrun.runs.folder import RunFolder


class Numbered(Enum):
    """In place of a folder: the next free one, runs/NAME/COMMAND-001, -002, …, as the command line takes it."""

    NEXT = "next"


Out = str | Path | Numbered | None  # None: nothing is written
Data: TypeAlias = "str | Path | pd.DataFrame | None"
Overrides = Mapping[str, Any] | Sequence[str] | None


@dataclass(frozen=True, eq=False)
class Request:
    """The experiment as its user names it."""

    experiment: str | Path | None
    overrides: Sequence[str] = ()
    seed: int | None = None
    data: str | None = None
    target: str | None = None
    frame: pd.DataFrame | None = None  # rows in memory, in place of `data`
    trusted: bool = True  # whether the user named it, so that Python functions that it names may be run

    @classmethod
    def of(
        cls,
        experiment: str | Path | None,
        *,
        data: Data = None,
        target: str | None = None,
        set: Overrides = None,
        seed: int | None = None,
    ) -> Request:
        """From what a workflow is given: `set` as {key: value}, or as the texts KEY=VALUE of the command line."""
        overrides = texts_of(set)
        if data is None or isinstance(data, str | Path):
            return cls(experiment, tuple(overrides), seed, None if data is None else str(data), target)
        return cls(experiment, tuple(overrides), seed, None, target, frame=data)

    @property
    def bare(self) -> bool:
        """Whether it names none."""
        named = (self.experiment, self.seed, self.data, self.target, self.frame)
        return all(each is None for each in named) and not self.overrides

    def words_beside_resume(self, experiment: Experiment) -> list[str]:
        """What must be named again to go on with a run: nothing, unless the experiment names Python code."""
        from dlrun.code_names import names_in

        if next(names_in(experiment.document()), None) is None:
            return []
        words = [str(self.experiment)] if self.experiment is not None else []
        words += [
            word
            for name, value in (("--data", self.data), ("--target", self.target))
            if value
            for word in (name, value)
        ]
        words += [word for each in self.overrides for word in ("--set", each)]
        return words + ([] if self.seed is None else ["--seed", str(self.seed)])

    def load(self) -> LoadedExperiment:
        """The resolved experiment."""
        from dlrun.config import load_experiment

        return load_experiment(
            self.experiment,
            overrides=self.overrides,
            seed=self.seed,
            data=self.data,
            target=self.target,
            trusted=self.trusted,
        )


@contextmanager
def claimed(
    out: Out, *, name: str, command: str, overwrite: bool = False, resume: bool = False
) -> Iterator[RunFolder | Unkept]:
    """The run's folder for the block; what is not to be kept stays in memory."""
    from dlrun.runs.folder import claim_run_folder

    if out is None:
        yield Unkept()
        return
    place = None if isinstance(out, Numbered) else Path(out)
    with claim_run_folder(out=place, name=name, command=command, overwrite=overwrite, resume=resume) as folder:
        yield folder


def texts_of(overrides: Overrides) -> list[str]:
    """Overrides as the command line has them, KEY=VALUE."""
    if isinstance(overrides, Mapping):
        return [f"{key}={_toml(value)}" for key, value in overrides.items()]
    return list(overrides or ())


def _toml(value: Any) -> str:
    """A Python value as the command line has it; None takes the key out."""
    from dlrun.config.keys import value_text
    from dlrun.config.section import thawed

    if value is None:
        return ""
    return value_text(thawed(value.item() if hasattr(value, "item") else value))
