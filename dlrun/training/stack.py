"""A stack: replicas of one architecture trained at once, on one leading axis.

Each replica has its own rows, order, masks, scaling and hyperparameters, and each gets the result that it would
get alone: nothing but the shape of the arrays depends on who else is in the stack.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from dlrun.backend import Array, Backend
from dlrun.graph.elementwise import ElementwiseProgram
from dlrun.graph.node import placeholder
from dlrun.nn.features import live_features
from dlrun.nn.losses import loss_named
from dlrun.nn.network import Architecture
from dlrun.optim.optimizers import OPTIMIZERS, Hyperparameters
from dlrun.optim.schedules import learning_rates
from dlrun.optim.stepper import Stepper
from dlrun.rng import fold_in, generator, permutations, stream_keys
from dlrun.training.augment import Augment, Augmentation
from dlrun.training.batch_plan import BatchPlan
from dlrun.training.compiled_epochs import Batches, CompiledEpochs, Updates
from dlrun.training.epoch_order import block_rows, two_level_order, window_batches
from dlrun.training.replica import Replica
from dlrun.training.rows import Adjustment, BatchBuffer, Copies, Normalization, RowStore, batch_index

FloatArray = npt.NDArray[np.float64]
CHECK_EVERY = 64  # steps between looks at whether any replica still has a finite cost


@dataclass(frozen=True, kw_only=True)
class StackSettings:
    """What all replicas of a stack share besides the architecture."""

    optimizer: str = "adam"
    batch_size: int | None = 64  # None is full batches
    shuffle: bool = True
    large: bool = False  # the table is shuffled in two levels (`epoch_order`)
    clip_norm: float | None = None
    clip_value: float | None = None
    batch_norm_momentum: float = 0.9
    augment: Augment | None = None

    @property
    def updates(self) -> Updates:
        """What of them is compiled."""
        return Updates(self.optimizer, self.clip_norm, self.clip_value)


class Stack:
    """R replicas on a backend: parameters, optimizer state, plans. Rows of `theta` are replicas, in order."""

    def __init__(
        self,
        backend: Backend,
        net: Architecture,
        settings: StackSettings,
        store: RowStore,
        normalization: Normalization,
        replicas: Sequence[Replica],
        *,
        theta: FloatArray | None = None,
        statistics: FloatArray | None = None,
        tensors: Mapping[str, FloatArray] | None = None,
        threads: Executor | None = None,
        company: Sequence[Replica] | None = None,
    ) -> None:
        """`company` are all replicas that are trained alike, these among them; left out, these alone.

        Batches are as high as the company needs, so that how it is divided into stacks, and who has left, changes
        no bit of anyone's result.
        """
        self.company = list(replicas) if company is None else company
        self.backend, self.net, self.settings, self.store = backend, net, settings, store.own()
        self.replicas, self.normalization, self.threads = list(replicas), normalization, threads
        self.R = len(replicas)
        dtype = store.dtype
        first = [self._first_row(r, place) for place, r in enumerate(replicas)] if theta is None else theta
        self.theta = backend.to_device(np.stack(list(first)), dtype)
        running = net.initial_statistics()
        first_statistics = np.stack([running] * self.R) if statistics is None else statistics
        self.statistics = backend.to_device(first_statistics, dtype)
        host = tensors or {}
        self.fixed: dict[str, Array] = {name: backend.to_device(value, dtype) for name, value in host.items()}
        self.steps = np.zeros(self.R, np.int64)  # updates made so far
        self.step_counts = np.zeros((0, self.R), np.int64)  # rows in each batch of the last epoch (S, R)
        self.cores = 1  # threads that share the replicas where steps are compiled
        self.before_update: Callable[[Array], None] | None = None  # is shown θ (R, P) at every step
        self.adjustment: Adjustment | Copies | None = store.adjustment(normalization)
        self._allocate(None)

    def _first_row(self, replica: Replica, place: int) -> FloatArray:
        """First weights. A column that is 0 in all training rows (a category that none of them has) gets weights 0,
        and the others are drawn as if it was not there: it is known from other rows alone."""
        net, random = self.net, generator(replica.seed, replica.stream, "initial weights")
        if net.input_shape is not None:  # the numbers of a picture share their weights
            return np.asarray(net.initial_row(replica.initialization, replica.scale, random))
        live = self.normalization.scale[place] != 0
        features = live_features(net.feature_map, live)
        if features.all() or not live.any():
            return np.asarray(net.initial_row(replica.initialization, replica.scale, random))
        known = dataclasses.replace(net, inputs=int(live.sum()))
        row = np.asarray(known.initial_row(replica.initialization, replica.scale, random))
        W1 = np.zeros(net.slots[0].shape)
        W1[features] = row[: known.slots[0].stop].reshape(known.slots[0].shape)
        return np.concatenate([W1.ravel(), row[known.slots[0].stop :]])

    def _allocate(self, state: Mapping[str, Array] | None) -> None:
        """Gradient, optimizer and empty plan caches for the present θ."""
        backend, settings, dtype = self.backend, self.settings, self.store.dtype
        self.gradient = backend.zeros(self.theta.shape, dtype)
        self.batch_statistics = backend.zeros(self.statistics.shape, dtype)
        self.stepper = Stepper(
            backend,
            OPTIMIZERS[settings.optimizer],
            self.theta,
            self.gradient,
            clip_norm=settings.clip_norm,
            clip_value=settings.clip_value,
            state=state,
        )
        self.hyperparameters = Hyperparameters.of(
            self.R,
            **{
                name: np.array([getattr(r, name) for r in self.replicas])
                for name in ("learning_rate", "beta1", "beta2", "epsilon", "weight_decay")
            },
        )
        seeds, numbers = [r.seed for r in self.replicas], [r.stream for r in self.replicas]
        self._order_keys = stream_keys(seeds, numbers, "batch order")
        self.keys = stream_keys(seeds, numbers, "dropout")
        self._augment_keys = stream_keys(seeds, numbers, "augmentation")
        self._plans: dict[tuple[int, bool], BatchPlan] = {}
        self._running = self._running_averages() if self.net.statistics else None
        self._whole_batch: int | None = None
        self.__dict__.pop("compiled", None)

    @cached_property
    def compiled(self) -> CompiledEpochs | None:
        """The steps as compiled functions, where the engine is that and covers them."""
        if self.backend.engine != "compiled" or not self.store.in_memory or self.settings.augment is not None:
            return None
        updates, shapes = self.settings.updates, self.batch_shapes
        return CompiledEpochs.of(self.net, updates, shapes, self.store.rows, self.adjustment, self.replicas)

    def _running_averages(self) -> tuple[ElementwiseProgram, Array]:
        """running ← running + w·(batch − running), w per replica."""
        dtype = self.store.dtype
        running, batch, w = (placeholder((None, None), dtype) for _ in range(3))
        weight = self.backend.zeros((self.R, 1), dtype)
        program = ElementwiseProgram(
            self.backend,
            [(running + w * (batch - running), self.statistics)],
            {running: self.statistics, batch: self.batch_statistics, w: weight},
        )
        return program, weight

    @cached_property
    def lengths(self) -> npt.NDArray[np.int64]:
        """The number of training rows of each replica."""
        return np.array([len(r.train) for r in self.replicas])

    def batch_rows(self) -> int:
        """B: rows per batch of the replica that has most."""
        longest = self._longest
        return longest if self.settings.batch_size is None else min(self.settings.batch_size, longest)

    @cached_property
    def _longest(self) -> int:
        return max(len(r.train) for r in self.company)

    @cached_property
    def batch_shapes(self) -> list[tuple[int, bool]]:
        """Of each batch of an epoch its height, and whether it is even: as many rows of every replica's."""
        lengths = np.array([len(r.train) for r in self.company])
        B = self.batch_rows()
        counts = np.clip(lengths - np.arange(-(-int(lengths.max()) // B))[:, None] * B, 0, B)  # (S, company)
        counts = self._without_single_rows(counts, lengths)
        return [(int(each.max()), bool((each == each.max()).all())) for each in counts]

    def _without_single_rows(
        self, counts: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.int64]:
        """One row has no variance: with batch normalization such a last batch waits for the next order."""
        return np.where((counts == 1) & (lengths > 1), 0, counts) if self.net.statistics else counts

    # -- one epoch -----------------------------------------------------------------------------

    def epoch_rows(self, epoch: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Row numbers (S, R, B) and counts of real rows (S, R) of an epoch, from (seed, replica, epoch) alone.

        A replica whose rows fit one batch keeps their order, which would change nothing but rounding. Whether they
        fit follows from its own rows, never from those of the others.
        """
        B = self.batch_rows()
        size = self.settings.batch_size
        shuffled = self.lengths > size if self.settings.shuffle and size is not None else np.zeros(self.R, bool)
        orders = [r.train for r in self.replicas]
        if shuffled.any():
            keys = fold_in(self._order_keys, epoch)
            if self.settings.large:
                orders = self._large_orders(keys, shuffled)
            else:
                places = permutations(keys, self.lengths)
                for r in np.flatnonzero(shuffled):
                    orders[r] = orders[r][places[r, : len(orders[r])]]
        index, counts = batch_index(orders, B, self.store.padding)
        return index, self._without_single_rows(counts, self.lengths)

    def _large_orders(
        self, keys: npt.NDArray[np.uint64], shuffled: npt.NDArray[np.bool_]
    ) -> list[npt.NDArray[np.int64]]:
        """The rows of a large table, shuffled in two levels."""
        size, d = self.settings.batch_size or 1, self.net.inputs
        sizes = {"window": size * window_batches(d, size), "block": block_rows(d)}
        return [
            _ascending(r.train)[two_level_order(key, len(r.train), **sizes)] if mixed else r.train
            for key, r, mixed in zip(keys, self.replicas, shuffled.tolist(), strict=True)
        ]

    def learning_rates(self, epoch: int, t: FloatArray) -> FloatArray:
        """α (S, R) of an epoch's steps t."""
        rates = np.broadcast_to(self.hyperparameters.learning_rate, t.shape).copy()
        groups: dict[Any, list[int]] = {}
        for r, replica in enumerate(self.replicas):
            if replica.decay is not None or replica.warmup_steps:
                groups.setdefault((replica.decay, replica.warmup_steps, len(replica.train)), []).append(r)
        for (decay, warmup, rows), members in groups.items():
            alpha = self.hyperparameters.learning_rate[members]
            steps = t[:, members]
            rates[:, members] = learning_rates(decay, alpha, epoch=epoch, steps=steps, rows=rows, warmup_steps=warmup)
        return rates

    def run_epoch(self, epoch: int) -> tuple[FloatArray, FloatArray]:
        """Train through the rows once. Returns batch costs (S, R), without penalty, and learning rates (S, R)."""
        backend = self.backend
        index, counts = self.epoch_rows(epoch)
        self.store.announce(index)
        self.step_counts = counts
        taken = counts > 0
        t = self.steps + np.maximum(np.cumsum(taken, axis=0), 1)
        rates = self.learning_rates(epoch, t.astype(np.float64))
        coefficients = self.stepper.coefficients(t.astype(np.float64), rates, self.hyperparameters)
        if self.compiled is not None:
            averaging = self.averaging_weights(t) if self._running else None
            keys = fold_in(self.keys, epoch)
            batches = Batches(index, counts, self.batch_shapes, coefficients, averaging, keys)
            own = self._run_compiled(self.compiled, batches)
            self.steps = self.steps + taken.sum(axis=0)
            return np.where(taken, own.astype(np.float64), np.nan), rates
        costs = backend.zeros(taken.shape, self.store.dtype)
        weights = backend.to_device(self.averaging_weights(t)[..., None], costs.dtype) if self._running else None
        epoch_keys = fold_in(backend.to_device(self.keys, np.uint64), epoch, backend.xp)
        augment_keys = fold_in(backend.to_device(self._augment_keys, np.uint64), epoch, backend.xp)
        with backend.quiet():
            for s in map(int, np.flatnonzero(taken.any(axis=1))):
                batch = self._batch(index[s], counts[s], *self.batch_shapes[s])
                if batch.augmentation is not None:
                    batch.augmentation.apply(augment_keys, s)
                if batch.masks is not None:
                    batch.masks.draw(epoch_keys, s)
                batch.weigh(backend.xp)
                batch.plan.run()
                backend.xp.copyto(costs[s], batch.cost)
                if self.before_update is not None:
                    self.before_update(self.theta)
                self._update(coefficients[s], weights[s] if weights is not None else None, taken[s])
                if s % CHECK_EVERY == CHECK_EVERY - 1 and not bool(backend.xp.isfinite(costs[s]).any()):
                    taken, t, rates = taken[: s + 1], t[: s + 1], rates[: s + 1]
                    costs, self.step_counts = costs[: s + 1], counts[: s + 1]
                    break  # every replica has diverged
        self.steps = self.steps + taken.sum(axis=0)
        host = backend.to_host(costs).astype(np.float64)
        return np.where(taken, host, np.nan), rates

    def _run_compiled(self, compiled: CompiledEpochs, batches: Batches) -> npt.NDArray[Any]:
        """The costs (S, R) of batches that compiled steps were made with."""
        state = {f"state{k}": array for k, array in enumerate(self.stepper.state.values())}
        learned = {"theta": self.theta, "statistics": self.statistics, **state, **self.fixed}
        watch = self.before_update
        return compiled.run(
            learned, batches, cores=self.cores, before_step=None if watch is None else lambda: watch(self.theta)
        )

    def _batch(self, index: npt.NDArray[np.int64], counts: npt.NDArray[np.int64], B: int, even: bool) -> BatchPlan:
        """The plan for this batch with its rows gathered."""
        plan = self._plans.get((B, even))
        if plan is None:
            plan = self._plans[B, even] = self._new_plan(B, even)
            plan.set_counts(self.backend, counts, self.replicas)
        elif not even:
            plan.set_counts(self.backend, counts, self.replicas)
        if self.settings.batch_size is None and self._whole_batch == B and self.settings.augment is None:
            return plan  # the same rows as in the epoch before
        self._whole_batch = B
        rows = index if index.shape[1] == B else np.ascontiguousarray(index[:, :B])
        plan.buffer.gather(rows)
        return plan

    def _new_plan(self, B: int, even: bool) -> BatchPlan:
        """A plan bound to the arrays of the present stack."""
        backend, augment, n = self.backend, self.settings.augment, self.normalization
        buffer = BatchBuffer(backend, self.store, self.adjustment, self.R, B)
        return BatchPlan(
            backend,
            self.net,
            self.replicas,
            buffer,
            Augmentation(backend, augment, buffer.x, shift=n.shift, scale=n.scale) if augment is not None else None,
            even=even,
            parameters=self.net.block_views(self.theta) | self.fixed,
            gradient=self.gradient,
            batch_statistics=self.batch_statistics,
        )

    def averaging_weights(self, t: npt.NDArray[np.int64]) -> FloatArray:
        """(1−β)/(1−βᵗ): with these weights a running average is the bias-corrected one, v/(1−βᵗ)."""
        beta = self.settings.batch_norm_momentum
        return np.asarray((1 - beta) / (1 - beta**t))

    def _update(self, coefficients: Array, weight: Array | None, taken: npt.NDArray[np.bool_]) -> None:
        """One step of the optimizer; replicas without a row in this batch keep everything as it was."""
        idle = np.flatnonzero(~taken)
        kept = [(a, a[idle].copy()) for a in self._state_arrays()] if idle.size else []
        self.stepper.step(coefficients, self.threads)
        if self._running is not None and weight is not None:
            program, place = self._running
            self.backend.xp.copyto(place, weight)
            program.run()
        for array, rows in kept:
            array[idle] = rows

    def _state_arrays(self) -> list[Array]:
        return [self.theta, self.statistics, *self.stepper.state.values()]

    # -- leaving -------------------------------------------------------------------------------

    def keep(self, places: npt.NDArray[np.int64]) -> None:
        """Go on with the replicas at these places only; their numbers are untouched."""
        at = places if self.backend.name == "cpu" else self.backend.to_device(places)
        state = {slot: array[at].copy() for slot, array in self.stepper.state.items()}
        self.theta = self.theta[at].copy()
        self.statistics = self.statistics[at].copy()
        self.fixed = {name: array[at].copy() for name, array in self.fixed.items()}
        self.replicas = [self.replicas[place] for place in places]
        self.normalization = self.normalization.take(places)
        self.adjustment = None if self.adjustment is None else self.adjustment.take(at)
        self.steps = self.steps[places]
        self.R = len(places)
        self.__dict__.pop("lengths", None)
        self._allocate(state)

    @property
    def mean_loss(self) -> bool:
        """Whether a cost is a mean over rows, or a sum."""
        return loss_named(self.net.loss).mean

    @property
    def bytes(self) -> int:
        """Memory of parameters, state and plans."""
        arrays = [self.gradient, *self._state_arrays()]
        own: int = sum(math.prod(a.shape) * int(a.dtype.itemsize) for a in arrays)
        return own + sum(plan.plan.bytes + int(plan.buffer.array.nbytes) for plan in self._plans.values())


def _ascending(rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The rows in the order of the table, in which they nearly always are: neighbours make the blocks."""
    return rows if (rows[1:] >= rows[:-1]).all() else np.sort(rows)
