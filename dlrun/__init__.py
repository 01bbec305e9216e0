"""dlrun: an experiment runner for neural networks, trained as stacks of replicas.

What the commands do is here by their names, loaded on first use:

    import dlrun
    result = dlrun.crossval("iris", folds=10, set={"model.hidden": [16]})
    result.error.mean, result.error.interval, result.predictions
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dlrun.workflows.bootstrap import bootstrap
    from dlrun.workflows.compare import compare
    from dlrun.workflows.crossval import crossval
    from dlrun.workflows.diagnose import diagnose
    from dlrun.workflows.evaluate import evaluate
    from dlrun.workflows.export import export
    from dlrun.workflows.gradcheck import gradcheck
    from dlrun.workflows.holdout import holdout
    from dlrun.workflows.kmeans import kmeans
    from dlrun.workflows.minimize import minimize
    from dlrun.workflows.predict import predict
    from dlrun.workflows.train import train
    from dlrun.workflows.tune import tune

__version__ = "0.1.0"
__all__ = [
    "bootstrap",
    "compare",
    "crossval",
    "diagnose",
    "evaluate",
    "export",
    "gradcheck",
    "holdout",
    "kmeans",
    "minimize",
    "predict",
    "train",
    "tune",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.workflows.{name}"), name)
