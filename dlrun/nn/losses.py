"""Losses: ℓ of a row from the network's last linear outputs z and the target y, before any mean.

Cross-entropies are computed from the logits, so that no probability is ever rounded to 0 before its logarithm
is taken:

    binary_cross_entropy  y ∈ {0, 1}, one output: ℓ = ln(1 + eᶻ) − y·z = −(y ln p + (1−y) ln(1−p)), p = 1/(1+e⁻ᶻ)
    cross_entropy         y one-hot of C: ℓ = ln Σ_c e^{z_c} − Σ_c y_c z_c = −ln p_y, p = softmax(z)
    squared_error         ℓ = Σ (z − y)²
    absolute_error        ℓ = Σ |z − y|
    huber                 ℓ = Σ h(z − y), h(e) = e²/2 for |e| ≤ 1, |e| − 1/2 beyond (Huber 1964)

A cost is the mean of ℓ over the rows of a batch, Σ wℓ/Σ w with weight 0 for padding; `sum_…` losses add ℓ
over the rows instead.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from dlrun.graph.arithmetic import absolute, exp, log, minimum, softplus, square
from dlrun.graph.node import Node
from dlrun.graph.reductions import reduce_max, reduce_sum
from dlrun.graph.shaping import stop_gradient


@dataclass(frozen=True)
class Loss:
    """ℓ(z, y): (R, B, C), (R, B, C) → (R, B, 1); `mean` over rows or their sum; what the outputs mean."""

    name: str
    of_row: Callable[[Node, Node], Node]
    task: str
    mean: bool = True
    one_output: bool = False
    in_one: Callable[[Node, Node, Node], Node] | None = None

    def of_batch(self, z: Node, y: Node, weight: Node) -> Node:
        """Σ wℓ over the rows (R, 1, 1); the weight is (R, B, 1), or one number for all rows."""
        if self.in_one is not None:
            return self.in_one(z, y, weight)
        if weight.rank == 0:
            return weight * reduce_sum(self.of_row(z, y), 1, keepdims=True)
        return reduce_sum(weight * self.of_row(z, y), 1, keepdims=True)


def _binary_cross_entropy(z: Node, y: Node) -> Node:
    return softplus(z) - y * z


def _cross_entropy(z: Node, y: Node) -> Node:
    """The largest logit is taken off first; it cancels, and no exponential overflows."""
    shifted = z - stop_gradient(reduce_max(z, -1, keepdims=True))
    total = reduce_sum(exp(shifted), -1, keepdims=True)
    return log(total) - reduce_sum(y * shifted, -1, keepdims=True)


def _cross_entropy_cost(z: Node, y: Node, weight: Node) -> Node:
    """Σ w ln Σ_c e^{z_c} − Σ w y z: the same cost in fewer passes, which training takes."""
    shifted = z - stop_gradient(reduce_max(z, -1, keepdims=True))
    total = reduce_sum(exp(shifted), -1, keepdims=True)
    if weight.rank == 0:
        of_total = weight * reduce_sum(log(total), 1, keepdims=True)
        return of_total - weight * reduce_sum(y * shifted, (1, 2), keepdims=True)
    of_total = reduce_sum(weight * log(total), 1, keepdims=True)
    return of_total - reduce_sum((weight * y) * shifted, (1, 2), keepdims=True)


def _squared_error(z: Node, y: Node) -> Node:
    return _over_outputs(square(z - y))


def _absolute_error(z: Node, y: Node) -> Node:
    return _over_outputs(absolute(z - y))


def _huber(z: Node, y: Node) -> Node:
    size = absolute(z - y)
    inner = minimum(size, 1)
    return _over_outputs(inner * (size - 0.5 * inner))


def _unknown(z: Node, y: Node) -> Node:
    """NaN: the loss of a cost whose Python function is not at hand (a model file holds no code)."""
    return 0 * reduce_sum(z * y, -1, keepdims=True) + float("nan")


def _over_outputs(errors: Node) -> Node:
    return errors if errors.shape[-1] == 1 else reduce_sum(errors, -1, keepdims=True)


LOSSES: dict[str, Loss] = {
    loss.name: loss
    for loss in (
        Loss("binary_cross_entropy", _binary_cross_entropy, "classification", one_output=True),
        Loss("sum_binary_cross_entropy", _binary_cross_entropy, "classification", False, one_output=True),
        Loss("cross_entropy", _cross_entropy, "classification", in_one=_cross_entropy_cost),
        Loss("sum_cross_entropy", _cross_entropy, "classification", False, in_one=_cross_entropy_cost),
        Loss("squared_error", _squared_error, "regression"),
        Loss("sum_squared_error", _squared_error, "regression", False),
        Loss("absolute_error", _absolute_error, "regression"),
        Loss("huber", _huber, "regression"),
    )
}

# What stands for a user's own cost where its function is not at hand: classes by softmax, or values as they are.
CUSTOM_LOSSES: dict[str, Loss] = {
    f"custom_{task}": Loss(f"custom_{task}", _unknown, task) for task in ("classification", "regression")
}


def loss_named(name: str) -> Loss:
    """The loss of that name; a user's own cost is "custom_classification" or "custom_regression"."""
    return CUSTOM_LOSSES[name] if name in CUSTOM_LOSSES else LOSSES[name]


def default_loss(task: str, classes: int) -> str:
    """The loss used where none is named."""
    if task == "regression":
        return "squared_error"
    return "binary_cross_entropy" if classes == 2 else "cross_entropy"
