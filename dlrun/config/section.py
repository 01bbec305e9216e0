"""What every table of the experiment file shares: the base model and the types of its values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

COUNT_LIMIT = 1_000_000_000  # above it a count is a slip of the keyboard, and may overflow what follows
SEED_LIMIT = 2**63 - 1  # what TOML's integers hold


@dataclass(frozen=True)
class Allowed:
    """Says in words which values a type takes, where the type itself does not tell."""

    words: str


class Section(BaseModel):
    """One table of the experiment file: frozen, strict about types, without unknown keys or NaN.

    `Section(...)` raises pydantic's ValidationError; `dlrun.config.validate` turns that into a ConfigError.
    """

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)

    def applicable(self) -> frozenset[str]:
        """The keys that mean something here: those of the chosen `name`, where the choice decides."""
        return frozenset(type(self).model_fields)

    def document(self) -> dict[str, Any]:
        """This table as plain TOML values; what is left out (None) and what does not apply is absent."""
        result: dict[str, Any] = {}
        applicable = self.applicable()
        for key in type(self).model_fields:
            value = thawed(getattr(self, key))
            if key in applicable and value is not None and value != {}:
                result[key] = value
        return result


def thawed(value: Any) -> Any:
    """The value as TOML has it: sections as tables, tuples as lists, keys of tables as strings."""
    if isinstance(value, Section):
        return value.document()
    if isinstance(value, dict):
        return {str(key): thawed(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [thawed(item) for item in value]
    return value


def frozen(value: Any) -> Any:
    """The value with its lists as tuples, also inside tables."""
    if isinstance(value, dict):
        return {key: frozen(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return tuple(frozen(item) for item in value)
    return value


def fault(*problems: tuple[Sequence[str], str]) -> PydanticCustomError:
    """The error of a check across keys: pairs of a key's path below this section and what is wrong there."""
    text = "; ".join(message.replace("{", "(").replace("}", ")") for _, message in problems)
    return PydanticCustomError("fault", text, {"problems": problems})


def _text(value: str) -> str:
    if not value or "\0" in value or any("\ud800" <= letter <= "\udfff" for letter in value):
        raise ValueError("empty, or not valid text")
    return value


def _list_to_tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


as_tuple = BeforeValidator(_list_to_tuple)

Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Beta = Annotated[float, Field(ge=0, lt=1)]
Count = Annotated[int, Field(ge=1, le=COUNT_LIMIT)]
CountOrZero = Annotated[int, Field(ge=0, le=COUNT_LIMIT)]
Seed = Annotated[int, Field(ge=0, le=SEED_LIMIT)]
Text = Annotated[str, AfterValidator(_text), Allowed("a non-empty text in quotes")]
