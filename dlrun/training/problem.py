"""An experiment on its data: the architecture, the targets and the scaling that its replicas need."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from dlrun.backend import Backend
from dlrun.code_names import is_function
from dlrun.data.dataset import Dataset
from dlrun.data.stored_features import Features, StoredFeatures
from dlrun.errors import ConfigError
from dlrun.nn.activations import CUSTOM as CUSTOM_ACTIVATION
from dlrun.nn.layers import Layer, layers_of
from dlrun.nn.losses import default_loss, loss_named
from dlrun.nn.network import Architecture
from dlrun.nn.user_functions import UserFunctions, load_functions
from dlrun.records import counted
from dlrun.rng import generator
from dlrun.training.augment import Augment
from dlrun.training.epoch_order import is_large
from dlrun.training.memory_check import refuse_oversize
from dlrun.training.misfits import refuse_misfits
from dlrun.training.replica import Replica, no_rows
from dlrun.training.replica_scaling import ReplicaScaling, target_is_scaled
from dlrun.training.rows import Normalization, RowStore, one_hot_targets
from dlrun.training.stack import Stack, StackSettings
from dlrun.training.streamed_rows import StreamedRows

if TYPE_CHECKING:
    from dlrun.config.model_section import ModelConfig
    from dlrun.config.schema import Experiment

FloatArray = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Problem:
    """The experiment and the data set that it names. Raises `ConfigError` where they do not fit."""

    experiment: Experiment
    dataset: Dataset
    run_code: bool = True  # whether the Python functions that the experiment names may be loaded

    def __post_init__(self) -> None:
        refuse_misfits(self.experiment, self.dataset, loss_named(self.loss))
        _ = self.augment  # refused here, before anything is trained

    @cached_property
    def loss(self) -> str:
        """The loss of the experiment, or the default for its target."""
        model = self.experiment.model
        if model.cost is not None:
            return f"custom_{self.dataset.task}"
        return model.loss or default_loss(self.dataset.task, len(self.dataset.classes))

    @cached_property
    def augment(self) -> Augment | None:
        """What is done to training rows. ConfigError where the features are no picture of such lines."""
        wanted, data = self.experiment.data.augment, self.dataset
        if wanted is None or not (wanted.noise or wanted.mirror):
            return None
        if wanted.mirror is not None and (data.categorical.any() or len(data.feature_names) % wanted.mirror):
            raise ConfigError(
                f"data.augment.mirror = {wanted.mirror}: should be the pixels of a picture's line; {data.name} has "
                f"{counted(len(data.feature_names), 'feature')}"
                + (", some of them categories" if data.categorical.any() else f", no multiple of {wanted.mirror}")
            )
        numeric = tuple((~data.categorical).tolist())
        return Augment(noise=wanted.noise, mirror=wanted.mirror, numeric=numeric)

    @cached_property
    def functions(self) -> UserFunctions | None:
        """The user's own cost and activation, loaded from the files that the experiment names."""
        model = self.experiment.model
        activation = model.activation if is_function(model.activation) else None
        if not self.run_code or model.kind != "network" or (model.cost is None and activation is None):
            return None
        return load_functions(cost=model.cost, activation=activation)

    @cached_property
    def targets(self) -> FloatArray:
        """(n, C): 0 and 1 for classes, or the regression target as a column."""
        return self._as_targets(self.dataset.target)

    def target_rows(self, rows: Rows) -> FloatArray:
        """`targets` of some rows, (m, C), without those of all."""
        return self._as_targets(self.dataset.target[rows])

    def _as_targets(self, target: npt.NDArray[Any]) -> FloatArray:
        data = self.dataset
        if data.task == "regression":
            return np.asarray(target, np.float64)[:, None]
        return one_hot_targets(target, len(data.classes), one_output=loss_named(self.loss).one_output)

    @property
    def outputs(self) -> int:
        """C, the columns of `targets`."""
        one = self.dataset.task == "regression" or loss_named(self.loss).one_output
        return 1 if one else len(self.dataset.classes)

    # -- replicas ------------------------------------------------------------------------------

    def replica(
        self,
        train: Rows,
        dev: Rows | None = None,
        test: Rows | None = None,
        *,
        number: int = 0,
        experiment: Experiment | None = None,
    ) -> Replica:
        """The experiment (or a variant of it) trained on the given rows."""
        e = experiment or self.experiment
        optimizer = e.optimizer
        decay: Any = optimizer.decay
        if decay.name == "cosine" and decay.epochs is None:
            decay = decay.model_copy(update={"epochs": max(e.training.epochs, 1)})
        return Replica(
            number=number,
            seed=e.seed,
            train=train,
            dev=no_rows() if dev is None else dev,
            test=no_rows() if test is None else test,
            learning_rate=optimizer.learning_rate,
            beta1=optimizer.beta1,
            beta2=optimizer.beta2,
            epsilon=optimizer.epsilon,
            weight_decay=optimizer.weight_decay,
            decay=None if decay.name == "constant" else _Frozen(decay),
            warmup_steps=optimizer.warmup_steps,
            l1=e.regularization.l1,
            l2=e.regularization.l2,
            keep_prob=_keep_probs(e.model),
            initialization=e.model.initialization,
            scale=e.model.scale,
            epochs=e.training.epochs,
            sample=self._measured(train, number, e),
        )

    @staticmethod
    def _measured(train: Rows, number: int, experiment: Experiment) -> Rows | None:
        """The training rows that training.measure_rows has measured after each epoch; None for all."""
        limit = experiment.training.measure_rows
        if limit is None or len(train) <= limit:
            return None
        random = generator(experiment.seed, number, "measured rows")
        return np.sort(train[random.choice(len(train), limit, replace=False)])

    def architecture(self, replicas: Sequence[Replica]) -> Architecture:
        """The network of a stack of these replicas: with masks and penalties where any of them has them."""
        model, data = self.experiment.model, self.dataset
        return Architecture(
            inputs=data.features.shape[1],
            outputs=self.outputs,
            loss=self.loss,
            hidden=tuple(model.hidden) if model.layers is None else (),
            activation=CUSTOM_ACTIVATION if is_function(model.activation) else model.activation,
            functions=self.functions,
            bias=model.bias,
            batch_norm=model.batch_norm,
            dropout=tuple(any(r.keep_prob[i] < 1 for r in replicas) for i in range(len(_keep_probs(model)))),
            layers=None if model.layers is None else self._layers(),
            input_shape=data.shape if model.layers is not None else None,
            masked=data.masked and model.layers is not None,
            truncate=self.experiment.training.truncate,
            l2=any(r.l2 > 0 for r in replicas),
            l1=any(r.l1 > 0 for r in replicas),
            feature_map=model.feature_map,
            dtype=model.dtype,
        )

    def _layers(self) -> tuple[Layer, ...]:
        model = self.experiment.model
        activation = CUSTOM_ACTIVATION if is_function(model.activation) else model.activation
        return layers_of(model.layers or (), activation=activation, bias=model.bias, tokens=self.dataset.tokens)

    def settings(self) -> StackSettings:
        """What the replicas of any stack of this experiment share."""
        e = self.experiment
        size = e.training.batch_size
        return StackSettings(
            optimizer=e.optimizer.name,
            batch_size=None if size == "full" else size,
            shuffle=e.training.shuffle,
            clip_norm=e.optimizer.clip_norm,
            clip_value=e.optimizer.clip_value,
            batch_norm_momentum=e.model.batch_norm_momentum,
            large=is_large(*self.dataset.features.shape),
            augment=self.augment,
        )

    # -- scaling -------------------------------------------------------------------------------

    @property
    def _scaling(self) -> ReplicaScaling:
        options = self.experiment.data
        targets = self.targets if target_is_scaled(options, self.dataset.task) else None
        listed = self.experiment.model.layers is not None and self.dataset.shape is not None
        return ReplicaScaling(self.dataset, options, self.outputs, targets, pooled=listed)

    def normalization(self, rows: Sequence[Rows]) -> Normalization:
        """The scaling of each replica, fitted on its training rows alone."""
        return self._scaling.fitted(rows)

    def baseline_features(self, kind: str, train: Rows) -> FloatArray:
        """What a baseline looks at: all rows scaled by the training rows; nothing (n, 0) for a constant answer."""
        features = self.dataset.features
        if kind != "nearest_neighbor" or isinstance(features, StoredFeatures):  # refused together at the beginning
            return np.zeros((len(self.dataset), 0))
        return self.normalization([train]).apply(features)

    # -- stacks --------------------------------------------------------------------------------

    def stack(
        self,
        backend: Backend,
        replicas: Sequence[Replica],
        *,
        shared: RowStore | None = None,
        theta: FloatArray | None = None,
        statistics: FloatArray | None = None,
        tensors: dict[str, FloatArray] | None = None,
        threads: Any = None,
        company: Sequence[Replica] | None = None,
    ) -> Stack:
        """Replicas as one stack; on the rows of a `shared` store, or on rows stored for one replica alone.

        `company`: all replicas that are trained alike, where they are more than those of the stack.
        """
        net = self.architecture(replicas)
        normalization = self.normalization([r.train for r in replicas])
        if shared is None and len(replicas) > 1:
            shared = self.shared_rows(backend)
        refuse_oversize(backend, net, self.settings(), replicas if company is None else company, len(replicas))
        store = shared or self.stored_rows(backend, normalization)
        return Stack(
            backend,
            net,
            self.settings(),
            store,
            normalization,
            replicas,
            theta=theta,
            statistics=statistics,
            tensors=self.fixed_tensors(net, replicas, normalization) if tensors is None else tensors,
            threads=threads,
            company=company,
        )

    def shared_rows(self, backend: Backend) -> RowStore:
        """The data stored once, for replicas that each scale it in their own way."""
        return self.stored_rows(backend, self._scaling.shared(), shared=True)

    def stored_rows(self, backend: Backend, scaling: Normalization, *, shared: bool = False) -> RowStore:
        """The rows under a scaling (one replica): on the device, or in their file if that is where they are."""
        features, dtype = self.dataset.features, self.experiment.model.dtype
        if isinstance(features, StoredFeatures):
            return StreamedRows(backend, features, self.target_rows, scaling, dtype, shared=shared)
        return RowStore(backend, features, self.targets, scaling, dtype, shared=shared)

    def fixed_tensors(
        self, net: Architecture, replicas: Sequence[Replica], normalization: Normalization
    ) -> dict[str, FloatArray]:
        """What the feature map draws from each replica's training rows, stacked (R, …)."""
        if net.feature_map is None or net.feature_map.name != "rbf":
            return {}
        drawn = [
            net.fixed_tensors(
                _ScaledRows(self.dataset.features, r.train, normalization, place),
                generator(r.seed, r.stream, "feature map"),
            )
            for place, r in enumerate(replicas)
        ]
        return {name: np.stack([each[name] for each in drawn]) for name in drawn[0]}


def _keep_probs(model: ModelConfig) -> tuple[float, ...]:
    """keep_prob of each dropout layer, in their order."""
    if model.layers is not None:
        return tuple(float(layer.keep_prob or 1) for layer in model.layers if layer.kind == "dropout")
    keep = model.keep_prob
    return keep if isinstance(keep, tuple) else (keep,) * len(model.hidden)


@dataclass(frozen=True)
class _ScaledRows:
    """Training rows as a replica sees them, scaled when they are asked for."""

    features: Features
    train: Rows
    normalization: Normalization
    replica: int

    def __len__(self) -> int:
        return len(self.train)

    def __getitem__(self, places: Rows) -> FloatArray:
        return self.normalization.apply(self.features[self.train[places]], self.replica)


class _Frozen:
    """A decay table that can be compared and hashed by its values, so that equal replicas share a schedule."""

    def __init__(self, decay: Any) -> None:
        self._decay = decay
        self._key = decay.model_dump_json()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._decay, name)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Frozen) and self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)
