"""JSON of results: strict (no NaN), with NumPy's scalars and arrays as plain values."""

from __future__ import annotations

import json
import math
import numbers
from collections.abc import Mapping
from typing import Any

from dlrun.text import neutralize


def to_json(value: Any) -> str:
    """`value` as JSON text with a final newline.

    A number that is not finite becomes null (JSON has no other word for it); a float32 is written with its
    own shortest digits; paths and other objects become their text.
    """
    # JSON escapes the controls below U+0020 by itself; a terminal obeys others too.
    return neutralize(json.dumps(_plain(value), indent=2, ensure_ascii=False, allow_nan=False), keep_lines=True) + "\n"


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in value]
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, numbers.Real):
        number = float(str(value))  # through its text: float32's 0.1 stays 0.1
        return number if math.isfinite(number) else None
    if hasattr(value, "ndim"):  # a NumPy array or bool; iterating keeps the scalars' own type
        return _plain(value.item()) if value.ndim == 0 else [_plain(item) for item in value]
    return str(value)
