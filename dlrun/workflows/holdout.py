"""The error of an experiment on rows set aside, once or repeatedly."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlrun.workflows.folds import FoldsResult, finish_folds
from dlrun.workflows.request import Data, Out, Overrides
from dlrun.workflows.resampling import Prepared, carry_out, composed, prepare
from dlrun.workflows.watcher import SILENT, Watcher

if TYPE_CHECKING:
    from dlrun.backend import Device
    from dlrun.data.dataset import Dataset
    from dlrun.resampling.resamples import Resamples


def prepared(
    experiment: str | Path | None = None,
    *,
    repeats: int = 1,
    test_size: float = 1 / 3,
    stratify: bool | None = None,
    confidence: float = 0.95,
    data: Data = None,
    target: str | None = None,
    set: Overrides = None,
    seed: int | None = None,
    device: Device = "auto",
    jobs: int | None = None,
    out: Out = None,
    overwrite: bool = False,
    resume: bool = False,
    watch: Watcher = SILENT,
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
        data=data,
        target=target,
        set=set,
        seed=seed,
        stratify=stratify,
        confidence=confidence,
        device=device,
        jobs=jobs,
        out=out,
        overwrite=overwrite,
        resume=resume,
        watch=watch,
    )


def carried_out(request: Prepared) -> FoldsResult:
    """Estimate the experiment's error on rows that are set aside at random, and trained on by no model.

    The split in the experiment file is not used.
    """
    return carry_out(request, finish_folds, FoldsResult)


holdout = composed(prepared, carried_out)
