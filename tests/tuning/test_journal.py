"""The journal: whole lines or none, whatever a kill leaves."""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path

import pytest

from dlrun.errors import RunError
from dlrun.tuning.journal import Journal, read_journal

RECORDS = [{"kind": "trial", "number": n, "values": {"a": [1, 2.5, "ü\n"]}, "score": 0.1 + 0.2} for n in range(3)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "journal.jsonl"
    with Journal(path) as journal:
        journal.append(RECORDS[0])
        journal.append(RECORDS[1], RECORDS[2])
    return path


def test_records_come_back(path: Path) -> None:
    assert read_journal(path) == (RECORDS, path.stat().st_size)


def test_each_line_is_json_with_the_digest_of_its_record(path: Path) -> None:
    for line in path.read_text(encoding="utf-8").splitlines():
        held = json.loads(line)
        text = json.dumps(held["record"], sort_keys=True, separators=(",", ":"))
        assert held["sha256"] == hashlib.sha256(text.encode()).hexdigest()


def test_a_file_cut_anywhere_gives_its_whole_lines(path: Path) -> None:
    content = path.read_bytes()
    ends = [place + 1 for place, byte in enumerate(content) if byte == 10]
    for size in sorted({*range(0, len(content) + 1, 13), *ends, *(end - 1 for end in ends)}):
        path.write_bytes(content[:size])
        with Journal(path, resume=True) as journal:
            whole = sum(end <= size for end in ends)
            assert journal.records == RECORDS[:whole]
            journal.append({"kind": "more"})
        assert read_journal(path)[0] == [*RECORDS[:whole], {"kind": "more"}]


def test_a_damaged_line_in_the_middle_is_an_error(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b'"number":1', b'"number":7'))
    with pytest.raises(RunError, match=r"journal\.jsonl, line 2: damaged"):
        read_journal(path)


def test_a_new_journal_replaces_an_old_one(path: Path) -> None:
    with Journal(path) as journal:
        assert journal.records == []
    assert path.read_bytes() == b""


def test_numbers_that_are_not_finite_become_null(path: Path) -> None:
    with Journal(path) as journal:
        journal.append({"cost": math.inf, "folds": (0.5, math.nan)})
    assert read_journal(path)[0] == [{"cost": None, "folds": [0.5, None]}]


def test_a_write_that_fails_leaves_no_part_of_a_line(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with Journal(path, resume=True) as journal:
        monkeypatch.setattr("os.fsync", full)
        with pytest.raises(OSError, match="No space"):
            journal.append({"kind": "lost"})
    assert read_journal(path)[0] == RECORDS
