"""What `dlrun train` writes besides its figures where it is asked to: every step, and event files for TensorBoard."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Self

from dlrun.errors import ConfigError
from dlrun.runs.unkept import Unkept

if TYPE_CHECKING:
    from dlrun.records import EpochRecord
    from dlrun.reporting.tensorboard import EventLog
    from dlrun.runs.csv_files import Mark
    from dlrun.runs.folder import RunFolder
    from dlrun.runs.steps import StepsFile
    from dlrun.training.run import TrainRun


def refuse_other_files(folder: RunFolder, *, steps: bool, tensorboard: bool) -> None:
    """ConfigError where a run to resume writes other files than are asked for: they would end half way."""
    from dlrun.reporting.tensorboard import FOLDER
    from dlrun.runs.checkpoints import NEWEST
    from dlrun.runs.steps import STEPS

    for option, given, name in (("--steps", steps, STEPS), ("--tensorboard", tensorboard, FOLDER)):
        there = folder.file(name).exists()
        if there and not given:
            raise ConfigError(f"--resume: the run in {folder.path} writes {name}; give {option} too")
        if given and not there and folder.file(NEWEST).exists():
            raise ConfigError(f"--resume: the run in {folder.path} began without {option}; leave it out")


class WatchedSteps:
    """Writes each epoch's record to the files that were asked for. Use it in a `with` block."""

    def __init__(
        self, run: TrainRun, folder: RunFolder | Unkept, *, steps: bool, tensorboard: bool, marks: Mapping[str, Mark]
    ) -> None:
        """`marks` are those of the checkpoint that the run goes on from."""
        self._run = run
        self._steps: StepsFile | None = None
        self._log: EventLog | None = None
        stack = run.stack
        if stack is None:  # a baseline makes no steps
            return
        done = run.training.epoch if run.training is not None else 0
        if steps:
            from dlrun.runs.steps import STEPS, StepsFile, parameter_names
            from dlrun.training.loop import RECORDED

            names = parameter_names(stack.net) if stack.net.parameters <= RECORDED else []
            self._steps = StepsFile(folder, names, done=done, keep=marks.get(STEPS))
        if tensorboard:
            from dlrun.nn.network import NetworkGraph
            from dlrun.reporting.tensorboard import FOLDER, EventLog

            assert not isinstance(folder, Unkept)  # refused before
            self._log = EventLog(folder.file(FOLDER), go_on_after=done or None)
            graph = NetworkGraph(stack.net, 1, stack.batch_rows(), training=True)
            assert graph.gradient is not None
            self._log.graph([graph.cost, graph.gradient])
            if not done:
                self._parameters(0)

    def epoch(self, record: EpochRecord) -> None:
        """Write what this epoch gave."""
        if self._steps is not None:
            self._steps.epoch(record)
        if self._log is not None:
            self._log.epoch(record)
            self._parameters(record.epoch)

    def marks(self) -> dict[str, Mark]:
        """How far the files are written that a resumed run cuts back."""
        from dlrun.runs.steps import STEPS

        return {} if self._steps is None else {STEPS: self._steps.mark}

    def _parameters(self, epoch: int) -> None:
        stack = self._run.stack
        assert stack is not None
        assert self._log is not None
        self._log.parameters(stack.net.views(stack.backend.to_host(stack.theta)), epoch)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._steps is not None:
            self._steps.__exit__(kind, error, trace)
        if self._log is not None:
            self._log.close()
