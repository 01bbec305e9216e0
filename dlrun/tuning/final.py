"""The best of a search on the rows that the search never saw."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dlrun.records import Figures
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
    run = TrainRun(study.problem_of(best.values), study.backend)
    for _ in run:
        pass
    assert run.outcome is not None
    if run.outcome.model is None:
        return f"trained on the train part, the best diverged: {run.outcome.result.reason}"
    return run.outcome.figures["test"]
