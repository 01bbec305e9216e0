"""Which experiment is meant, and all that goes into it: file, defaults, overrides, options."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlrun.code_names import granted
from dlrun.config.document import anchor_paths
from dlrun.config.overrides import Override, apply_override, parse_override
from dlrun.config.toml_text import read_toml
from dlrun.errors import ConfigError
from dlrun.packaged import GALLERY, gallery_experiments, packaged_dir, packaged_experiments

if TYPE_CHECKING:
    from dlrun.config.problems import Problem
    from dlrun.config.schema import Experiment

DEFAULT_FILE = "dlrun.toml"
DEFAULT_EXPERIMENT = "digits"
_PACKED = re.compile(r"(\.[ct]sv)?\.(gz|bz2|zip)$", re.IGNORECASE)
_TABLE_ENDINGS = (".csv", ".tsv", ".parquet", ".npz", ".npy", ".gz", ".bz2", ".zip")


@dataclass(frozen=True, kw_only=True)
class LoadedExperiment:
    """An experiment, the folder that its relative paths were read from, and where it came from.

    Paths in `experiment` are absolute already, so that `to_toml(experiment)` means the same anywhere.
    """

    experiment: Experiment
    folder: Path
    origin: str


def load_experiment(
    experiment: str | Path | None = None,
    *,
    overrides: Sequence[str] = (),
    seed: int | None = None,
    data: str | None = None,
    target: str | None = None,
    trusted: bool = False,
) -> LoadedExperiment:
    """The experiment that the command line means, resolved and checked.

    `experiment` is a TOML file or the name of one under `experiments/` (in the current folder, else
    packaged); None is `dlrun.toml` in the current folder, else the packaged `digits`. `data` with `target`
    in its place runs defaults on that table. `overrides` are `KEY=VALUE`, later ones win; `seed` wins
    over all.
    Paths in a file are relative to the file, paths in overrides and in `data` to the current folder.
    Python functions that it names may be run where it is `trusted`: where the user named it, not a run's folder.
    Raises ConfigError.
    """
    document, folder, origin = _document(experiment, data, target)
    changes = [parse_override(text) for text in overrides]
    for change in changes:
        apply_override(document, change, Path.cwd())
    if seed is not None:
        changes.append(Override(("seed",), seed, f"--seed {seed}"))
        document["seed"] = seed

    if trusted:
        document = granted(document)

    from dlrun.config.checking import fits, validate
    from dlrun.config.keys import key_text, value_text

    def blame(problem: Problem) -> str | None:
        for change in reversed(changes):
            if change.touches(problem.path):
                if problem.path != change.path:
                    return f"{change.shown}: {problem}"
                # The override shows key and value itself.
                listed = change.as_list()
                fitting = listed is not None and fits(document, change.path, listed)
                hint = f", as in --set '{key_text(change.path)}={value_text(listed)}'" if fitting else ""
                return f"{change.shown}: {problem.text}{hint}"
        return None

    return LoadedExperiment(experiment=validate(document, where=origin, blame=blame), folder=folder, origin=origin)


def _document(experiment: str | Path | None, data: str | None, target: str | None) -> tuple[dict[str, Any], Path, str]:
    """The tables before overrides, their paths absolute; the folder; the origin."""
    if data is not None and experiment is not None:
        raise ConfigError(
            f"{experiment}: --data stands in place of an experiment; "
            "should be one of the two (--set data.source=FILE puts another table into an experiment)"
        )
    if target is not None and data is None:
        raise ConfigError(
            f"--target {target}: goes with --data FILE; in an experiment, --set data.target={target} sets it"
        )
    if data is not None:
        folder, origin, document = Path.cwd(), f"--data {data}", _defaults_for_table(data, target)
    else:
        file, origin = _experiment_file(experiment)
        document = read_toml(file, shown=origin)
        document.setdefault("name", safe_name(file.stem))
        if isinstance(document.get("tune"), dict) and "space" in document["tune"]:
            from dlrun.config.tune_section import quoted_space

            document["tune"]["space"] = quoted_space(document["tune"]["space"])
        folder = file.absolute().parent
    anchor_paths(document, folder)
    return document, folder, origin


def _experiment_file(experiment: str | Path | None) -> tuple[Path, str]:
    """The file that is meant, and how messages name it."""
    if experiment is None:
        own = Path(DEFAULT_FILE)
        if own.is_file():
            return own, DEFAULT_FILE
        return packaged_dir("experiments") / f"{DEFAULT_EXPERIMENT}.toml", DEFAULT_EXPERIMENT
    file, shown = Path(experiment), str(experiment)
    if file.suffix.lower() in _TABLE_ENDINGS:
        raise ConfigError(f"{shown}: is a table, not an experiment file; should be --data {shown} --target COLUMN")
    if isinstance(experiment, Path) or "/" in shown or file.suffix == ".toml":
        return file, shown
    with suppress(OSError, ValueError):  # no file can have this name, and so none has it
        for top in (Path("experiments"), packaged_dir("experiments")):
            for folder in (top, top / GALLERY):
                if (folder / f"{shown}.toml").is_file():
                    return folder / f"{shown}.toml", shown
        if file.exists():
            return file, shown
    raise ConfigError(_no_such_experiment(shown))


def _no_such_experiment(name: str) -> str:
    own = (file.stem for file in Path("experiments").glob("*.toml"))
    known = sorted({*packaged_experiments(), *gallery_experiments(), *own})
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    hint = f"the nearest are {', '.join(near)}" if near else f"there are {', '.join(packaged_experiments())}"
    return f"{name}: no experiment of this name, and no such file; {hint}"


def safe_name(text: str) -> str:
    """The text as an experiment's name: what a folder's name should not hold becomes `_`."""
    return re.sub(r"[^A-Za-z0-9._-]", "_", text).lstrip(".")[:64] or "experiment"


def _defaults_for_table(source: str, target: str | None) -> dict[str, Any]:
    """The experiment that suits most tables: a small network, scaled inputs, stopped by the dev part."""
    data: dict[str, Any] = {"source": source}
    if target is not None:
        data["target"] = target
    return {
        "name": safe_name(_PACKED.sub("", Path(source).name) if _PACKED.search(source) else Path(source).stem),
        "data": data,
        "model": {"hidden": [64, 32]},
        "optimizer": {"name": "adam", "learning_rate": 0.003},
        "training": {"epochs": 200, "batch_size": 32, "early_stopping": {"patience": 20}},
    }
