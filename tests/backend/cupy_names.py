# ruff: noqa: SIM905 (lists of names read better as text)
"""Names that CuPy offers, of those that dlrun uses or might: checked against CuPy 14.2.0 itself.

Where CuPy can be imported (it needs no device for that), a test compares these lists with it again.
"""

from __future__ import annotations

# Universal functions: f(inputs…, out) or f(inputs…, out=out); casting "same_kind"; no `where`.
UFUNCS = frozenset(
    """
    absolute add arccos arcsin arctan bitwise_and bitwise_or bitwise_xor ceil cos cosh divide equal exp exp2
    expm1 floor floor_divide greater greater_equal hypot invert isfinite isinf isnan left_shift less
    less_equal log log10 log1p log2 logaddexp logical_and logical_not logical_or maximum minimum multiply
    negative not_equal power reciprocal remainder right_shift rint sign sin sinh sqrt square subtract tan
    tanh true_divide
    """.split()
)

# Functions with the parameters that CuPy gives them. NumPy has more: `mode` of take, `where` of sum, `initial`.
FUNCTIONS: dict[str, tuple[str, ...]] = {
    "all": ("a", "axis", "out", "keepdims"),
    "amax": ("a", "axis", "out", "keepdims"),
    "amin": ("a", "axis", "out", "keepdims"),
    "any": ("a", "axis", "out", "keepdims"),
    "arange": ("start", "stop", "step", "dtype"),
    "argmax": ("a", "axis", "dtype", "out", "keepdims"),
    "argmin": ("a", "axis", "dtype", "out", "keepdims"),
    "argsort": ("a", "axis", "kind"),
    "array": ("obj", "dtype", "copy", "order", "subok", "ndmin", "blocking"),
    "asarray": ("a", "dtype", "order", "copy", "blocking"),
    "asnumpy": ("a", "stream", "order", "out", "blocking"),
    "broadcast_to": ("array", "shape"),
    "clip": ("a", "a_min", "a_max", "out"),
    "concatenate": ("tup", "axis", "out", "dtype", "casting"),
    "copyto": ("dst", "src", "casting", "where"),
    "count_nonzero": ("a", "axis"),
    "cumprod": ("a", "axis", "dtype", "out"),
    "cumsum": ("a", "axis", "dtype", "out"),
    "empty": ("shape", "dtype", "order"),
    "empty_like": ("prototype", "dtype", "order", "subok", "shape"),
    "expand_dims": ("a", "axis"),
    "flip": ("a", "axis"),
    "full": ("shape", "fill_value", "dtype", "order"),
    "full_like": ("a", "fill_value", "dtype", "order", "subok", "shape"),
    "max": ("a", "axis", "out", "keepdims"),
    "mean": ("a", "axis", "dtype", "out", "keepdims"),
    "min": ("a", "axis", "out", "keepdims"),
    "ones": ("shape", "dtype", "order"),
    "ones_like": ("a", "dtype", "order", "subok", "shape"),
    "prod": ("a", "axis", "dtype", "out", "keepdims"),
    "repeat": ("a", "repeats", "axis"),
    "sort": ("a", "axis", "kind"),
    "squeeze": ("a", "axis"),
    "stack": ("tup", "axis", "out", "dtype", "casting"),
    "std": ("a", "axis", "dtype", "out", "ddof", "keepdims"),
    "sum": ("a", "axis", "dtype", "out", "keepdims"),
    "swapaxes": ("a", "axis1", "axis2"),
    "take": ("a", "indices", "axis", "out"),
    "tile": ("A", "reps"),
    "transpose": ("a", "axes"),
    "var": ("a", "axis", "dtype", "out", "ddof", "keepdims"),
    "where": ("condition", "x", "y"),
    "zeros": ("shape", "dtype", "order"),
    "zeros_like": ("a", "dtype", "order", "subok", "shape"),
}

TYPES = frozenset("bool_ float32 float64 int8 int16 int32 int64 uint8 uint32 uint64".split())

OTHERS = frozenset({"cuda", "get_default_memory_pool", "matmul", "ndarray"})

# Public methods and attributes that both NumPy's and CuPy's arrays have.
METHODS = frozenset(
    """
    T all any argmax argmin argpartition argsort astype base byteswap choose clip compress conj conjugate
    copy cumprod cumsum data device diagonal dot dtype dump dumps fill flags flat flatten imag item itemsize
    mT max mean min nbytes ndim nonzero partition prod put ravel real repeat reshape round searchsorted
    shape size sort squeeze std strides sum swapaxes take tobytes tofile tolist trace transpose var view
    """.split()
)
