"""`[tune.space]`: which keys a search varies, each over which range."""

from __future__ import annotations

import difflib
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from dlrun.config.section import Allowed, Section, Text, fault, frozen, thawed

RangeKind = Literal["uniform", "log_uniform", "one_minus_log", "int_uniform", "int_log_uniform", "choice"]
_KINDS: tuple[str, ...] = RangeKind.__args__  # type: ignore[attr-defined]
_MOST_CHOICES = 1000  # each is tried against the schema
_INTEGER_KINDS = ("int_uniform", "int_log_uniform")


class Range(Section):
    """The values that one key may take; in TOML a table with one key, its kind.

    - `uniform = [low, high]`: evenly in the value.
    - `log_uniform = [low, high]`: evenly in log(value), low > 0.
    - `one_minus_log = [low, high]`: evenly in log(1 − value), 0 ≤ low < high < 1, for the β's.
    - `int_uniform`, `int_log_uniform`: whole numbers, both bounds included.
    - `choice = [value, …]`: any TOML values; lists come as tuples in `choices`.
    """

    kind: RangeKind
    low: float | int | None = None
    high: float | int | None = None
    choices: tuple[Any, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _from_toml(cls, given: Any) -> Any:
        if not isinstance(given, dict) or "kind" in given:
            return given
        if len(given) != 1:
            raise fault(((), f"should be a table with one of the keys {', '.join(_KINDS)}"))
        ((kind, values),) = given.items()
        if kind not in _KINDS:
            near = difflib.get_close_matches(str(kind), _KINDS, n=1, cutoff=0.0)
            raise fault(((), f'unknown range "{kind}"; the nearest is "{near[0]}" (of {", ".join(_KINDS)})'))
        if kind == "choice":
            if not isinstance(values, list | tuple):
                raise fault(((), "choice should be a list of values"))
            return {"kind": kind, "choices": frozen(values)}
        if not isinstance(values, list | tuple) or len(values) != 2:
            raise fault(((), f"{kind} should be a list of two numbers, [low, high]"))
        return {"kind": kind, "low": values[0], "high": values[1]}

    @model_validator(mode="after")
    def _bounds_fit_the_kind(self) -> Range:
        problem = self._choice_problem() if self.kind == "choice" else self._bounds_problem()
        if problem:
            raise fault(((), problem))
        return self

    def _choice_problem(self) -> str | None:
        if not self.choices or self.low is not None or self.high is not None:
            return "choice should be a list of one or more values"
        if len(self.choices) > _MOST_CHOICES:
            return f"choice should be a list of at most {_MOST_CHOICES} values"
        # 1, 1.0 and true are equal in Python and different in TOML
        shown = [repr(choice) for choice in self.choices]
        return "choice names a value twice" if len(set(shown)) < len(shown) else None

    def _bounds_problem(self) -> str | None:
        low, high, kind = self.low, self.high, self.kind
        if low is None or high is None or self.choices:
            return f"{kind} should be a list of two numbers, [low, high]"
        if kind in _INTEGER_KINDS and not (isinstance(low, int) and isinstance(high, int)):
            return f"the bounds of {kind} should be whole numbers"
        if not low < high:
            return f"the bounds of {kind} should be [low, high] with low < high"
        if kind in ("log_uniform", "int_log_uniform") and low <= 0:
            return f"the bounds of {kind} should be > 0"
        if kind == "one_minus_log" and not (low >= 0 and high < 1):
            return "the bounds of one_minus_log should be ≥ 0 and < 1"
        return None

    def document(self) -> dict[str, Any]:
        """`{log_uniform = [low, high]}`, as the experiment file has it."""
        return {self.kind: thawed(self.choices) if self.kind == "choice" else [self.low, self.high]}

    def probes(self) -> tuple[Any, ...]:
        """The extreme values of the range, or all its choices: where these fit their key, all do.

        Bounds of the real-valued kinds come as floats, as the values between them do.
        """
        if self.kind == "choice":
            return self.choices
        assert self.low is not None
        assert self.high is not None
        if self.kind in _INTEGER_KINDS:
            return (self.low, self.high)
        return (float(self.low), float(self.high))


def quoted_space(space: Any, above: tuple[str, ...] = ()) -> Any:
    """The space with keys that were written without quotes, which TOML makes tables of tables, as dotted ones."""
    if not isinstance(space, dict):
        return space
    found: dict[str, Any] = {}
    for key, value in space.items():
        path = (*above, key)
        tables = isinstance(value, dict) and value and all(isinstance(below, dict) for below in value.values())
        found |= quoted_space(value, path) if tables else {".".join(path): value}
    return found


class TuneConfig(Section):
    """What `dlrun tune` searches; other commands ignore it."""

    space: Annotated[
        dict[Text, Range],
        Allowed(
            "a table of keys in quotes, each with a range: "
            "{kind = [low, high]} of kind uniform, log_uniform, one_minus_log, int_uniform, int_log_uniform, "
            "or {choice = [value, …]}"
        ),
    ] = Field(default={}, description="the keys to vary, each with its range")
