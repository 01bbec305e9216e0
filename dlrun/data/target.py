"""The target column: which task it sets, its classes, its codes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from dlrun.data.encoding import MAX_CATEGORIES
from dlrun.data.table import Column, FloatArray, IntArray, Table, missing_in
from dlrun.data.values import BOOLEANS, number_label, parse_number, shorten
from dlrun.errors import DataError

Task = Literal["classification", "regression"]

MAX_INTEGER_CLASSES = 20


def infer_task(values: Column) -> Task:
    """Classification for texts, booleans, and whole numbers with few different values; else regression.

    "Few" is at most 20, and at most half as many as there are rows. Missing values do not count.
    """
    if values.dtype != np.float64:
        return "classification"
    present = values[~np.isnan(values)]
    distinct = np.unique(present)
    whole = bool((distinct == np.floor(distinct)).all())
    few = distinct.size <= min(MAX_INTEGER_CLASSES, present.size / 2)
    return "classification" if whole and few else "regression"


def read_target(
    table: Table, name: str, task: Task | None
) -> tuple[Task, tuple[str, ...], npt.NDArray[np.int64] | FloatArray]:
    """Task, classes and target (n,): int64 codes into the sorted classes, or float64 for regression.

    Missing values have been dealt with before. Raises DataError for a target of a single class, for
    one with so many values that it is no class label, and for texts in a regression.
    """
    values = table.column(name, key="data.target")
    chosen = infer_task(values) if task is None else task
    if chosen == "regression":
        return chosen, (), regression_target(table, name)
    labels = labels_of(values)
    classes = sort_labels(set(labels))
    count, rows = len(classes), len(table)
    if count == 1:
        raise DataError(
            f"{table.name}, column {name!r}: the target is {classes[0]!r} in all {rows} rows; "
            "classification needs at least two classes."
        )
    if count > MAX_CATEGORIES or (rows > 50 and count > rows / 2):
        remedy = 'task = "regression"' if values.dtype == np.float64 else "another column as data.target"
        raise DataError(
            f"{table.name}, column {name!r}: the target has {count} different values in {rows} rows, "
            f"too many for classes; choose {remedy}."
        )
    return chosen, classes, codes_of(table, name, classes)


def labels_of(values: Column) -> list[str]:
    """Each value as a class label; whole numbers without a point."""
    if values.dtype == np.float64:
        return [number_label(value) for value in values.tolist()]
    return list(values)


def sort_labels(labels: set[str]) -> tuple[str, ...]:
    """Numbers by size if all are numbers, else texts by code point."""
    numbers = {label: parse_number(label) for label in labels}
    if all(number is not None for number in numbers.values()):
        return tuple(sorted(labels, key=lambda label: (numbers[label], label)))
    return tuple(sorted(labels))


def codes_of(table: Table, name: str, classes: Sequence[str]) -> IntArray:
    """The position of each row's label in `classes`, (n,); a label that is not there is a DataError."""
    refuse_missing_target(table, name)
    index = {label: position for position, label in enumerate(classes)}
    labels = labels_of(table.column(name, key="data.target"))
    codes = np.fromiter((index.get(label, -1) for label in labels), np.int64, len(labels))
    unknown = np.flatnonzero(codes < 0)
    if unknown.size:
        row = int(unknown[0])
        raise DataError(
            f"{table.where(row, name)}: the class {labels[row]!r} was not there in training; "
            f"classes: {shorten(classes)}"
        )
    return codes


def regression_target(table: Table, name: str) -> FloatArray:
    """The target as float64, (n,); true and false count as 1 and 0, other texts are a DataError."""
    refuse_missing_target(table, name)
    values = table.column(name, key="data.target")
    if values.dtype == np.float64:
        return values
    numbers = np.empty(len(values))
    for row, value in enumerate(values):
        if value.lower() in BOOLEANS:
            numbers[row] = value.lower() == "true"
            continue
        number = parse_number(value)
        if number is None:
            raise DataError(
                f"{table.where(row, name)}: the target of a regression must be a number, "
                f'and {value!r} is a text; correct it, or choose task = "classification".'
            )
        numbers[row] = number
    return numbers


def refuse_missing_target(table: Table, name: str) -> None:
    """DataError for the first row without a target: no policy may invent one."""
    missing = np.flatnonzero(missing_in(table.column(name, key="data.target")))
    if missing.size:
        raise DataError(
            f"{table.where(int(missing[0]), name)}: the target is missing "
            f"(in {missing.size} of {len(table)} rows); "
            'fill it in, or drop such rows with data.missing = "drop".'
        )
