"""One conformance test for every schedule: its formula, from α0, n and t, both counted from 1."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any, get_args

import numpy as np
import pytest

from dlrun.config import DecayConfig
from dlrun.optim.schedules import SCHEDULES, learning_rates

A0 = np.array([0.2, 0.05])  # two replicas

# name → the keys of [optimizer.decay], and α for each (n, t), from the formulas by hand.
EXPECTED: dict[str, list[tuple[dict[str, Any], dict[tuple[int, int], float]]]] = {
    "constant": [({}, {(1, 1): 0.2, (7, 99): 0.2})],
    "inverse_time": [
        ({"rate": 1.0}, {(1, 1): 0.1, (2, 1): 0.2 / 3, (3, 1): 0.05, (4, 9): 0.04}),
        ({"rate": 0.0}, {(5, 5): 0.2}),
    ],
    "exponential": [({"base": 0.95}, {(1, 1): 0.19, (2, 1): 0.1805, (3, 50): 0.171475})],
    "inverse_sqrt": [({"scale": 3.0}, {(1, 1): 0.6, (4, 17): 0.3, (9, 1): 0.2})],
    "inverse_sqrt_step": [({"scale": 3.0}, {(1, 1): 0.6, (1, 4): 0.3, (9, 36): 0.1})],
    "inverse_sqrt_rows": [
        ({"rows": 5}, {(1, 1): 0.04, (1, 4): 0.02}),
        ({"rows": None}, {(1, 1): 0.002, (3, 4): 0.001}),
    ],
    "staircase": [
        ({"factor": 0.5, "every": 10}, {(1, 1): 0.2, (10, 1): 0.2, (11, 1): 0.1, (20, 1): 0.1, (21, 1): 0.05}),
        ({"factor": 0.1, "every": 1}, {(1, 1): 0.2, (2, 1): 0.02, (3, 1): 0.002}),
    ],
    "manual": [({"values": {3: 0.1, 5: 0.01}}, {(1, 1): 0.2, (2, 1): 0.2, (3, 1): 0.1, (4, 1): 0.1, (9, 1): 0.01})],
    "cosine": [
        ({"epochs": 4, "final_fraction": 0.0}, {(1, 1): 0.2, (3, 1): 0.1, (5, 1): 0.0, (50, 1): 0.0}),
        (
            {"epochs": 4, "final_fraction": 0.5},
            {(1, 1): 0.2, (2, 1): 0.1 + 0.1 * (1 + math.sqrt(0.5)) / 2, (3, 1): 0.15, (5, 1): 0.1},
        ),
    ],
}
OF_ALPHA = set(EXPECTED) - {"manual"}  # all but `manual` are proportional to α0


def rates(decay: dict[str, Any], n: int, t: int, **more: Any) -> np.ndarray:
    steps = np.full((1, 2), float(t))
    return learning_rates(SimpleNamespace(**decay), A0, epoch=n, steps=steps, rows=100, **more)[0]


def test_every_schedule_is_covered() -> None:
    assert set(EXPECTED) == set(SCHEDULES)
    assert set(SCHEDULES) == set(get_args(DecayConfig.model_fields["name"].annotation))


@pytest.mark.parametrize("name", SCHEDULES)
def test_the_formula(name: str) -> None:
    for keys, table in EXPECTED[name]:
        for (n, t), alpha in table.items():
            found = rates({"name": name, **keys}, n, t)
            np.testing.assert_allclose(found[0], alpha, rtol=1e-14, atol=1e-17, err_msg=f"{name}, n={n}, t={t}")
            if name in OF_ALPHA:
                np.testing.assert_allclose(found[1], alpha / 4, rtol=1e-14, atol=1e-17)


@pytest.mark.parametrize("name", SCHEDULES)
def test_the_experiment_files_defaults_will_do(name: str) -> None:
    more = {"manual": {"values": {2: 0.1}}, "cosine": {"epochs": 3}}.get(name, {})
    decay = DecayConfig(name=name, **more)  # type: ignore[arg-type]
    for epoch in (1, 2, 5):
        steps = np.arange(1.0, 7.0)[:, None] * np.ones(2)
        found = learning_rates(decay, A0, epoch=epoch, steps=steps, rows=10)
        assert found.shape == steps.shape
        assert np.isfinite(found).all()
        assert (found >= 0).all()
        assert (found <= A0 * 1.000001).all() or name == "manual"


def test_the_table_of_the_texts() -> None:
    """α0 = 0.2 and rate 1: epochs 1 to 4 give 0.1, 0.0667, 0.05, 0.04."""
    found = [rates({"name": "inverse_time", "rate": 1.0}, n, 1)[0] for n in (1, 2, 3, 4)]
    assert [f"{alpha:.4f}".rstrip("0") for alpha in found] == ["0.1", "0.0667", "0.05", "0.04"]


@pytest.mark.parametrize("name", SCHEDULES)
def test_warming_up_raises_the_rate_step_by_step(name: str) -> None:
    """α·min(1, t/W), on top of any schedule."""
    decay = {"name": name, **EXPECTED[name][0][0]}
    for t in (1, 2, 4, 5, 400):
        np.testing.assert_allclose(rates(decay, 2, t, warmup_steps=4), rates(decay, 2, t) * min(1, t / 4), rtol=1e-15)


def test_replicas_at_steps_of_their_own() -> None:
    """Each replica has its own t: a stack of folds of unequal size."""
    steps = np.array([[1.0, 4.0], [9.0, 16.0]])
    found = learning_rates(SimpleNamespace(name="inverse_sqrt_step", scale=1.0), A0, epoch=1, steps=steps)
    np.testing.assert_allclose(found, A0 / np.sqrt(steps), rtol=1e-15)
