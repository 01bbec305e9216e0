"""The array library that a run computes with: NumPy on the CPU, CuPy on an NVIDIA GPU.

This module alone imports CuPy, and only when a device is asked for or looked for. Everything else
receives a `Backend` and reaches array functions through `backend.xp`, so that there is one code path.
Host and device arrays never mix silently: arrays cross by `to_device` and `to_host`, which refuse
an array of the wrong side and name both.

A kernel is *bound* before it is run: the methods named `bind_…` return a callable without arguments
that works on arrays allocated beforehand, so that a training step allocates nothing.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from functools import partial
from typing import Any, Literal, get_args

import numpy as np

from dlrun.errors import ConfigError, MachineError

Array = Any  # numpy.ndarray or cupy.ndarray: the backend decides
Call = Callable[[], Any]
Device = Literal["auto", "cpu", "gpu"]
Engine = Literal["auto", "compiled", "numpy"]  # what makes the steps of a training on the CPU (`training.engine`)

_SMALL_PRODUCT = 10**6  # m·n·k up to which OpenBLAS uses its kernels for small matrices


class Backend:
    """NumPy, and the parent of the others: array creation, transfers and bound kernels."""

    name = "cpu"
    array_type: type = np.ndarray
    out_of_memory: tuple[type[BaseException], ...] = (MemoryError,)

    def __init__(self, xp: Any = np, *, engine: Engine = "numpy") -> None:
        """`engine` is the one asked for, until `settle_engine` has chosen one."""
        self.xp = xp
        self.engine: Engine = engine

    # -- arrays --------------------------------------------------------------------------------

    def empty(self, shape: tuple[int, ...], dtype: Any) -> Array:
        return self.xp.empty(shape, dtype)

    def zeros(self, shape: tuple[int, ...], dtype: Any) -> Array:
        return self.xp.zeros(shape, dtype)

    def scalar(self, value: float, dtype: Any) -> Any:
        """A number as kernels take it fastest: an array without axes; a NumPy scalar on a GPU."""
        return np.asarray(value, dtype)

    def to_device(self, host: Any, dtype: Any = None) -> Array:
        """A copy of a host array (or number, or list) where this backend computes."""
        if isinstance(host, self.array_type) and self.array_type is not np.ndarray:
            raise MachineError(f"to_device got a {self._name_of(type(host))}: it is on the device already")
        if hasattr(host, "__cuda_array_interface__"):
            raise MachineError(
                f"to_device of the {self.name} backend takes arrays of the host and was given "
                f"{self._name_of(type(host))}"
            )
        return self.xp.array(np.asarray(host), dtype=dtype)

    def to_host(self, array: Array) -> np.ndarray[Any, Any]:
        """The array as a NumPy array (the same memory on the CPU)."""
        self.check(array)
        return np.asarray(array)

    def check(self, array: Any) -> None:
        """Raise `MachineError` unless the array lives where this backend computes."""
        if not isinstance(array, self.array_type):
            raise MachineError(
                f"the {self.name} backend computes with {self._name_of(self.array_type)} "
                f"and was given {self._name_of(type(array))}"
            )

    @staticmethod
    def _name_of(kind: type) -> str:
        return f"{kind.__module__}.{kind.__qualname__}"

    def pointer(self, array: Array) -> int:
        """The address of an array's first element: equal for a view and what it views."""
        return int(array.__array_interface__["data"][0])

    def synchronize(self) -> None:
        """Wait until the device has finished (the CPU always has)."""

    def quiet(self) -> contextlib.AbstractContextManager[Any]:
        """Overflow and invalid operations give inf and NaN without a warning inside this context."""
        return np.errstate(all="ignore")

    def free_memory(self) -> int:
        """Bytes that arrays may still take."""
        return 1 << 34

    # -- bound kernels -------------------------------------------------------------------------

    def bind_matmul(self, a: Array, b: Array, out: Array) -> list[Call]:
        """out ← a·b over the last two axes; leading axes broadcast. Operands may be transposed views.

        OpenBLAS multiplies small matrices by a transposed second operand 1.5 times more slowly than by a
        plain one, which costs more than transposing it first (measured, OpenBLAS 0.3.31 with AVX-512).
        """
        if a.shape[-1] == 1 and b.shape[-2] == 1 and out.shape[-1] > 1:
            return [partial(self.xp.multiply, a, b, out)]  # k = 1: an outer product, which BLAS is slow at
        a, b, out = self._flattened(a, b, out)
        a, copy_a = self._multipliable(a)
        b, copy_b = self._multipliable(b)
        m, n, k = out.shape[-2], out.shape[-1], a.shape[-1]
        transposed = b.strides[-1] != b.itemsize and b.strides[-2] == b.itemsize
        if transposed and k > 16 and n > 16 and m >= 32 and m * n * k <= _SMALL_PRODUCT:
            plain = self.empty(b.shape, b.dtype)
            copy_b.append(partial(self.xp.copyto, plain, b))
            b = plain
        return [*copy_a, *copy_b, partial(self.xp.matmul, a, b, out)]

    @staticmethod
    def _flattened(a: Array, b: Array, out: Array) -> tuple[Array, Array, Array]:
        """A stack times one matrix that all share is one product of taller matrices, where no copy is needed for it."""
        if not (a.ndim == b.ndim == out.ndim == 3 and out.shape[0] > 1):
            return a, b, out
        if b.shape[0] == 1 and a.flags.c_contiguous and out.flags.c_contiguous:
            return a.reshape(-1, a.shape[-1]), b[0], out.reshape(-1, out.shape[-1])
        if a.shape[0] == 1 and out.shape[-1] == 1 and b.flags.c_contiguous and out.flags.c_contiguous:
            return b[:, :, 0], a[0].swapaxes(0, 1), out[:, :, 0]  # vectors times one matrix
        return a, b, out

    def _multipliable(self, x: Array) -> tuple[Array, list[Call]]:
        """BLAS reads matrices, not views that repeat an element: those are copied first."""
        if not any(stride == 0 < extent - 1 for stride, extent in zip(x.strides[-2:], x.shape[-2:], strict=True)):
            return x, []
        plain = self.empty(x.shape, x.dtype)
        return plain, [partial(self.xp.copyto, plain, x)]

    def bind_sum(self, x: Array, axes: tuple[int, ...], out: Array) -> Call:
        """out ← Σ x over `axes`, which are kept as ones in `out`.

        A sum over one of the last two axes is a product with a row or column of ones: three times
        faster than `add.reduce` on the small matrices of a layer (measured, NumPy 2.4).
        """
        floating = x.dtype.kind == "f"
        length = x.shape[axes[0]] if len(axes) == 1 else 0
        if floating and x.ndim >= 2 and 1 < length <= 1024 and axes[0] >= x.ndim - 2:
            if axes[0] == x.ndim - 2:
                return partial(np.matmul, np.ones((1, length), x.dtype), x, out)
            return partial(np.matmul, x, np.ones((length, 1), x.dtype), out)
        return partial(np.add.reduce, x, axis=axes, out=out, keepdims=True)

    def bind_max(self, x: Array, axes: tuple[int, ...], out: Array) -> Call:
        """out ← max x over `axes`, which are kept as ones in `out`."""
        return partial(np.maximum.reduce, x, axis=axes, out=out, keepdims=True)

    def bind_reduction(self, name: str, x: Array, axes: tuple[int, ...], out: Array) -> Call:
        """out ← `xp.name` of x over `axes`, which are kept as ones in `out`."""
        if not axes:
            return partial(self.xp.copyto, out, x)
        return partial(getattr(self.xp, name), x, axis=axes, out=out, keepdims=True)

    def take(self, rows: Array, index: Array, out: Array) -> None:
        """out[r, i, :] ← rows[index[r, i], :]; indices are trusted to be in range."""
        rows.take(index, 0, out, "clip")


class GpuBackend(Backend):
    """CuPy on the current CUDA device."""

    name = "gpu"

    def __init__(self, cupy: Any) -> None:
        super().__init__(cupy)
        self.out_of_memory = (MemoryError, cupy.cuda.memory.OutOfMemoryError)
        self.array_type = cupy.ndarray

    def scalar(self, value: float, dtype: Any) -> Any:
        """Passed with the kernel's other arguments, not read from memory, and of its own type, unlike a plain float."""
        return np.dtype(dtype).type(value)

    def to_host(self, array: Array) -> np.ndarray[Any, Any]:
        self.check(array)
        return np.asarray(self.xp.asnumpy(array))

    def pointer(self, array: Array) -> int:
        return int(array.data.ptr)

    def free_memory(self) -> int:
        pool = self.xp.get_default_memory_pool()
        return int(self.xp.cuda.runtime.memGetInfo()[0]) + int(pool.free_bytes())

    def synchronize(self) -> None:
        self.xp.cuda.get_current_stream().synchronize()

    def quiet(self) -> contextlib.AbstractContextManager[Any]:
        return contextlib.nullcontext()

    def bind_matmul(self, a: Array, b: Array, out: Array) -> list[Call]:
        """cuBLAS takes plain matrices alone: CuPy copies transposed stacks, and an `out` with gaps, by itself."""
        return [partial(self.xp.matmul, a, b, out=out)]

    def bind_sum(self, x: Array, axes: tuple[int, ...], out: Array) -> Call:
        return self.bind_reduction("sum", x, axes, out)

    def bind_max(self, x: Array, axes: tuple[int, ...], out: Array) -> Call:
        return self.bind_reduction("max", x, axes, out)

    def take(self, rows: Array, index: Array, out: Array) -> None:
        self.xp.take(rows, index, 0, out)


def describe_devices() -> dict[str, Any]:
    """What `dlrun info` shows: `gpu` (usable or not), `reason`, and the device's name and CUDA version."""
    found: dict[str, Any] = {"gpu": False, "reason": "", "device": None, "cuda": None, "cupy": None}
    try:
        import cupy
    except Exception as error:  # not installed, or its libraries do not load
        extra = "pip install 'dlrun[cuda12]' or 'dlrun[cuda13]'"
        found["reason"] = f"CuPy cannot be imported ({error}); for an NVIDIA GPU: {extra}"
        return found
    found["cupy"] = cupy.__version__
    try:
        usable = bool(cupy.cuda.is_available())
        if usable:
            properties = cupy.cuda.runtime.getDeviceProperties(0)
            found["device"] = properties["name"].decode(errors="replace")
            version = cupy.cuda.runtime.runtimeGetVersion()
            found["cuda"] = f"{version // 1000}.{version % 1000 // 10}"
            cupy.ones(1).sum().item()  # a first kernel: finds a runtime without a compiler or a broken driver
    except Exception as error:  # whatever the driver raises, the CPU remains
        found["reason"] = f"CuPy {cupy.__version__} finds no usable device: {error}"
        return found
    if not usable:
        found["reason"] = f"CuPy {cupy.__version__} is installed, but no CUDA device is available"
        return found
    found.update(gpu=True, reason="usable")
    return found


def select_backend(device: Device = "auto", engine: Engine = "numpy") -> Backend:
    """The backend for `--device`: `gpu` without a usable one is an error, `auto` falls back to NumPy.

    Steps are compiled for the CPU alone: with `engine` "compiled", `auto` is the CPU.
    """
    for name, value, known in (("device", device, get_args(Device)), ("engine", engine, get_args(Engine))):
        if value not in known:
            raise ConfigError(f"{name} = {value!r}: should be one of {', '.join(known)}")
    if device == "gpu" and engine == "compiled":
        raise ConfigError("--engine compiled computes on the CPU: use it with --device cpu or auto")
    if device == "cpu" or engine == "compiled":
        return Backend(engine=engine)
    found = describe_devices()
    if found["gpu"]:
        import cupy

        return GpuBackend(cupy)
    if device == "gpu":
        raise MachineError(f"--device gpu: {found['reason']}. Use --device cpu, or auto to fall back.")
    return Backend(engine=engine)
