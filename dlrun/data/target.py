"""The target column: which task it sets, its classes, its codes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from dlrun.data.column_fit import MAX_CATEGORIES
from dlrun.data.gaps import missing_target
from dlrun.data.table import Column, FloatArray, IntArray, Table, missing_in
from dlrun.data.values import BOOLEANS, decimal_commas, number_label, parse_number, shorten
from dlrun.errors import DataError

Task = Literal["classification", "regression"]

MAX_INTEGER_CLASSES = 20
_VALUES = 1 << 16  # targets looked at at a time


def infer_task(values: Column) -> Task:
    """Classification for texts, booleans, and whole numbers with few different values; else regression.

    "Few" is at most 20, and at most half as many as there are rows. Missing values do not count.
    """
    if values.dtype != np.float64:
        return "classification"
    present = len(values) - int(np.isnan(values).sum())
    distinct = few_numbers(values, min(MAX_INTEGER_CLASSES, present // 2))
    whole = distinct is not None and bool((distinct == np.floor(distinct)).all())
    return "classification" if whole else "regression"


def few_numbers(values: FloatArray, limit: int) -> FloatArray | None:
    """The different numbers among the values, sorted and without NaN; None if they are more than `limit`."""
    found = np.zeros(0)
    for start in range(0, len(values), _VALUES):
        part = values[start : start + _VALUES]
        found = np.sort(np.concatenate([found, part[~np.isnan(part)]]))
        found = found[np.append(True, found[1:] != found[:-1])] if found.size else found
        if found.size > limit:
            return None
    return found


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
    classes = sort_labels(_labels_in(values))
    count, rows = len(classes), len(table)
    if count == 1:
        raise DataError(
            f"{table.name}, column {name!r}: the target is {classes[0]!r} in all {rows} rows; "
            "classification needs at least two classes."
        )
    if count > MAX_CATEGORIES or (rows > 50 and count > rows / 2):
        remedy = 'task = "regression"' if values.dtype == np.float64 else "another column as data.target"
        if commas := decimal_commas(classes):
            raise DataError(f"{table.name}, column {name!r}: {commas}.")
        raise DataError(
            f"{table.name}, column {name!r}: the target has {count} different values in {rows} rows, "
            f"too many for classes; choose {remedy}."
        )
    return chosen, classes, codes_of(table, name, classes)


def _labels_in(values: Column) -> set[str]:
    """The labels that there are; whole numbers without a point."""
    if values.dtype != np.float64:
        return set(values.tolist())
    distinct = few_numbers(values, MAX_CATEGORIES)
    return {number_label(value) for value in (np.unique(values) if distinct is None else distinct).tolist()}


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
    values = table.column(name, key="data.target")
    if values.dtype == np.float64:
        codes = _codes_of_numbers(values, index)
    else:
        codes = np.fromiter((index.get(label, -1) for label in values), np.int64, len(values))
    unknown = np.flatnonzero(codes < 0)
    if unknown.size:
        row = int(unknown[0])
        label = number_label(values[row]) if values.dtype == np.float64 else values[row]
        raise DataError(
            f"{table.where(row, name)}: the class {label!r} was not there in training; classes: {shorten(classes)}"
        )
    return codes


def _codes_of_numbers(values: FloatArray, index: Mapping[str, int]) -> IntArray:
    """The position of each number's label, −1 where it has none; a block at a time, for the memory's sake."""
    codes = np.empty(len(values), np.int64)
    for start in range(0, len(values), _VALUES):
        part = slice(start, start + _VALUES)
        distinct, places = np.unique(values[part], return_inverse=True)
        known = np.array([index.get(number_label(value), -1) for value in distinct.tolist()], np.int64)
        codes[part] = known[places]
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
            if commas := decimal_commas([value]):
                raise DataError(f"{table.where(row, name)}: {commas}.")
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
        raise missing_target(table.where(int(missing[0]), name), missing.size, len(table))
