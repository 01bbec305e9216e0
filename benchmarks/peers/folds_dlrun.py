"""dlrun, in a process: the stack trained and answered, as `dlrun crossval` does it between reading and writing."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

import dlrun
from benchmarks.fold_cases import FoldCase

VERSIONS = {"dlrun": dlrun.__version__, "numpy": np.__version__}
REPEATED = True


def prepare(case: FoldCase, jobs: int) -> Any:
    """A call that trains all divisions and returns the mean error of their test parts."""
    from dlrun.backend import Backend
    from dlrun.config import load_experiment
    from dlrun.data.dataset import load_dataset
    from dlrun.data.splits import strata_of
    from dlrun.resampling.run import ResamplingRun, predictions_of
    from dlrun.resampling.splitters import bootstrap, k_fold, leave_one_out
    from dlrun.training.problem import Problem
    from dlrun.training.threads import computing_threads

    loaded = load_experiment(case.table, overrides=case.settings())
    experiment = loaded.experiment
    data = load_dataset(experiment.data, task=experiment.task, folder=loaded.folder, seed=experiment.seed)
    problem, n, strata = Problem(experiment, data), len(data), strata_of(data)
    if case.scheme == "bootstrap":
        split = partial(bootstrap, n, samples=case.count, strata=strata)
    elif case.count:
        split = partial(k_fold, n, folds=case.count, strata=strata)
    else:
        split = partial(leave_one_out, n)

    def left_out(division: Any) -> float:
        """The error on the rows that the division did not train on; a bootstrap sample answers all."""
        wrong = predictions_of(division, data.task) != data.target[division.tested]
        return float(wrong[np.isin(division.tested, division.resample.test)].mean())

    def run() -> float:
        with computing_threads(1):
            estimate = ResamplingRun(problem, Backend(), split(), everything=case.scheme == "bootstrap", jobs=jobs)
            for _ in estimate:
                pass
        return float(np.mean([left_out(each) for each in estimate.divisions[case.scheme == "bootstrap" :]]))

    return run
