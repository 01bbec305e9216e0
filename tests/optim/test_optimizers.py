"""One conformance suite for every optimizer: the equations as they are written, and what they are for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from backend.strict import StrictBackend

from dlrun.backend import Backend
from dlrun.optim.optimizers import OPTIMIZERS, Hyperparameters
from dlrun.optim.stepper import Stepper

Array = np.ndarray


# -- the equations, in float64, as the course texts and the papers write them -----------------------------


def descent(theta: Array, gradients: Iterator[Array], h: dict[str, Any]) -> Iterator[Array]:
    for g in gradients:
        theta = theta - h["learning_rate"] * g
        yield theta


def momentum(theta: Array, gradients: Iterator[Array], h: dict[str, Any]) -> Iterator[Array]:
    """v ← βv + (1−β)g, θ ← θ − αv"""
    v = np.zeros_like(theta)
    for g in gradients:
        v = h["beta1"] * v + (1 - h["beta1"]) * g
        theta = theta - h["learning_rate"] * v
        yield theta


def nesterov(theta: Array, gradients: Iterator[Array], h: dict[str, Any]) -> Iterator[Array]:
    """v ← βv + (1−β)g, θ ← θ − α(βv + (1−β)g): the step looks ahead along the new v"""
    v, beta = np.zeros_like(theta), h["beta1"]
    for g in gradients:
        v = beta * v + (1 - beta) * g
        theta = theta - h["learning_rate"] * (beta * v + (1 - beta) * g)
        yield theta


def rmsprop(theta: Array, gradients: Iterator[Array], h: dict[str, Any]) -> Iterator[Array]:
    """s ← βs + (1−β)g², θ ← θ − α·g/(√s + ε)"""
    s = np.zeros_like(theta)
    for g in gradients:
        s = h["beta2"] * s + (1 - h["beta2"]) * g**2
        theta = theta - h["learning_rate"] * g / (np.sqrt(s) + h["epsilon"])
        yield theta


def adam(theta: Array, gradients: Iterator[Array], h: dict[str, Any]) -> Iterator[Array]:
    """θ ← θ − α·(v/(1−β1ᵗ))/(√(s/(1−β2ᵗ)) + ε)"""
    v, s = np.zeros_like(theta), np.zeros_like(theta)
    for t, g in enumerate(gradients, start=1):
        v = h["beta1"] * v + (1 - h["beta1"]) * g
        s = h["beta2"] * s + (1 - h["beta2"]) * g**2
        corrected = v / (1 - h["beta1"] ** t), s / (1 - h["beta2"] ** t)
        theta = theta - h["learning_rate"] * corrected[0] / (np.sqrt(corrected[1]) + h["epsilon"])
        yield theta


def adamw(theta: Array, gradients: Iterator[Array], h: dict[str, Any]) -> Iterator[Array]:
    """Adam, and θ loses αλθ besides, which never enters the averages"""
    kept: list[Array] = []
    v, s = np.zeros_like(theta), np.zeros_like(theta)
    for t, g in enumerate(gradients, start=1):
        v = h["beta1"] * v + (1 - h["beta1"]) * g
        s = h["beta2"] * s + (1 - h["beta2"]) * g**2
        step = v / (1 - h["beta1"] ** t) / (np.sqrt(s / (1 - h["beta2"] ** t)) + h["epsilon"])
        theta = theta - h["learning_rate"] * h["weight_decay"] * theta - h["learning_rate"] * step
        kept.append(theta)
        yield theta


AS_WRITTEN: dict[str, Callable[..., Iterator[Array]]] = {
    "gradient_descent": descent,
    "momentum": momentum,
    "nesterov": nesterov,
    "rmsprop": rmsprop,
    "adam": adam,
    "adamw": adamw,
}
SETTINGS: list[dict[str, Any]] = [
    {"learning_rate": 0.1, "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8, "weight_decay": 0.0},
    {"learning_rate": 0.01, "beta1": 0.5, "beta2": 0.9, "epsilon": 0.3, "weight_decay": 0.1},
    {"learning_rate": 1.0, "beta1": 0.0, "beta2": 0.0, "epsilon": 1e-3, "weight_decay": 0.01},
]


def test_every_optimizer_is_covered() -> None:
    assert set(AS_WRITTEN) == set(OPTIMIZERS)
    assert all(name == optimizer.name for name, optimizer in OPTIMIZERS.items())


@pytest.fixture(params=["device", "strict"])
def compute(request: pytest.FixtureRequest, backend: Backend) -> Backend:
    return backend if request.param == "device" else StrictBackend()


def walk(
    backend: Backend,
    name: str,
    theta: Array,
    gradient_of: Callable[[Array, int], Array],
    steps: int,
    h: Hyperparameters,
    *,
    rates: Array | None = None,
    threads: Any = None,
    **clipping: float,
) -> list[Array]:
    """θ after each step; `gradient_of(θ, t)` on the host."""
    place, gradient = backend.to_device(theta), backend.zeros(theta.shape, theta.dtype)
    stepper = Stepper(backend, OPTIMIZERS[name], place, gradient, **clipping)
    t = np.arange(1, steps + 1, dtype=np.float64)[:, None] * np.ones(len(theta))
    coefficients = stepper.coefficients(t, np.broadcast_to(h.learning_rate, t.shape) if rates is None else rates, h)
    path = []
    for step in range(steps):
        now = np.array(backend.to_host(place))
        backend.xp.copyto(gradient, backend.to_device(gradient_of(now, step + 1), theta.dtype))
        with backend.quiet():
            stepper.step(coefficients[step], threads)
        path.append(np.array(backend.to_host(place)))
    return path


def recorded_gradients(shape: tuple[int, ...], steps: int) -> Array:
    """Gradients that grow, shrink, change sign and vanish."""
    random = np.random.default_rng(3)
    g = random.normal(size=(steps, *shape)) * np.logspace(-6, 3, steps)[:, None, None]
    g[2] = 0
    g[:, 0, 0] = 0
    return g


@pytest.mark.parametrize("h", SETTINGS, ids=["usual", "coarse ε", "no memory"])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_steps_are_those_of_the_equations(name: str, h: dict[str, Any], compute: Backend) -> None:
    theta, steps = np.random.default_rng(0).normal(size=(1, 7)), 12
    gradients = recorded_gradients(theta.shape, steps)
    found = walk(compute, name, theta, lambda now, t: gradients[t - 1], steps, Hyperparameters.of(**h))
    for t, (ours, theirs) in enumerate(zip(found, AS_WRITTEN[name](theta, iter(gradients), h), strict=True), start=1):
        np.testing.assert_allclose(ours, theirs, rtol=1e-11, atol=1e-13, err_msg=f"{name}, step {t}")


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_float32_follows_float64(name: str) -> None:
    h = SETTINGS[0]
    theta, steps = np.random.default_rng(0).normal(size=(1, 7)), 12
    gradients = recorded_gradients(theta.shape, steps)
    found = walk(
        Backend(), name, theta.astype("float32"), lambda now, t: gradients[t - 1], steps, Hyperparameters.of(**h)
    )
    expected = list(AS_WRITTEN[name](theta, iter(gradients), h))
    assert found[-1].dtype == np.float32
    np.testing.assert_allclose(found[-1], expected[-1], rtol=2e-5, atol=2e-6)


def test_the_first_steps_in_closed_form() -> None:
    """From θ = 1 with g = 4: what the definitions give by hand."""
    theta, g = np.ones((1, 1)), np.full((1, 1), 4.0)
    h = Hyperparameters.of(learning_rate=0.1, beta1=0.9, beta2=0.999, epsilon=1e-8)
    first = {name: walk(Backend(), name, theta, lambda now, t: g, 1, h)[0].item() for name in OPTIMIZERS}
    assert first["gradient_descent"] == pytest.approx(1 - 0.1 * 4, rel=1e-15)
    assert first["momentum"] == pytest.approx(1 - 0.1 * (0.1 * 4), rel=1e-15)
    assert first["nesterov"] == pytest.approx(1 - 0.1 * (0.9 * 0.4 + 0.1 * 4), rel=1e-15)
    assert first["rmsprop"] == pytest.approx(1 - 0.1 * 4 / (np.sqrt(0.001 * 16) + 1e-8), rel=1e-14)
    assert first["adam"] == first["adamw"] == pytest.approx(1 - 0.1 * 4 / (4 + 1e-8), rel=1e-14)


def test_where_epsilon_stands() -> None:
    """Outside the root, after the correction of s: with g = 1e-3 and ε = 1e-3, Adam's first step is α/2."""
    theta, g = np.zeros((1, 1)), np.full((1, 1), 1e-3)
    h = Hyperparameters.of(learning_rate=1.0, epsilon=1e-3)
    (after,) = walk(Backend(), "adam", theta, lambda now, t: g, 1, h)
    assert after.item() == pytest.approx(-0.5, rel=1e-12)


def test_adam_is_exact_after_many_steps() -> None:
    """1 − β2ᵗ for t from 1 to 10⁶ and β2 close to 1, where a difference of floats would lose digits."""
    h = Hyperparameters.of(learning_rate=1.0, beta1=0.9, beta2=1 - 1e-12, epsilon=0.0)
    t = np.array([[1.0], [1000.0], [1e6]])
    c = OPTIMIZERS["adam"].coefficients(t, np.ones_like(t), h)
    np.testing.assert_allclose(c["rate"] * (1 - 0.9**t) / 0.1, np.sqrt(t), rtol=1e-4)  # (1 − β2ᵗ)/(1 − β2) ≈ t


# -- what they are for -----------------------------------------------------------------------------

TO_PARABOLA = {
    "gradient_descent": 0.1, "momentum": 0.1, "nesterov": 0.1, "rmsprop": 0.01, "adam": 0.1, "adamw": 0.1,
}  # fmt: skip
TO_ROSENBROCK = {
    "gradient_descent": (0.002, 20_000), "momentum": (0.005, 8_000), "nesterov": (0.005, 8_000),
    "rmsprop": (0.001, 8_000), "adam": (0.02, 3_000), "adamw": (0.02, 3_000),
}  # fmt: skip


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_bottom_of_a_parabola_is_found(name: str) -> None:
    h = Hyperparameters.of(learning_rate=TO_PARABOLA[name])
    path = walk(Backend(), name, np.array([[0.0, -3.0]]), lambda now, t: 2 * now - np.array([10.0, 2.0]), 700, h)
    np.testing.assert_allclose(path[-1], [[5.0, 1.0]], atol=0.02)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_bottom_of_rosenbrocks_valley_is_found(name: str) -> None:
    """(1−x)² + 100(y−x²)², from (−1.2, 1) to (1, 1)."""

    def gradient(now: Array, t: int) -> Array:
        x, y = now[:, 0], now[:, 1]
        return np.stack([-2 * (1 - x) - 400 * x * (y - x**2), 200 * (y - x**2)], 1)

    rate, steps = TO_ROSENBROCK[name]
    path = walk(Backend(), name, np.array([[-1.2, 1.0]]), gradient, steps, Hyperparameters.of(learning_rate=rate))
    np.testing.assert_allclose(path[-1], [[1.0, 1.0]], atol=0.02)


# -- replicas --------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("clipping", [{}, {"clip_norm": 0.5, "clip_value": 0.7}], ids=["plain", "clipped"])
def test_replicas_take_the_steps_that_they_would_take_alone(name: str, dtype: str, clipping: dict[str, float]) -> None:
    """Four replicas with hyperparameters and learning rates of their own: bit for bit."""
    R, P, steps = 4, 33, 6
    random = np.random.default_rng(1)
    theta = random.normal(size=(R, P)).astype(dtype)
    gradients = random.normal(size=(steps, R, P))
    h = Hyperparameters.of(
        R,
        learning_rate=[0.1, 0.01, 0.001, 0.3],
        beta1=[0.9, 0.5, 0.0, 0.99],
        beta2=[0.999, 0.9, 0.5, 0.0],
        epsilon=[1e-8, 1e-3, 1e-6, 1e-8],
        weight_decay=[0.0, 0.1, 0.01, 0.5],
    )
    rates = random.uniform(0.01, 0.1, (steps, R))
    with ThreadPoolExecutor(1) as pool:
        together = walk(
            Backend(), name, theta, lambda now, t: gradients[t - 1], steps, h, rates=rates, threads=pool, **clipping
        )
    for r in range(R):
        alone = walk(
            Backend(),
            name,
            theta[r : r + 1],
            lambda now, t, r=r: gradients[t - 1, r : r + 1],
            steps,
            h.take(np.array([r])),
            rates=rates[:, r : r + 1],
            **clipping,
        )
        np.testing.assert_array_equal(np.stack(alone)[:, 0], np.stack(together)[:, r])


# -- clipping --------------------------------------------------------------------------------------


def one_step(g: list[list[float]], **clipping: float) -> list[list[float]]:
    """−(the clipped gradient): one step of gradient descent from 0 with α = 1."""
    theta = np.zeros_like(np.array(g))
    h = Hyperparameters.of(len(g), learning_rate=1.0)
    (after,) = walk(Backend(), "gradient_descent", theta, lambda now, t: np.array(g), 1, h, **clipping)
    return (-after).tolist()


def test_a_long_gradient_is_shortened_by_replica() -> None:
    g = [[3.0, 4.0], [0.3, 0.4], [0.0, 0.0]]
    np.testing.assert_allclose(one_step(g, clip_norm=1.0), [[0.6, 0.8], [0.3, 0.4], [0.0, 0.0]], rtol=1e-15)


def test_components_are_held_within_a_value_first() -> None:
    np.testing.assert_allclose(one_step([[3.0, -4.0, 0.5]], clip_value=1.0), [[1.0, -1.0, 0.5]])
    np.testing.assert_allclose(one_step([[30.0, 40.0]], clip_value=3.0, clip_norm=3.0), [[3 / 2**0.5] * 2], rtol=1e-15)


def test_the_state_goes_on_where_it_was_saved() -> None:
    theta, h = np.ones((1, 3)), Hyperparameters.of(learning_rate=0.1)
    gradients = np.random.default_rng(0).normal(size=(6, 1, 3))
    whole = walk(Backend(), "adam", theta, lambda now, t: gradients[t - 1], 6, h)
    backend = Backend()
    place, gradient = theta.copy(), np.zeros((1, 3))
    first = Stepper(backend, OPTIMIZERS["adam"], place, gradient)
    t = np.arange(1.0, 7.0)[:, None]
    coefficients = first.coefficients(t, np.full_like(t, 0.1), h)
    for step in range(3):
        gradient[:] = gradients[step]
        first.step(coefficients[step])
    saved = {slot: array.copy() for slot, array in first.state.items()}
    second = Stepper(backend, OPTIMIZERS["adam"], place, gradient, state=saved)
    for step in range(3, 6):
        gradient[:] = gradients[step]
        second.step(coefficients[step])
    np.testing.assert_array_equal(place, whole[-1])
