"""A quick gradient check before a training: a sample of every parameter, at the initial weights."""

from __future__ import annotations

from dlrun.diagnosis.batch import checked_batch
from dlrun.diagnosis.gradcheck import GradientCheck, check_gradient
from dlrun.errors import AnswerIsNoError
from dlrun.training.run import TrainRun

SAMPLE = 200
ROWS = 32


def preflight(run: TrainRun, *, sample: int = SAMPLE) -> GradientCheck | None:
    """Check the gradient of a run that has not begun; None for a baseline, which has none.

    With dropout the masks are held fixed, so that their derivatives are checked too. The run's state is untouched.
    Raises `AnswerIsNoError` naming the parameters whose gradient is wrong.
    """
    if run.stack is None:
        return None
    batch = checked_batch(run, rows=ROWS, fixed_dropout=True)
    check = check_gradient(batch.surface(), batch.gradient(), sample=sample, seed=run.problem.experiment.seed)
    if not check.passed:
        raise AnswerIsNoError(
            f"the gradient check before the training fails: {failure(check)}. Nothing was trained; "
            "`dlrun gradcheck` shows all parameters"
        )
    return check


def failure(check: GradientCheck) -> str:
    """What is wrong, in a sentence: each wrong parameter with its worst component and both values."""
    shown = [
        f"{each.name} (relative difference {each.relative_difference:.2g}"
        + (
            f"; at row {each.worst[0]}, column {each.worst[1]} back-propagation gives {each.analytic:.6g} "
            f"and differences {each.numerical:.6g})"
            if each.worst
            else ")"
        )
        for each in check.failed[:3]
    ]
    more = len(check.failed) - len(shown)
    return "the gradient is wrong in " + ", ".join(shown) + (f" and {more} more" if more > 0 else "")
