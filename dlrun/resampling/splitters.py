"""Splitters: they yield pairs of row numbers and nothing else.

Every splitter is a pure function of its arguments; its random draws come from `dlrun.rng.generator`
keyed by (seed, repeat, the splitter's name), so that repeat 7 is the same whether 8 or 100 are asked
for. Strata (n,) and groups (n,) are integer codes per row, or None.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from dlrun.errors import ConfigError, DataError
from dlrun.records import counted
from dlrun.resampling.assignment import (
    IntArray,
    codes_of,
    deal_groups,
    deal_rows,
    draw_groups,
    draw_rows,
    majority_stratum,
    round_half_up,
)
from dlrun.resampling.resamples import Resample, Resamples
from dlrun.rng import generator


def holdout(
    n: int,
    *,
    test_size: float = 1 / 3,
    repeats: int = 1,
    seed: int = 0,
    strata: IntArray | None = None,
    groups: IntArray | None = None,
    names: Sequence[str] | None = None,
) -> Resamples:
    """Holdout: n·test_size rows (nearest whole number, a half goes up) test, the others train; repeated.

    Stratified, each stratum gives its share within one row (largest remainder). With groups, whole
    groups are drawn until the test rows are nearest to the share. `names` are the strata's, for messages.

    Raises ConfigError for a share outside (0, 1) or repeats < 1; DataError where a part would be empty.
    """
    _check_labels(n, strata, groups)
    if not 0 < test_size < 1:
        raise ConfigError(f"test size: {test_size} is no share of the rows; give a number between 0 and 1")
    _check_positive("repeats", repeats)
    count = round_half_up(n * test_size)
    if count < 1 or count >= n:
        empty, kept = ("test", "train") if count < 1 else ("train", "test")
        raise DataError(
            f"test size {test_size:.6g} of {counted(n, 'row')} leaves no row to {empty} on and {n} to {kept} on; "
            f"give a share between {0.5 / n:.6g} and {1 - 0.5 / n:.6g}, and at least 2 rows"
        )
    if groups is not None and len(np.unique(groups)) < 2:
        raise DataError("all rows are of one group, so none can be held out; groups are never cut: give 2 or more")
    stratum, group = codes_of(strata, n), codes_of(groups, n)

    def draw(repeat: int) -> npt.NDArray[np.bool_]:
        rng = generator(seed, repeat, "split holdout")
        return draw_rows(stratum, count, rng) if groups is None else draw_groups(group, stratum, count, rng)

    def make(repeat: int) -> Resample:
        test = draw(repeat)
        return Resample(repeat=repeat, fold=0, train=np.flatnonzero(~test), test=np.flatnonzero(test))

    warnings = [] if strata is None else _untrained_strata(stratum, draw, repeats, _names_of(strata, names))
    return Resamples(scheme="holdout", rows=n, repeats=repeats, count=repeats, warnings=tuple(warnings), make=make)


def k_fold(
    n: int,
    *,
    folds: int = 10,
    repeats: int = 1,
    seed: int = 0,
    strata: IntArray | None = None,
    groups: IntArray | None = None,
    names: Sequence[str] | None = None,
) -> Resamples:
    """k-fold cross-validation: in each repeat, every row is tested once; each repeat is dealt afresh.

    Fold sizes differ by 1 at most, and so do each stratum's counts (`deal_rows`). With groups, whole
    groups are dealt, as evenly as a greedy pass gets them (`deal_groups`). A stratum with fewer rows
    (or groups) than folds is not in every test part: that goes on, with a warning.

    Raises ConfigError for folds < 2 or repeats < 1; DataError for more folds than rows or groups.
    """
    _check_labels(n, strata, groups)
    _check_folds(n, folds, groups)
    _check_positive("repeats", repeats)
    stratum, group = codes_of(strata, n), codes_of(groups, n)
    fold_of = np.empty((repeats, n), dtype=np.int32)
    for repeat in range(repeats):
        rng = generator(seed, repeat, "split k-fold")
        dealt = deal_rows(stratum, folds, rng) if groups is None else deal_groups(group, stratum, folds, rng)
        fold_of[repeat] = dealt
    warnings = []
    if strata is not None:
        unit = np.arange(n) if groups is None else group
        labels = _names_of(strata, names)
        for code, label in enumerate(labels):
            held = len(np.unique(unit[stratum == code]))
            if held < folds:
                kind = ("row" if groups is None else "group") + "s" * (held > 1)
                warnings.append(
                    f"class or bin {label} has {held} {kind}, fewer than the {folds} folds, and is missing "
                    f"from some test parts" + ", and from training where it is tested" * (held == 1)
                )
    return Resamples(
        scheme="k_fold",
        rows=n,
        repeats=repeats,
        count=repeats * folds,
        warnings=tuple(warnings),
        make=_fold_maker(fold_of, folds),
    )


def leave_one_out(n: int, *, groups: IntArray | None = None) -> Resamples:
    """Leave-one-out: fold i tests row i alone (with groups, the i-th group) and trains on all others.

    Nothing is drawn. Stratification is impossible: the class of the test row is always one row short
    in training, so the majority predictor on a balanced two-class set errs on every row.

    Raises DataError for fewer than 2 rows or groups.
    """
    _check_labels(n, None, groups)
    unit = np.arange(n) if groups is None else codes_of(groups, n)
    folds = int(unit.max()) + 1
    _check_folds(n, max(folds, 2), groups)
    return Resamples(
        scheme="leave_one_out",
        rows=n,
        repeats=1,
        count=folds,
        warnings=(),
        make=_fold_maker(unit[None, :].astype(np.int32), folds),
    )


def bootstrap(
    n: int,
    *,
    samples: int = 200,
    seed: int = 0,
    strata: IntArray | None = None,
    groups: IntArray | None = None,
) -> Resamples:
    """Bootstrap: n rows drawn with replacement train; the rows left out (about 36.8 %) test.

    A row is left out with probability (1 − 1/n)ⁿ → 1/e. Stratified, each stratum of m rows gets m
    draws of its own; with groups, the G groups are drawn G times, whole (a group counts to the stratum
    of most of its rows), and the number of training rows varies.

    A sample that happens to hold every row has an empty test part. It is kept: drawing again until a
    row is left out would change the distribution that the estimates rely on. It adds nothing to the
    out-of-bag error, and the warnings count such samples.

    Raises ConfigError for samples < 1; DataError for fewer than 2 rows or groups.
    """
    _check_labels(n, strata, groups)
    _check_positive("samples", samples)
    _check_folds(n, 2, groups)
    stratum, group = codes_of(strata, n), codes_of(groups, n)
    unit = np.arange(n) if groups is None else group
    unit_stratum = majority_stratum(unit, stratum)
    members = [np.flatnonzero(unit_stratum == code) for code in range(int(stratum.max()) + 1)]

    def counts(index: int) -> IntArray:
        rng = generator(seed, index + 1, "bootstrap")
        drawn: IntArray = np.concatenate([units[rng.integers(len(units), size=len(units))] for units in members])
        return np.bincount(drawn, minlength=len(unit_stratum)).take(unit)

    def make(index: int) -> Resample:
        drawn = counts(index)
        train = np.repeat(np.arange(n), drawn)
        return Resample(repeat=index + 1, fold=0, train=train, test=np.flatnonzero(drawn == 0))

    warnings = []
    lonely = int(sum(len(units) == 1 for units in members)) if len(members) > 1 else 0
    if lonely:
        warnings.append(
            f"{lonely} {'stratum has' if lonely == 1 else 'strata have'} a single member, which is drawn into every "
            "sample and is never out of bag"
        )
    # n!/nⁿ, the chance of an empty test part, is below 1e-12 from 31 rows on: only there is counting worth it
    empty = sum(bool((counts(index) > 0).all()) for index in range(samples)) if len(unit_stratum) <= 30 else 0
    if empty:
        warnings.append(
            f"{empty} of {counted(samples, 'sample')} drew every row and {'has' if empty == 1 else 'have'} nothing "
            f"out of bag; the out-of-bag error is averaged over the others"
        )
    return Resamples(scheme="bootstrap", rows=n, repeats=samples, count=samples, warnings=tuple(warnings), make=make)


def _fold_maker(fold_of: npt.NDArray[np.int32], folds: int) -> Callable[[int], Resample]:
    def make(index: int) -> Resample:
        repeat, fold = divmod(index, folds)
        test = fold_of[repeat] == fold
        return Resample(repeat=repeat, fold=fold, train=np.flatnonzero(~test), test=np.flatnonzero(test))

    return make


def _names_of(strata: IntArray, names: Sequence[str] | None) -> list[str]:
    return [str(code) if names is None else repr(names[int(code)]) for code in np.unique(strata)]


def _untrained_strata(
    stratum: IntArray, draw: Callable[[int], npt.NDArray[np.bool_]], repeats: int, names: list[str]
) -> list[str]:
    """Warnings for strata that some repeat leaves without a row to train or to test on."""
    totals = np.bincount(stratum)
    without = np.zeros((2, len(totals)), dtype=np.int64)
    for repeat in range(repeats):
        tested = np.bincount(stratum[draw(repeat)], minlength=len(totals))
        without += np.stack([tested == totals, tested == 0])
    return [
        f"class or bin {names[code]} ({counted(int(totals[code]), 'row')}) has no row to {part} on "
        f"in {times} of {counted(repeats, 'repeat')}"
        for part, row in zip(("train", "test"), without, strict=True)
        for code, times in enumerate(row)
        if times
    ]


def _check_positive(name: str, value: int) -> None:
    if value < 1:
        raise ConfigError(f"{name}: {value} is too few; give 1 or more")


def _check_labels(n: int, strata: IntArray | None, groups: IntArray | None) -> None:
    if n < 2:
        raise DataError(f"{n} row{'s' * (n != 1)} cannot be divided into parts to train and to test on; give 2 or more")
    for name, labels in (("strata", strata), ("groups", groups)):
        if labels is not None and labels.shape != (n,):
            raise DataError(f"{name} have shape {labels.shape}; one label for each of the {n} rows was wanted")


def _check_folds(n: int, folds: int, groups: IntArray | None) -> None:
    if folds < 2:
        raise ConfigError(f"folds: {folds} leaves nothing to train or to test on; give 2 or more")
    units, kind = (n, "rows") if groups is None else (len(np.unique(groups)), "groups (groups are never cut)")
    if folds > units:
        raise DataError(f"folds: {folds} parts cannot be made of {units} {kind}; give at most {units}, or more data")
