"""The best of a search on the rows that the search never saw."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dlrun.backend import Backend
from dlrun.records import Figures
from dlrun.training.engine import settle_engine
from dlrun.training.run import TrainRun

if TYPE_CHECKING:
    from dlrun.tuning.study import Study


def test_figures(study: Study) -> Figures | str | None:
    """The best trained as `dlrun train best.toml` trains it, on the test part.

    None without a best or a test part; a sentence where that training diverged.
    """
    best = study.best
    if best is None or study.experiment.data.split.test == 0:
        return None
    problem, backend = study.problem_of(best.values), study.backend
    if backend.name == "cpu":
        backend = Backend(engine=study.asked_engine)
    run = TrainRun(problem, backend)
    if run.stack is not None:
        settle_engine(problem, backend, run.stack.replicas)
    for _ in run:
        pass
    assert run.outcome is not None
    if run.outcome.model is None:
        return f"trained on the train part, the best diverged: {run.outcome.result.reason}"
    return run.outcome.figures["test"]
