"""What is shared between the copies of a gradient check must not change what they cost."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from dlrun.diagnosis.narrow import route
from dlrun.diagnosis.noise import rounding_error
from dlrun.nn.network import NetworkGraph

if TYPE_CHECKING:
    from tests.diagnosis.conftest import Checked

NETWORKS: dict[str, dict[str, Any]] = {
    "one hidden layer": {},
    "linear": {"hidden": ()},
    "one output": {"hidden": (), "outputs": 1, "loss": "binary_cross_entropy"},
    "no bias": {"bias": False, "hidden": (4, 3)},
    "narrow layers": {"hidden": (4, 1, 3), "outputs": 1, "loss": "squared_error"},
    "batch normalization": {"batch_norm": True, "hidden": (4, 3)},
    "masks and penalties": {"dropout": (True, False), "hidden": (4, 3), "l2": True, "l1": True},
    "polynomial": {"feature_map": SimpleNamespace(name="polynomial", degree=2)},
    "rbf": {"feature_map": SimpleNamespace(name="rbf", count=4, gamma=0.1)},
    "sums": {"loss": "sum_cross_entropy", "activation": "tanh"},
}


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize(("chunk_bytes", "forked"), [(1, 1 << 40), (1 << 20, 1 << 40), (1 << 20, 1)])
def test_costs_of_moved_components_are_those_of_whole_rows(
    name: str, chunk_bytes: int, forked: int, checked: Checked, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every component moved in a full copy of θ, and the cost computed as training does, with nothing shared."""
    monkeypatch.setattr("dlrun.diagnosis.probes.CHUNK_BYTES", chunk_bytes)
    monkeypatch.setattr("dlrun.diagnosis.probes.FORKED", forked)
    surface = checked(**NETWORKS[name]).surface()
    P, epsilon = surface.net.parameters, 0.05
    moved = surface.moved(np.arange(P), epsilon, jobs=2)
    ahead = surface.costs(surface.theta + epsilon * np.eye(P))
    behind = surface.costs(surface.theta - epsilon * np.eye(P))
    here = surface.costs(surface.theta[None])[0]
    scale = max(abs(here), 1.0)
    assert surface.cost == pytest.approx(here, rel=1e-13)
    np.testing.assert_allclose(moved.ahead, ahead - here, rtol=0, atol=2e-13 * scale)
    np.testing.assert_allclose(moved.behind, here - behind, rtol=0, atol=2e-13 * scale)


def test_a_column_is_carried_as_a_column_until_the_next_product(checked: Checked) -> None:
    """The copies of W1 have one hidden unit each, not all of them."""
    net = checked(hidden=(50,), outputs=2, batch_norm=True).net
    graph = NetworkGraph(net, None, 12, training=True, even=True)
    found = route(graph.cost, graph.blocks["W1"])
    assert found is not None
    assert found.width == 12 * 2  # the logits: 12 rows of 2
    assert len(found.boundaries) == 1
    assert route(graph.row_losses, graph.leaves["y"]) is not None
    assert route(graph.batch_statistics["mean1"], graph.blocks["A2"]) is None  # does not depend on it


def test_some_components_alone(checked: Checked) -> None:
    surface = checked(hidden=(6, 4)).surface()
    everything = surface.moved(np.arange(surface.net.parameters), 1e-3)
    chosen = np.array([3, 17, 36, 40, 66, 70])
    some = surface.moved(chosen, 1e-3)
    np.testing.assert_allclose(some.ahead, everything.ahead[chosen], rtol=1e-9, atol=1e-15)


def test_rounding_error_is_that_of_the_added_noise() -> None:
    """J is a parabola with normal noise of a known size in place of rounding."""
    random = np.random.default_rng(0)

    def costs(rows: np.ndarray[Any, Any]) -> Any:
        return (rows**2).sum(axis=1) + 1e-10 * random.standard_normal(len(rows))

    assert rounding_error(costs, np.ones(3)) == pytest.approx(1e-10, rel=0.8)
