"""dlrun's networks as estimators of scikit-learn, which is an extra: pip install 'dlrun[sklearn]'.

    from dlrun.sklearn import NetworkClassifier
    cross_val_score(NetworkClassifier(hidden=(16,), epochs=50), X, y)

The parameters are keys of the experiment, under their names there; what has no parameter is set by `settings`, a
{key: value} of dotted keys. X is an array of numbers, or a frame whose columns of texts are one-hot encoded. Fitting
trains as `dlrun train` does on these rows, in float64 unless `dtype` says otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt

from dlrun.data.table import Column, Table, clean_text
from dlrun.errors import DlrunError, MachineError

try:
    from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
    from sklearn.utils import check_random_state
    from sklearn.utils.multiclass import check_classification_targets
    from sklearn.utils.validation import check_is_fitted, column_or_1d, validate_data
except ImportError:
    raise MachineError("dlrun.sklearn needs scikit-learn 1.6 or later: pip install 'dlrun[sklearn]'") from None

if TYPE_CHECKING:
    import pandas as pd

    from dlrun.training.model import TrainedModel

    X = npt.NDArray[Any] | pd.DataFrame | Sequence[Sequence[float]]

_SEEDS = 2**31 - 1


class _Network(BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """What both estimators share: the parameters, and a training on a table of the rows."""

    _task: str

    def __init__(
        self,
        hidden: Sequence[int] = (64, 32),
        *,
        activation: str = "relu",
        initialization: str = "he",
        batch_norm: bool = False,
        keep_prob: float = 1.0,
        loss: str | None = None,
        dtype: str = "float64",
        optimizer: str = "adam",
        learning_rate: float = 0.003,
        l2: float = 0.0,
        l1: float = 0.0,
        epochs: int = 200,
        batch_size: int | str = 32,
        early_stopping: bool = False,
        patience: int = 20,
        dev_share: float = 0.2,
        random_state: Any = None,
        device: str = "auto",
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        self.hidden = hidden
        self.activation = activation
        self.initialization = initialization
        self.batch_norm = batch_norm
        self.keep_prob = keep_prob
        self.loss = loss
        self.dtype = dtype
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.l2 = l2
        self.l1 = l1
        self.epochs = epochs
        self.batch_size = batch_size
        self.early_stopping = early_stopping
        self.patience = patience
        self.dev_share = dev_share
        self.random_state = random_state
        self.device = device
        self.settings = settings

    def _train(self, columns: dict[str, Column], target: npt.NDArray[np.float64]) -> Self:
        from dlrun.backend import select_backend
        from dlrun.data.dataset import dataset_of
        from dlrun.training.problem import Problem
        from dlrun.training.run import TrainRun
        from dlrun.training.threads import computing_threads

        name = "target"
        while name in columns:
            name += "_"
        table = Table("X", {**columns, name: target}, np.arange(1, len(target) + 1))
        try:
            experiment = self._experiment(name)
            dataset = dataset_of(table, experiment.data, task=experiment.task)
            backend = select_backend(self.device)  # type: ignore[arg-type]
            with computing_threads(1) as threads, backend.quiet():
                run = TrainRun(Problem(experiment, dataset), backend, threads=threads)
                records = list(run)
        except DlrunError as error:
            raise ValueError(str(error)) from None
        assert run.outcome is not None
        if run.outcome.model is None:
            raise ValueError(f"training diverged: {run.outcome.result.reason}; try a smaller learning_rate")
        self.model_: TrainedModel = run.outcome.model
        self.n_iter_ = max(run.outcome.result.epochs, 1)
        self.loss_curve_ = [record.figures["train"].cost for record in records]
        return self

    def _experiment(self, target: str) -> Any:
        """The experiment that the parameters describe."""
        from dlrun.config import validate
        from dlrun.config.document import set_value

        dev = float(self.dev_share) if self.early_stopping else 0.0
        document: dict[str, Any] = {
            "name": type(self).__name__,
            "seed": int(check_random_state(self.random_state).randint(_SEEDS)),
            "task": self._task,
            "data": {"source": "X.csv", "target": target, "split": {"train": 1 - dev, "dev": dev, "test": 0.0}},
            "model": {
                "hidden": [int(width) for width in self.hidden],
                "activation": self.activation,
                "initialization": self.initialization,
                "batch_norm": self.batch_norm,
                "keep_prob": float(self.keep_prob),
                "dtype": self.dtype,
            },
            "optimizer": {"name": self.optimizer, "learning_rate": float(self.learning_rate)},
            "regularization": {"l2": float(self.l2), "l1": float(self.l1)},
            "training": {"epochs": int(self.epochs), "batch_size": self.batch_size},
        }
        if self.loss is not None:
            document["model"]["loss"] = self.loss
        if self.early_stopping:
            document["training"]["early_stopping"] = {"patience": int(self.patience)}
        for key, value in (self.settings or {}).items():
            set_value(document, tuple(key.split(".")), value)
        return validate(document, where=type(self).__name__)

    def _answers(self, X: X) -> npt.NDArray[np.float64]:
        """Probabilities (m, C), or values (m, 1)."""
        from dlrun.backend import select_backend

        check_is_fitted(self)
        columns = self._columns(X, reset=False)
        rows = len(next(iter(columns.values())))
        backend = select_backend(self.device)  # type: ignore[arg-type]
        try:
            features = self.model_.preprocessing.features(Table("X", columns, np.arange(1, rows + 1)))
            with backend.quiet():
                return self.model_.answers(features, backend)
        except DlrunError as error:
            raise ValueError(str(error)) from None

    def _columns(self, X: X, *, reset: bool, y: Any = None) -> dict[str, Column]:
        """The columns of a table; a frame with columns of texts keeps them, all else is numbers."""
        if _has_texts(X):
            validate_data(self, X, reset=reset, skip_check_array=True)
            frame: pd.DataFrame = X  # type: ignore[assignment]
            return {str(name): _column(frame[name]) for name in frame.columns}
        array = validate_data(self, X, reset=reset, dtype=np.float64, ensure_min_samples=2 if reset else 1)
        names = [str(name) for name in getattr(self, "feature_names_in_", [])] or [
            f"x{j}" for j in range(array.shape[1])
        ]
        return {name: np.ascontiguousarray(array[:, j]) for j, name in enumerate(names)}


def _has_texts(X: Any) -> bool:
    return hasattr(X, "dtypes") and hasattr(X, "columns") and not all(_is_number(kind) for kind in X.dtypes)


def _is_number(kind: Any) -> bool:
    return isinstance(kind, np.dtype) and kind.kind in "iuf"


def _column(series: pd.Series[Any]) -> Column:
    """Numbers with NaN, or texts with None, where a value is missing."""
    if _is_number(series.dtype):
        return series.to_numpy(np.float64)
    return clean_text([None if missing else str(value) for value, missing in zip(series, series.isna(), strict=True)])


class NetworkClassifier(ClassifierMixin, _Network):  # type: ignore[misc]
    """A network that tells classes apart, by the cross-entropy unless `loss` says otherwise."""

    _task = "classification"

    def fit(self, X: X, y: Any) -> Self:
        """Train on X (n, d) and labels y (n,) of any type. ValueError for what is wrong with them, or a divergence."""
        columns = self._columns(X, reset=True)
        y = column_or_1d(y, warn=True)
        check_classification_targets(y)
        if len(y) != len(next(iter(columns.values()))):
            raise ValueError(f"X has {len(next(iter(columns.values())))} rows and y has {len(y)}")
        self.classes_, codes = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"y holds one class alone, {self.classes_[0]!r}; at least 2 are needed")
        return self._train(columns, codes.astype(np.float64))

    def predict_proba(self, X: X) -> npt.NDArray[np.float64]:
        """The probability of each class, (m, C), in the order of `classes_`."""
        return self._answers(X)

    def predict(self, X: X) -> npt.NDArray[Any]:
        """The likeliest class of each row, (m,), as y had it."""
        answers = self._answers(X)
        found: npt.NDArray[Any] = self.classes_[answers.argmax(axis=1)]
        return found


class NetworkRegressor(RegressorMixin, _Network):  # type: ignore[misc]
    """A network that predicts a number, by the squared error unless `loss` says otherwise."""

    _task = "regression"

    def fit(self, X: X, y: Any) -> Self:
        """Train on X (n, d) and numbers y (n,). ValueError for what is wrong with them, or a divergence."""
        columns = self._columns(X, reset=True)
        y = column_or_1d(y, dtype=np.float64, warn=True)
        if len(y) != len(next(iter(columns.values()))):
            raise ValueError(f"X has {len(next(iter(columns.values())))} rows and y has {len(y)}")
        if not np.isfinite(y).all():
            raise ValueError("y contains NaN or infinity")
        return self._train(columns, y)

    def predict(self, X: X) -> npt.NDArray[np.float64]:
        """A value for each row, (m,), in the units of y."""
        return self._answers(X)[:, 0]
