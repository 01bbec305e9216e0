"""The error of an experiment by k-fold cross-validation, or leaving one out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from dlrun.errors import ConfigError
from dlrun.workflows.folds import FoldsResult, finish_folds
from dlrun.workflows.resampling import Prepared, Shared, carry_out, composed, prepare

if TYPE_CHECKING:
    from dlrun.data.dataset import Dataset
    from dlrun.resampling.resamples import Resamples

DEFAULT_FOLDS = 10


def prepared(
    experiment: str | Path | None = None,
    *,
    folds: int | None = None,
    repeats: int | None = None,
    leave_one_out: bool = False,
    **shared: Unpack[Shared],
) -> Prepared:
    """The request, ready to be planned or carried out.

    experiment     a TOML file or the name of a packaged one; or `data` (a table or pandas frame) and `target`
    folds, repeats  parts that are each tested once (10), and how often they are dealt afresh (once)
    leave_one_out  as many folds as rows, or groups
    stratify       keep the classes' shares in each part; left out, as the experiment says
    set, seed      {key: value} overrides of the experiment, and its seed
    out            the folder to keep the run in; None writes nothing
    """
    if leave_one_out and (folds is not None or repeats is not None):
        raise ConfigError("--leave-one-out has a fold for each row and nothing to repeat; give no --folds or --repeats")
    if leave_one_out and shared.get("stratify"):
        raise ConfigError("--leave-one-out cannot be stratified: each test part is one row; give no --stratify")
    count, times = DEFAULT_FOLDS if folds is None else folds, 1 if repeats is None else repeats

    def divide(dataset: Dataset, seed: int, strata: Any) -> Resamples:
        from dlrun.resampling.splitters import k_fold
        from dlrun.resampling.splitters import leave_one_out as one_out

        if leave_one_out:
            return one_out(len(dataset), groups=dataset.groups)
        return k_fold(
            len(dataset), folds=count, repeats=times, seed=seed, strata=strata, groups=dataset.groups,
            names=dataset.classes or None,
        )  # fmt: skip

    return prepare(
        "crossval",
        divide,
        experiment,
        options={"kind": "leave_one_out"} if leave_one_out else {"kind": "k_fold", "folds": count},
        arguments=["--leave-one-out"] if leave_one_out else ["--folds", str(count), "--repeats", str(times)],
        **shared,
    )


def carried_out(request: Prepared) -> FoldsResult:
    """Estimate the experiment's error: every row is tested by a model that never saw it.

    All folds are trained together, each with scaling, imputation and early stopping from its own training rows.
    ConfigError or DataError for what is wrong with the request, AnswerIsNoError where every fold diverged.
    """
    return carry_out(request, finish_folds, FoldsResult)


crossval = composed(prepared, carried_out)
