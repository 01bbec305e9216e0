"""What a trained model suffers from, read off the errors of its parts.

    human (or Bayes) error ── avoidable bias ── train ── variance ── train-dev ── mismatch ── dev ── overfitting ── test

Each gap between neighbours has its own cause and its own remedies (Ng's course texts). A gap is large above a
tolerance: 2 points of error in a classification; in a regression 5 % of the target's spread, since its errors (root
mean squares) are divided by the standard deviation of the training targets. Without a train-dev part, dev stands in its
place: train and dev then come from the same distribution, and there is no mismatch to see.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dlrun.diagnosis.gaps import Gap, Measured, gap

TOLERANCES = {"classification": 0.02, "regression": 0.05}
BIAS, VARIANCE, MISMATCH, OVERFITTING = "avoidable bias", "variance", "mismatch", "overfitting to dev"
# The order in which errors follow each other, and the gap before each.
CHAIN = (("train", BIAS), ("train-dev", VARIANCE), ("dev", MISMATCH), ("test", OVERFITTING))


@dataclass(frozen=True)
class Diagnosis:
    """The gaps in their order, and what follows from them."""

    gaps: tuple[Gap, ...]
    task: str

    @property
    def suffers_from(self) -> tuple[str, ...]:
        """The names of the gaps that are large."""
        return tuple(each.name for each in self.gaps if each.large)

    @property
    def unclear(self) -> tuple[str, ...]:
        """The names of those about which the rows are too few to tell."""
        return tuple(each.name for each in self.gaps if each.certain is False)

    @property
    def verdict(self) -> str:
        """In a word or two: bias, variance, bias and variance, neither, …"""
        short = {BIAS: "bias", OVERFITTING: "overfitting to dev"}
        found = [short.get(name, name) for name in self.suffers_from]
        if not found:
            return "neither bias nor variance"
        return found[0] if len(found) == 1 else f"{', '.join(found[:-1])} and {found[-1]}"


def diagnose(
    errors: Mapping[str, Measured],
    *,
    human: float = 0.0,
    task: str = "classification",
    tolerance: float | None = None,
    scale: float = 1.0,
) -> Diagnosis:
    """The diagnosis for errors by part: `train`, and of `train-dev`, `dev` and `test` those that there are.

    human  the error that cannot be avoided, in the unit of the errors
    scale  what errors are divided by: in a regression the standard deviation of the training targets
    """
    limit = TOLERANCES[task] if tolerance is None else tolerance
    found: list[Gap] = []
    before = Measured(human)
    for part, name in CHAIN:
        if part not in errors:
            continue
        if part == "dev" and "train-dev" not in errors:
            name = VARIANCE
        if part == "test" and "dev" not in errors and "train-dev" not in errors:
            name = VARIANCE  # nothing was chosen by a dev part: test rows are as new as any
        found.append(gap(name, before, errors[part], tolerance=limit, scale=scale))
        before = errors[part]
    return Diagnosis(tuple(found), task)
