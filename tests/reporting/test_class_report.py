"""Confusion, recall and precision."""

from __future__ import annotations

import numpy as np

from dlrun.reporting.class_report import MOST_CLASSES, ClassReport
from dlrun.reporting.tables import render_plain


def test_counts_by_hand() -> None:
    """a: two rows, one right; b: one row, right, and one row of a beside it; c: no row, never called."""
    report = ClassReport.of(("a", "b", "c"), np.array([0, 0, 1]), np.array([0, 1, 1]))
    assert report.confusion.tolist() == [[1, 1, 0], [0, 1, 0], [0, 0, 0]]
    assert report.rows() == [
        {"class": "a", "rows": 2, "predicted": 1, "recall": 0.5, "precision": 1.0},
        {"class": "b", "rows": 1, "predicted": 2, "recall": 1.0, "precision": 0.5},
        {"class": "c", "rows": 0, "predicted": 0, "recall": None, "precision": None},
    ]
    per_class, confusion = map(render_plain, report.tables("test part"))
    assert per_class.splitlines()[-1].split() == ["c", "0", "0", "-", "-"]
    assert confusion.splitlines()[1].split() == ["class", "\\", "called", "a", "b", "c"]


def test_many_classes_leave_out_the_matrix() -> None:
    names = tuple(map(str, range(MOST_CLASSES + 1)))
    report = ClassReport.of(names, np.arange(len(names)), np.arange(len(names)))
    (table,) = report.tables("test part")
    assert "with --json" in render_plain(table)
    assert len(report.to_json()["confusion"]) == len(names)
