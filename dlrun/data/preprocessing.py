"""What prediction needs beside the weights: encoding, scaling, classes. Stored with the model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np

from dlrun.data.dataset import Dataset
from dlrun.data.dates import FORMS
from dlrun.data.encoding import DATE_PARTS, KINDS, ColumnEncoding, encode_table, feature_names
from dlrun.data.scaling import Missing, Scaling
from dlrun.data.sources import load_table
from dlrun.data.table import FloatArray, IntArray, Table
from dlrun.data.target import Task, codes_of, regression_target
from dlrun.data.values import parse_number
from dlrun.errors import DataError, RunError

_KEYS = ("encoding", "classes", "target_name", "task", "feature_names", "missing")
_TENSORS = ("fill", "shift", "scale")


@dataclass(frozen=True, eq=False, kw_only=True)
class Preprocessing:
    """Turns a table like the training one into scaled features (m, d) and, if it is there, the target.

    It travels in a safetensors file: texts as metadata, `scaling.fill`, `scaling.shift` and
    `scaling.scale` (d,) float64 as tensors.
    """

    encoding: tuple[ColumnEncoding, ...]
    scaling: Scaling
    classes: tuple[str, ...]
    target_name: str
    task: Task
    feature_names: tuple[str, ...]
    missing: Missing = "error"

    @classmethod
    def of(cls, dataset: Dataset, scaling: Scaling, *, missing: Missing = "error") -> Preprocessing:
        """That of a data set, with the scaling fitted on its training rows."""
        return cls(
            encoding=dataset.encoding,
            scaling=scaling,
            classes=dataset.classes,
            target_name=dataset.target_name,
            task=dataset.task,
            feature_names=dataset.feature_names,
            missing=missing,
        )

    def read(self, source: str, *, folder: Path) -> Table:
        """A new table whose columns are read as the training table's were, texts as texts."""
        texts = {column.name for column in self.encoding if column.kind in ("categorical", "date")}
        if any(parse_number(label) is None for label in self.classes):
            texts.add(self.target_name)
        return load_table(source, folder=folder, as_text=texts)

    def features(self, table: Table) -> FloatArray:
        """Encoded, filled and scaled features, (m, d).

        Missing values are filled only if the model was trained so; else they are a DataError, since a
        row without a prediction would be the alternative.
        """
        encoded = encode_table(table, self.encoding)
        if self.missing != "mean":
            gaps = np.isnan(encoded)
            if gaps.any():
                row, feature = (int(index) for index in np.argwhere(gaps)[0])
                owners = [column.name for column in self.encoding for _ in column.features]
                raise DataError(
                    f"{table.where(row, owners[feature])}: the value is missing, and the model was "
                    f'trained with data.missing = "{self.missing}"; fill it in, or '
                    'train with data.missing = "mean".'
                )
        return self.scaling.apply(encoded)

    def target(self, table: Table) -> IntArray | FloatArray:
        """The table's target as the model knows it, (m,): class codes or numbers."""
        if self.task == "classification":
            return codes_of(table, self.target_name, self.classes)
        return regression_target(table, self.target_name)

    def to_metadata(self) -> dict[str, str]:
        """Texts for the header of a safetensors file, each value JSON."""
        columns = [_entry(column) for column in self.encoding]
        values: dict[str, Any] = {key: getattr(self, key) for key in _KEYS[1:]} | {"encoding": columns}
        return {key: json.dumps(values[key], ensure_ascii=False) for key in _KEYS}

    def to_tensors(self) -> dict[str, FloatArray]:
        """The arrays of the scaling, (d,) float64 each, under `scaling.NAME`."""
        return {f"scaling.{name}": getattr(self.scaling, name) for name in _TENSORS}

    @classmethod
    def from_parts(cls, metadata: Mapping[str, str], tensors: Mapping[str, Any]) -> Preprocessing:
        """The inverse of `to_metadata` and `to_tensors`; RunError says what is missing or damaged."""
        try:
            values = {key: json.loads(metadata[key]) for key in _KEYS}
            arrays = [np.asarray(tensors[f"scaling.{name}"], dtype=np.float64) for name in _TENSORS]
            encoding = tuple(_column(entry) for entry in values["encoding"])
            classes = tuple(_text(label) for label in values["classes"])
            names = tuple(_text(name) for name in values["feature_names"])
            target = _text(values["target_name"])
        except KeyError as error:
            raise RunError(
                f"the model file lacks {error.args[0]!r}; it is damaged or was not written by dlrun."
            ) from None
        except (ValueError, TypeError) as error:
            raise RunError(f"the model file's description of its data is damaged ({error}).") from None
        sound = (
            names == feature_names(encoding)
            and all(array.shape == (len(names),) and np.isfinite(array).all() for array in arrays)
            and (values["task"], bool(classes)) in (("classification", True), ("regression", False))
            and values["missing"] in ("error", "mean", "drop")
        )
        if not sound:
            raise RunError("the model file's description of its data contradicts itself; it is damaged.")
        return cls(
            encoding=encoding,
            scaling=Scaling(*arrays),
            classes=classes,
            target_name=target,
            task=values["task"],
            feature_names=names,
            missing=values["missing"],
        )


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} where a text is needed")
    return value


def _entry(column: ColumnEncoding) -> dict[str, Any]:
    """A column as JSON; what does not go with its kind is left out."""
    entry = {"name": column.name, "kind": column.kind, "categories": list(column.categories)}
    return entry | ({"form": column.form} if column.form else {})


def _column(entry: Mapping[str, Any]) -> ColumnEncoding:
    kind = entry["kind"]
    if kind not in KINDS:
        raise ValueError(f"column kind {kind!r}")
    if kind == "date" and entry["form"] not in FORMS:
        raise ValueError(f"dates as {entry['form']!r}")
    categories = tuple(_text(category) for category in entry["categories"])
    if kind == "date" and not set(categories) <= set(DATE_PARTS):
        raise ValueError(f"parts of a date {categories}")
    form = entry.get("form", "")
    return ColumnEncoding(name=_text(entry["name"]), kind=cast(Any, kind), categories=categories, form=form)
