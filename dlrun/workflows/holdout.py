"""The error of an experiment on rows set aside, once or repeatedly."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from dlrun.workflows.folds import FoldsResult, finish_folds
from dlrun.workflows.resampling import Prepared, Shared, carry_out, composed, prepare

if TYPE_CHECKING:
    from dlrun.data.dataset import Dataset
    from dlrun.resampling.resamples import Resamples


def prepared(
    experiment: str | Path | None = None,
    *,
    repeats: int = 1,
    test_size: float = 1 / 3,
    **shared: Unpack[Shared],
) -> Prepared:
    """The request, ready to be planned or carried out: `repeats` draws of a share `test_size`, else as `crossval`'s."""

    def divide(dataset: Dataset, seed: int, strata: Any) -> Resamples:
        from dlrun.resampling.splitters import holdout as set_aside

        return set_aside(
            len(dataset), test_size=test_size, repeats=repeats, seed=seed, strata=strata, groups=dataset.groups,
            names=dataset.classes or None,
        )  # fmt: skip

    return prepare(
        "holdout",
        divide,
        experiment,
        options={"kind": "holdout", "test_size": test_size},
        arguments=["--repeats", str(repeats), "--test-size", repr(test_size)],
        **shared,
    )


def carried_out(request: Prepared) -> FoldsResult:
    """Estimate the experiment's error on rows that are set aside at random, and trained on by no model.

    The split in the experiment file is not used.
    """
    return carry_out(request, finish_folds, FoldsResult)


holdout = composed(prepared, carried_out)
