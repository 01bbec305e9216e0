"""Is one model better than another? Paired tests of two runs on identical splits.

Several folds: the corrected resampled t-test (Nadeau and Bengio 2003). One test part, or one row a fold:
McNemar's test (classification), a paired t-test over rows (regression). Several runs: Holm's correction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from math import inf

import numpy as np
import numpy.typing as npt

from dlrun.errors import RunError
from dlrun.records import counted, four_digits
from dlrun.resampling.difference_tests import (
    Difference,
    corrected_t,
    holm,
    mcnemar,
    paired_rows,
)
from dlrun.resampling.estimates import Task, error_of
from dlrun.resampling.intervals import FloatArray, check_confidence


@dataclass(frozen=True, eq=False, kw_only=True)
class RunLosses:
    """What `compare` needs of a run.

    split_hash   `split_hash` of its divisions; data_hash   that of its data
    n_train      (k,) training rows of each fold (bootstrap: different rows)
    losses       k arrays (n_test,), the loss of each test row in the order of the division
    """

    name: str
    task: Task
    data_hash: str
    split_hash: str
    n_train: npt.NDArray[np.int64]
    losses: tuple[FloatArray, ...]


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Run A against run B. `difference` is A's error minus B's: negative where A errs less.

    p_adjusted is Holm's where several pairs were compared, else None; p_value is None where nothing can
    be tested, and `difference.reason` then says why.
    """

    name_a: str
    name_b: str
    task: Task
    error_a: float
    error_b: float
    difference: Difference
    folds: int
    confidence: float
    identical: bool
    p_adjusted: float | None = None
    warnings: tuple[str, ...] = ()

    @property
    def p(self) -> float | None:
        """The p-value to read: Holm's where there is one."""
        return self.difference.p_value if self.p_adjusted is None else self.p_adjusted

    @property
    def significant(self) -> bool:
        return self.p is not None and self.p < 1 - self.confidence

    @property
    def verdict(self) -> str:
        """One plain sentence, or two."""
        d = self.difference
        if self.identical:
            return f"{self.name_a} and {self.name_b} erred alike on every test row: nothing tells them apart."
        if not self.folds:
            return f"{self.name_a} and {self.name_b} have no test part that both gave a finite answer for."
        shown = f"{self._number(self.error_a)} against {self._number(self.error_b)}"
        if self.p is None:
            return f"{self.name_a} errs {shown} for {self.name_b}, which cannot be tested: {d.reason}."
        gap = f"difference {self._gap(d.value)}"
        if d.ci_low is not None and d.ci_high is not None:
            gap += f", {100 * self.confidence:g} % interval {self._gap(d.ci_low)} to {self._gap(d.ci_high)}"
        p = "p < 0.0001" if self.p < 1e-4 else f"p = {self.p:.2g}"
        holm_note = ", corrected after Holm" if self.p_adjusted is not None else ""
        how = f"({gap}; {p}, {d.test}{holm_note})"
        if self.significant:
            than = "less" if d.value < 0 else "more"
            return f"{self.name_a} errs {than} than {self.name_b}: {shown} {how}."
        return (
            f"No difference is shown between {self.name_a} and {self.name_b}: {shown} {how}. "
            f"That does not show that they are equal."
        )

    def _number(self, error: float) -> str:
        return f"{100 * error:.2f} %" if self.task == "classification" else four_digits(error)

    def _gap(self, value: float) -> str:
        return f"{100 * value:+.2f} points" if self.task == "classification" else f"{float(four_digits(value)):+.6g}"


def compare(a: RunLosses, b: RunLosses, *, confidence: float = 0.95) -> Comparison:
    """Compare two runs on identical splits.

    Folds in which either run has no finite answer are left out, with a warning; empty test parts (of
    bootstrap samples) silently. Raises RunError where task, data or splits differ.
    """
    check_confidence(confidence)
    _check_comparable(a, b)
    errors_a, errors_b = (np.array([error_of(x, task=a.task) for x in run.losses]) for run in (a, b))
    sizes = np.array([len(x) for x in a.losses])
    good = np.isfinite(errors_a) & np.isfinite(errors_b)
    kept = np.flatnonzero(good)
    warnings = []
    lost = int((~good & (sizes > 0)).sum())
    if lost:
        warnings.append(
            f"{lost} of {counted(len(good), 'fold')} diverged in one of the runs and "
            f"{'is' if lost == 1 else 'are'} left out, "
            f"which flatters the run that diverged"
        )
    rows_a, rows_b = (np.concatenate([run.losses[i] for i in kept]) if len(kept) else np.empty(0) for run in (a, b))
    by_rows = len(good) == 1 or bool((sizes == 1).all())
    if by_rows:
        mean_a, mean_b = error_of(rows_a, task=a.task), error_of(rows_b, task=a.task)
        test = mcnemar if a.task == "classification" else paired_rows
        difference = test(rows_a, rows_b, confidence=confidence)
    else:
        e_a, e_b = errors_a[kept], errors_b[kept]
        mean_a, mean_b = (float(e.mean()) if len(kept) else float("nan") for e in (e_a, e_b))
        ratio = float((sizes[kept] / a.n_train[kept]).mean()) if len(kept) else inf
        difference = corrected_t(e_a - e_b, test_to_train=ratio, confidence=confidence)
        if a.task == "classification" and difference.ci_low is not None and difference.ci_high is not None:
            # no two shares differ by more than 1
            difference = replace(difference, ci_low=max(-1.0, difference.ci_low), ci_high=min(1.0, difference.ci_high))
    return Comparison(
        name_a=a.name,
        name_b=b.name,
        task=a.task,
        error_a=mean_a,
        error_b=mean_b,
        difference=difference,
        folds=len(kept),
        confidence=confidence,
        identical=len(kept) > 0 and bool(np.array_equal(rows_a, rows_b)),
        warnings=tuple(warnings),
    )


def compare_all(runs: Sequence[RunLosses], *, confidence: float = 0.95) -> list[Comparison]:
    """Every pair of the runs; with more than one pair, p-values corrected after Holm (1979).

    The intervals stay those of each pair alone. Raises RunError for fewer than two runs.
    """
    if len(runs) < 2:
        raise RunError(f"{len(runs)} run given; a comparison needs two or more")
    pairs = [compare(a, b, confidence=confidence) for a, b in combinations(runs, 2)]
    if len(pairs) == 1:
        return pairs
    adjusted = holm([pair.difference.p_value for pair in pairs])
    return [replace(pair, p_adjusted=p) for pair, p in zip(pairs, adjusted, strict=True)]


def _check_comparable(a: RunLosses, b: RunLosses) -> None:
    if a.task != b.task:
        raise RunError(f"{a.name} is {a.task} and {b.name} is {b.task}; errors of one kind were wanted")
    if a.data_hash != b.data_hash:
        raise RunError(
            f"{a.name} and {b.name} were run on different data (hashes {a.data_hash[:12]} and "
            f"{b.data_hash[:12]}); run both on the same table, with the same target and missing-value rule"
        )
    if a.split_hash != b.split_hash or len(a.losses) != len(b.losses):
        raise RunError(
            f"{a.name} and {b.name} were tested on different splits (hashes {a.split_hash[:12]} and "
            f"{b.split_hash[:12]}), so their errors cannot be paired; run both with the same command and the "
            f"same --seed, --folds, --repeats, --test-size, --samples and --stratify"
        )
