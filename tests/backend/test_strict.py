"""The stand-in for CuPy refuses what it is there to refuse."""

from __future__ import annotations

import numpy as np
import pytest
from backend.strict import MixingError, StrictBackend

from dlrun.backend import Backend, select_backend
from dlrun.errors import MachineError


@pytest.fixture
def strict() -> StrictBackend:
    return StrictBackend()


def test_arrays_do_not_turn_into_values_of_the_host(strict: StrictBackend) -> None:
    x = strict.to_device([1.0, 2.0])
    for misuse in (
        np.asarray,
        np.sum,
        float,
        int,
        bool,
        list,
        sorted,
        lambda a: np.add(a, a),
        lambda a: a[0] * 1.0 or 0,
    ):
        with pytest.raises((MixingError, TypeError)):
            misuse(x)


def test_arrays_of_the_host_are_refused(strict: StrictBackend) -> None:
    x, host = strict.to_device([1.0, 2.0]), np.ones(2)
    xp = strict.xp
    for misuse in (
        lambda: x + host,
        lambda: host + x,
        lambda: xp.add(x, host),
        lambda: xp.add(x, x, host),
        lambda: xp.add(x, np.asarray(1.0)),
        lambda: xp.copyto(x, host),
        lambda: x[np.array([0, 1])],
        lambda: xp.take(x, np.array([0]), 0),
        lambda: x.__setitem__(0, host),
    ):
        with pytest.raises((MixingError, TypeError)):
            misuse()


def test_only_what_cupy_has(strict: StrictBackend) -> None:
    x = strict.zeros((2, 2), "float32")
    with pytest.raises(AttributeError):
        strict.xp.einsum_path  # noqa: B018
    with pytest.raises(AttributeError):
        x.setflags  # noqa: B018
    with pytest.raises(AssertionError):
        strict.xp.take(x, strict.to_device([0]), 0, mode="clip")
    with pytest.raises(TypeError):
        strict.xp.add(x, x, x, where=x)
    with pytest.raises(AssertionError):
        strict.xp.add(x, x, strict.zeros((2,), "float32"))


def test_crossing_is_explicit_and_checked(strict: StrictBackend) -> None:
    x = strict.to_device(np.arange(3.0))
    np.testing.assert_array_equal(strict.to_host(x), [0.0, 1.0, 2.0])
    with pytest.raises(MachineError, match=r"gpu backend computes with .*StrictArray and was given numpy.ndarray"):
        strict.to_host(np.ones(2))
    with pytest.raises(MachineError, match="on the device already"):
        strict.to_device(x)
    with pytest.raises(MachineError, match=r"cpu backend computes with numpy.ndarray and was given .*StrictArray"):
        Backend().to_host(x)


def test_views_share_memory_and_say_so(strict: StrictBackend) -> None:
    x = strict.zeros((3, 4), "float32")
    view = x.reshape(4, 3)
    view[0, 0] = 5
    assert strict.to_host(x)[0, 0] == 5
    assert strict.pointer(view) == strict.pointer(x) != strict.pointer(x[1])


def test_a_device_array_is_named_when_given_to_the_cpu() -> None:
    class Foreign:
        __cuda_array_interface__ = {"shape": (1,)}  # noqa: RUF012

    with pytest.raises(MachineError, match=r"takes arrays of the host and was given .*Foreign"):
        Backend().to_device(Foreign())


def test_asking_for_a_gpu_where_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    import dlrun.backend as module

    found = {"gpu": False, "reason": "no CUDA device is available"}
    monkeypatch.setattr(module, "describe_devices", lambda: found)
    assert type(select_backend("auto")) is Backend
    assert type(select_backend("cpu")) is Backend
    with pytest.raises(MachineError, match="--device gpu: no CUDA device is available"):
        select_backend("gpu")


@pytest.mark.parametrize("axes", [(), (0,), (1,), (2,), (0, 2), (0, 1, 2)])
@pytest.mark.parametrize("dtype", ["float64", "int64"])
def test_bound_reductions_equal_numpys(axes: tuple[int, ...], dtype: str) -> None:
    values = np.random.default_rng(0).integers(-9, 9, (3, 4, 5)).astype(dtype)
    for backend in (Backend(), StrictBackend()):
        x = backend.to_device(values)
        out = backend.empty(tuple(1 if i in axes else n for i, n in enumerate(x.shape)), dtype)
        for bind, reference in ((backend.bind_sum, np.sum), (backend.bind_max, np.max)):
            bind(x, axes, out)()
            np.testing.assert_array_equal(backend.to_host(out), reference(values, axis=axes, keepdims=True))


def test_bound_products_and_gathering() -> None:
    random = np.random.default_rng(0)
    a, b = random.normal(size=(2, 40, 30)), random.normal(size=(2, 50, 30))
    index = random.integers(0, 40, (2, 6))
    for backend in (Backend(), StrictBackend()):
        out = backend.empty((2, 40, 50), "float64")
        for call in backend.bind_matmul(backend.to_device(a), backend.to_device(b).swapaxes(-1, -2), out):
            call()
        np.testing.assert_allclose(backend.to_host(out), a @ b.swapaxes(-1, -2), rtol=1e-13, atol=1e-13)
        rows = backend.empty((2, 6, 30), "float64")
        backend.take(backend.to_device(a[0]), backend.to_device(index), rows)
        np.testing.assert_array_equal(backend.to_host(rows), a[0][index])
