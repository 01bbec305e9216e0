"""scikit-learn: `cross_val_score` of a scaled `MLPClassifier`; `n_jobs` processes of one BLAS thread each."""

from __future__ import annotations

from typing import Any

import sklearn
from sklearn.model_selection import cross_val_score
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.fold_cases import LEARNING_RATE, FoldCase

VERSIONS = {"scikit-learn": sklearn.__version__}


def prepare(case: FoldCase, jobs: int) -> Any:
    """A call that trains all divisions and returns the mean error of their test parts."""
    x, codes, _ = case.rows()
    network = MLPClassifier(
        case.hidden,
        batch_size=case.batch,
        max_iter=case.epochs,
        learning_rate_init=LEARNING_RATE,
        alpha=0.0,
        tol=0.0,
        n_iter_no_change=case.epochs + 1,
        random_state=0,
    )
    divisions = case.divisions()

    def run() -> float:
        scores = cross_val_score(make_pipeline(StandardScaler(), network), x, codes, cv=divisions, n_jobs=jobs)
        return 1 - float(scores.mean())

    return run
