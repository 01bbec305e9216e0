"""A stand-in for CuPy that needs no device, and is stricter than CuPy about where arrays live.

`strict_cupy()` is a module-like object that `GpuBackend` takes for CuPy. Its arrays are of a type of their own:

- they never turn into NumPy arrays or Python numbers by themselves (`__array__`, `__float__`, `__bool__`,
  iteration raise), and NumPy's arrays are refused by every function, method, operator and index;
- only functions, parameters and methods exist that CuPy has (see `cupy_names`), and results are always arrays,
  also where NumPy would give a scalar.

`asnumpy`, `array` and `asarray` are the only ways across, and say that they are.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
from backend import cupy_names
from numpy.lib.stride_tricks import as_strided as _as_strided

from dlrun.backend import GpuBackend


class MixingError(TypeError):
    """An array of the host was used where one of the device belongs, or the other way round."""


class StrictArray:
    """An array of the device that does not exist."""

    __array_ufunc__ = None
    __slots__ = ("_a",)
    _a: np.ndarray

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        raise MixingError("arrays of the device are made by its functions")

    # -- no way across -------------------------------------------------------------------------

    def _refuse(self, *arguments: Any, **keywords: Any) -> Any:
        raise MixingError("an array of the device was to become a value of the host by itself")

    __array__ = __float__ = __int__ = __bool__ = __index__ = __complex__ = __iter__ = _refuse
    __array_function__ = _refuse
    __hash__ = None  # type: ignore[assignment]

    def __getattr__(self, name: str) -> Any:
        if name in _WRAPPED:
            return _method(self, name)
        raise AttributeError(f"arrays of CuPy have no {name!r} that dlrun may use")

    # -- what an array is ----------------------------------------------------------------------

    shape = property(lambda self: self._a.shape)
    strides = property(lambda self: self._a.strides)
    dtype = property(lambda self: self._a.dtype)
    ndim = property(lambda self: self._a.ndim)
    size = property(lambda self: self._a.size)
    itemsize = property(lambda self: self._a.itemsize)
    nbytes = property(lambda self: self._a.nbytes)
    flags = property(lambda self: self._a.flags)
    data = property(lambda self: SimpleNamespace(ptr=self._a.__array_interface__["data"][0]))
    T = property(lambda self: wrap(self._a.T))

    def __len__(self) -> int:
        return len(self._a)

    def __repr__(self) -> str:
        return f"StrictArray({self._a!r})"

    def __getitem__(self, key: Any) -> StrictArray:
        return wrap(self._a[_key(key)])

    def __setitem__(self, key: Any, value: Any) -> None:
        self._a[_key(key)] = unwrap(value)

    def item(self) -> Any:
        """Explicit, so allowed; CuPy waits for the device here."""
        return self._a.item()

    def get(self) -> np.ndarray:
        return self._a.copy()

    def fill(self, value: Any) -> None:
        self._a.fill(unwrap(value))

    def take(self, indices: Any, axis: Any = None, out: Any = None) -> StrictArray:
        return _module_function("take")(self, indices, axis, out)


def wrap(value: Any) -> StrictArray:
    """Results are arrays, also of rank 0."""
    made = object.__new__(StrictArray)
    made._a = np.asarray(value)
    return made


def unwrap(value: Any) -> Any:
    """The NumPy array inside; a number stays one; an array of the host is refused."""
    if isinstance(value, StrictArray):
        return value._a
    if isinstance(value, np.ndarray):
        raise MixingError(f"an array of the host {value.shape} {value.dtype} was given to the device")
    if isinstance(value, (list, tuple)):
        return type(value)(unwrap(x) for x in value)
    return value


def _key(key: Any) -> Any:
    return tuple(map(_key, key)) if isinstance(key, tuple) else unwrap(key)


_WRAPPED = cupy_names.METHODS - {"data", "T", "device"}


def _method(array: StrictArray, name: str) -> Callable[..., Any]:
    function = getattr(array._a, name)

    def call(*arguments: Any, **keywords: Any) -> Any:
        result = function(*map(unwrap, arguments), **{k: unwrap(v) for k, v in keywords.items()})
        out = keywords.get("out")
        return out if out is not None else wrap(result)

    return call


def _ufunc(name: str) -> Callable[..., StrictArray]:
    """CuPy's ufuncs: out by position or keyword, of exactly the broadcast shape; no `where`."""
    function = getattr(np, name)

    def call(*arguments: Any, out: Any = None, dtype: Any = None, casting: str = "same_kind") -> StrictArray:
        assert len(arguments) - function.nin in (0, 1), f"{name} takes {function.nin} inputs and an out"
        given = [*arguments[function.nin :], *([] if out is None else [out])]
        inputs = [unwrap(x) for x in arguments[: function.nin]]
        if not given:
            return wrap(function(*inputs, dtype=dtype))
        (out,) = given
        if not isinstance(out, StrictArray):
            raise MixingError(f"{name} was to write to {type(out).__name__}")
        shape = np.broadcast_shapes(*(np.shape(x) for x in inputs), out.shape)
        assert shape == out.shape, f"{name}: out is {out.shape}, not {shape}"
        function(*inputs, out=out._a, dtype=dtype, casting=casting)
        return out

    call.__name__ = name
    return call


def _module_function(name: str) -> Callable[..., Any]:
    """A function with the parameters that CuPy's has, in CuPy's order."""
    function, parameters = getattr(np, name, None), cupy_names.FUNCTIONS[name]

    def call(*arguments: Any, **keywords: Any) -> Any:
        given = dict(zip(parameters, arguments, strict=False)) | keywords
        strays = set(given) - set(parameters)
        assert not strays, f"{name} of CuPy has no {strays}"
        assert len(arguments) <= len(parameters), f"{name} of CuPy takes {parameters}"
        out, dst = given.get("out"), given.get("dst")
        plain = {key: unwrap(value) for key, value in given.items()}
        _adapt(name, plain)
        leading = list(itertools.takewhile(lambda parameter: parameter in plain, parameters))
        positional = [plain.pop(parameter) for parameter in leading]
        result = function(*positional, **plain)  # type: ignore[misc]
        return out if out is not None else None if dst is not None else wrap(result)

    call.__name__ = name
    return call


def _adapt(name: str, plain: dict[str, Any]) -> None:
    """Where CuPy and NumPy name or order things differently."""
    if name == "copyto":
        plain["where"] = True if plain.get("where") is None else plain["where"]
    if name == "take":
        plain["mode"] = "wrap"  # what CuPy does with an index out of range
        plain.setdefault("axis", None)


def _array(obj: Any, dtype: Any = None, copy: bool = True) -> StrictArray:
    """A copy on the device of a host array, or of an array of the device."""
    source = obj._a if isinstance(obj, StrictArray) else obj
    return wrap(np.array(source, dtype=dtype, copy=True))


def _asarray(a: Any, dtype: Any = None) -> StrictArray:
    """As `array`, but an array of the device that has the type already is taken as it is."""
    return a if isinstance(a, StrictArray) and dtype in (None, a.dtype) else _array(a, dtype)


def _asnumpy(a: Any) -> np.ndarray:
    if not isinstance(a, StrictArray):
        raise MixingError(f"asnumpy of {type(a).__name__}")
    return a._a.copy()


def _matmul(a: Any, b: Any, out: Any = None) -> StrictArray:
    result = np.matmul(unwrap(a), unwrap(b))
    if out is None:
        return wrap(result)
    assert out.shape == result.shape, f"matmul: out is {out.shape}, not {result.shape}"
    out._a[...] = result
    return out


def _bind_operators() -> None:
    names = {
        "add": "add", "sub": "subtract", "mul": "multiply", "truediv": "true_divide", "mod": "remainder",
        "pow": "power", "and": "bitwise_and", "or": "bitwise_or", "xor": "bitwise_xor", "rshift": "right_shift",
        "lshift": "left_shift", "floordiv": "floor_divide",
    }  # fmt: skip
    for operation, name in names.items():
        ufunc = _ufunc(name)
        setattr(StrictArray, f"__{operation}__", lambda self, other, f=ufunc: f(self, other))
        setattr(StrictArray, f"__r{operation}__", lambda self, other, f=ufunc: f(other, self))
        setattr(StrictArray, f"__i{operation}__", lambda self, other, f=ufunc: f(self, other, self))
    comparisons = {"lt": "less", "le": "less_equal", "gt": "greater", "ge": "greater_equal", "eq": "equal"}
    for operation, name in (comparisons | {"ne": "not_equal"}).items():
        ufunc = _ufunc(name)
        setattr(StrictArray, f"__{operation}__", lambda self, other, f=ufunc: f(self, other))
    StrictArray.__neg__ = lambda self: _ufunc("negative")(self)  # type: ignore[attr-defined]
    StrictArray.__invert__ = lambda self: _ufunc("invert")(self)  # type: ignore[attr-defined]
    StrictArray.__abs__ = lambda self: _ufunc("absolute")(self)  # type: ignore[attr-defined]
    StrictArray.__matmul__ = lambda self, other: _matmul(self, other)  # type: ignore[attr-defined]


_bind_operators()


def strict_cupy() -> Any:
    """What `GpuBackend` takes for the module cupy."""
    stream = SimpleNamespace(synchronize=lambda: None)
    memory = SimpleNamespace(OutOfMemoryError=type("OutOfMemoryError", (MemoryError,), {}))
    pool = SimpleNamespace(used_bytes=lambda: 0, total_bytes=lambda: 0, free_all_blocks=lambda: None)
    members: dict[str, Any] = {name: _ufunc(name) for name in cupy_names.UFUNCS}
    members |= {name: _module_function(name) for name in cupy_names.FUNCTIONS}
    members |= {name: getattr(np, name) for name in cupy_names.TYPES}
    members |= {"array": _array, "asarray": _asarray, "asnumpy": _asnumpy, "matmul": _matmul, "ndarray": StrictArray}
    tricks = SimpleNamespace(as_strided=lambda x, shape, strides: wrap(_as_strided(unwrap(x), shape, strides)))
    members["lib"] = SimpleNamespace(stride_tricks=tricks)
    members["cuda"] = SimpleNamespace(get_current_stream=lambda: stream, memory=memory)
    return SimpleNamespace(**members, get_default_memory_pool=lambda: pool)


class StrictBackend(GpuBackend):
    """The code paths of the GPU, on the stand-in."""

    def __init__(self) -> None:
        super().__init__(strict_cupy())

    def quiet(self) -> Any:
        return np.errstate(all="ignore")
