"""Going on with a run that was broken off: which experiment it was, where it stood, and how to say so."""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlrun.errors import ConfigError, MachineError, RunError
from dlrun.workflows.request import Numbered, Out, Request

if TYPE_CHECKING:
    import numpy.typing as npt

    from dlrun.backend import Backend
    from dlrun.config.schema import Experiment
    from dlrun.runs.checkpoints import Origin, StackCheckpoints
    from dlrun.runs.folder import RunFolder
    from dlrun.training.problem import Problem
    from dlrun.workflows.watcher import Watcher


def request_to_resume(request: Request, where: Out) -> Request:
    """The experiment of the run in the folder `where`. One named beside --resume must be the same."""
    if where is None or isinstance(where, Numbered):
        raise RunError("--resume needs --out DIR, the folder of the run to go on with")
    out = Path(where)
    from dlrun.runs.integrity import refuse_odd_files

    refuse_odd_files(out)
    config = out / "config.toml"
    if not config.is_file():
        raise RunError(f"{out}: no run to resume: there is no config.toml in this folder")
    stored = Request(config, trusted=not request.bare)
    if request.bare:
        refuse_code_of(stored.load().experiment, out)
    elif request.load().experiment != stored.load().experiment:
        raise ConfigError(
            f"--resume: the experiment named is not that of the run in {out}; leave it (and --set, --seed) out, "
            "or start again with --overwrite"
        )
    return stored


def refuse_code_of(experiment: Experiment, folder: Path) -> None:
    """RunError where a run's folder, which may come from anybody, names Python functions that nobody else named."""
    from dlrun.code_names import FunctionName, names_in

    for key, name in names_in(experiment.document()):
        if not isinstance(name, FunctionName):
            raise RunError(
                f"{folder}: its config.toml names Python code, {key} = {name!r}; to run that code, name the "
                "experiment beside --resume, as when the run began"
            )


def refuse_run_of_another_command(folder: Path, command: str) -> None:
    """RunError where the run in the folder, finished or not, is not one of `dlrun COMMAND`."""
    from dlrun.runs.summary import SUMMARY, read_summary
    from dlrun.tuning.journal import NAME as JOURNAL

    with (folder / "config.toml").open(encoding="utf-8", errors="replace") as file:
        first = file.readline(1000).split()
    if (folder / SUMMARY).is_file():
        begun = str(read_summary(folder).get("command"))
    elif first[:2] == ["#", "dlrun"] and len(first) > 2:
        begun = first[2]
    else:
        begun = "tune" if (folder / JOURNAL).is_file() else "train"
    if begun != command:
        raise RunError(
            f"{folder}: holds a run of `dlrun {begun}`; `dlrun {command} --resume` needs the folder of one of its own"
        )


@contextmanager
def told_how_to_go_on(folder: RunFolder, watcher: Watcher, again: Sequence[str]) -> Iterator[None]:
    """Where a signal or the machine breaks off the run in this block, say how to go on with it.

    `again` is the command and those of its options that config.toml lacks.
    """
    try:
        yield
    except BaseException as error:
        broken_off = not isinstance(error, Exception) or isinstance(error, (MachineError, OSError, MemoryError))
        if broken_off and folder.file("config.toml").is_file() and not folder.file("summary.json").is_file():
            command = shlex.join(["dlrun", *again, "--resume", "--out", str(folder.path)])
            watcher.urge(f"go on with: {command}")
        raise


class Resumption:
    """A run's checkpoints: those that it left, where it is resumed, and those that it leaves."""

    def __init__(
        self, folder: RunFolder, watcher: Watcher, content: str, *, command: str, origin: Origin, resumed: bool
    ) -> None:
        """`content` is that of config.toml."""
        from dlrun.runs.checkpoints import Checkpoints

        stored = folder.file("config.toml").read_text(encoding="utf-8") if resumed else content
        self._folder, self._watcher, self._resumed, self._elsewhere = folder, watcher, resumed, False
        self._origin = replace(origin, run=fingerprint(command, stored, origin.code))
        self._checkpoints = Checkpoints(folder.path, self._origin)
        if not resumed:
            folder.write_text("config.toml", content)
            return
        refuse_run_of_another_command(folder.path, command)
        first, stored_first = content.split("\n", 1)[0], stored.split("\n", 1)[0]
        if first.startswith("# ") and first != stored_first:
            raise ConfigError(
                f"--resume: the run in {folder.path} was begun by `{stored_first.removeprefix('# ')}`; "
                "give the same options, or start again with --overwrite"
            )

    def say_finished(self) -> None:
        """For a run that has ended already: nothing is done, and its summary is the result."""
        from dlrun.runs.names import STACKS

        self.done()  # where it was killed just before it did so
        for path in self._folder.path.glob(STACKS):
            path.unlink(missing_ok=True)
        self._watcher.note(f"{self._folder.path}: this run is finished; nothing is left to do")

    @property
    def finished(self) -> dict[str, Any] | None:
        """The summary, where the run to resume has ended already. RunError for that of another run."""
        from dlrun.runs.integrity import of_this_run

        path = self._folder.file("summary.json")
        if not self._resumed or not path.is_file():
            return None
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise RunError(f"{path}: cannot be read ({error}); start again with --overwrite") from None
        if not of_this_run(self._folder.path, found):
            raise RunError(
                f"{path}: is the summary of another run than config.toml tells of; remove it to go on with this run, "
                "or start again with --overwrite"
            )
        return dict(found)

    def checkpoint(self) -> tuple[dict[str, npt.NDArray[Any]], dict[str, Any]] | None:
        """Where the run stood; None for one that begins, or had written no checkpoint."""
        if not self._resumed:
            return None
        found = self._checkpoints.load()
        if found is None:
            self._watcher.note("note: the run had not written a checkpoint yet; it begins again")
            return None
        tensors, values, damaged = found
        self._judge(values, damaged)
        return tensors, values

    def stacks(self) -> StackCheckpoints:
        """The checkpoints of a run in stacks; those that it left are all looked at first."""
        from dlrun.runs.checkpoints import StackCheckpoints

        stacks = StackCheckpoints(self._folder.path, self._origin, resumed=self._resumed)
        for values, damaged in stacks.examine() if self._resumed else ():
            self._judge(values, damaged)
        return stacks

    def _judge(self, values: Mapping[str, Any], damaged: Sequence[str]) -> None:
        """Refuse what is of other data; name damaged files that are passed over, and another machine."""
        if values["data"] != self._origin.data:
            raise RunError(
                f"{self._folder.path}: the data has changed since the run began; start again with --overwrite"
            )
        for sentence in damaged:
            self._watcher.note(f"warning: {sentence}; the one before it is used")
        told = another_machine(values["machine"], self._origin.machine)
        if told and not self._elsewhere:
            self._watcher.note(told)
            self._elsewhere = True

    @property
    def due(self) -> bool:
        """Whether it is time for another checkpoint."""
        return self._checkpoints.due

    def save(self, tensors: Mapping[str, npt.NDArray[Any]], values: Mapping[str, Any]) -> None:
        """Write a checkpoint."""
        self._checkpoints.save(tensors, values)

    def done(self) -> None:
        """The run has its summary, and needs its checkpoints no more."""
        self._checkpoints.remove()


def fingerprint(command: str, content: str, code: str = "") -> str:
    """What tells one run from another: the SHA-256 of command, config.toml, whose head has the options, and code."""
    return hashlib.sha256(f"{command}\n{content}{code}".encode()).hexdigest()


def code_hash(experiment: Experiment) -> str:
    """Of the files with the Python functions that the experiment names; empty where it names none."""
    from dlrun.code_names import names_in, parts_of

    files = sorted({parts[0] for _, name in names_in(experiment.document()) if (parts := parts_of(name))})
    digest = hashlib.sha256()
    for file in files:
        with suppress(OSError):  # whoever loads it says what is wrong with it
            digest.update(hashlib.sha256(Path(file).read_bytes()).digest())
    return digest.hexdigest() if files else ""


def origin_of(problem: Problem, backend: Backend, **more: Any) -> Origin:
    """What the checkpoints of a run come from; `more` is what its numbers depend on beside device and versions."""
    import numpy as np

    from dlrun import __version__
    from dlrun.runs.checkpoints import Origin

    machine = {"device": backend.name, **more, "dlrun": __version__, "numpy": np.__version__}
    return Origin(problem.dataset.hash, code_hash(problem.experiment), machine=machine)


def another_machine(was: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """What is said where a run goes on elsewhere than it began; empty where it does not."""
    changed = [name for name in {**was, **now} if was.get(name) != now.get(name)]
    if not changed:
        return ""
    before, after = (", ".join(f"{name} {machine.get(name, 'unknown')}" for name in changed) for machine in (was, now))
    return f"note: the run began with {before} and goes on with {after}; it is not promised to end as it would have"
