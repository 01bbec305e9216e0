"""Notes about columns that most likely are no features."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from dlrun.config.schema import DataConfig
from dlrun.data import load_dataset
from dlrun.data.suspects import column_notes

N = 40


def notes(folder: Path, missing: str = "error", **columns: Sequence[object]) -> list[str]:
    """The notes about a table of these columns and a target."""
    columns = {**columns, "y": [f"{i % 7}.5" for i in range(N)]}
    rows = [",".join(f'"{cell}"' for cell in row) for row in zip(*columns.values(), strict=True)]
    (folder / "t.csv").write_text("\n".join([",".join(columns), *rows]) + "\n")
    config = DataConfig(source="t.csv", target="y", missing=missing)  # type: ignore[arg-type]
    data = load_dataset(config, task="regression", folder=folder, seed=0)
    return column_notes(data.name, data.encoding, data.features, data.rows)


X = [f"{i * i % 11}.25" for i in range(N)]
TEXT = ["big" if i % 3 else "small" for i in range(N)]


@pytest.mark.parametrize(
    "numbers",
    [
        [i + 1000 for i in range(N)],
        [f"{i}.0" for i in range(N)],
        [(i * 7) % N for i in range(N)],  # each number once, the rows in another order
    ],
)
def test_identifiers_are_named(numbers: Sequence[object], tmp_path: Path) -> None:
    (note,) = notes(tmp_path, x=X, text=TEXT, id=numbers)
    assert note == (
        "t.csv: column 'id' numbers the rows, as identifiers do. To leave it out: --set 'data.exclude=[\"id\"]'"
    )


@pytest.mark.parametrize(
    "numbers",
    [
        X,
        [2 * i for i in range(N)],
        [i + 0.5 for i in range(N)],
        [i // 2 for i in range(N)],
        [*range(N - 1), N + 5],
    ],
)
def test_other_numbers_are_not(numbers: Sequence[object], tmp_path: Path) -> None:
    assert notes(tmp_path, x=X, text=TEXT, z=numbers) == []


def test_an_identifier_among_rows_that_were_dropped(tmp_path: Path) -> None:
    gaps = ["" if i in (5, 20) else "1.5" for i in range(N)]
    (note,) = notes(tmp_path, missing="drop", id=range(N), gaps=gaps)
    assert "column 'id'" in note


@pytest.mark.parametrize("form", ["5/{}/24", "{}.5.24", "2024-05-{:02}T10", "2024-05-{:02} in the morning"])
def test_dates_in_uncommon_forms_are_named(form: str, tmp_path: Path) -> None:
    dates = [form.format(1 + i % 15) for i in range(N)]
    (note,) = notes(tmp_path, x=X, id=range(N), when=dates)
    assert "column 'id' numbers the rows" in note
    assert "column 'when' holds dates" in note
    assert note.endswith('To leave them out: --set \'data.exclude=["id", "when"]\'')


def test_texts_that_resemble_dates_are_not(tmp_path: Path) -> None:
    assert (
        notes(tmp_path, x=X, part=[f"1-2-{i % 9}x" for i in range(N)], version=[f"1.{i % 5}" for i in range(N)]) == []
    )


def test_decimal_commas_of_few_values_are_said(tmp_path: Path) -> None:
    (note,) = notes(tmp_path, x=X, size=[f"{i % 5},5" for i in range(N)])
    assert "column 'size': '0,5' has a decimal comma" in note


def test_nothing_is_said_where_no_column_would_be_left(tmp_path: Path) -> None:
    assert notes(tmp_path, t=range(N)) == []


def test_of_many_columns_not_all_are_listed(tmp_path: Path) -> None:
    (note,) = notes(tmp_path, x=X, **{f"identifier_{k}": range(N) for k in range(30)})
    assert note.endswith("name them in data.exclude (identifier_0, identifier_1, identifier_2, … (30 in all))")


def test_commands_note_it_of_a_table_of_the_user(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from dlrun.cli.app import run

    notes(tmp_path, id=range(N), x=X)
    base = ["--data", str(tmp_path / "t.csv"), "--target", "y", "--set", "training.epochs=1", "--overwrite"]
    base += ["--out", str(tmp_path / "run")]
    for command in ("train", "crossval --folds 2", "tune --trials 1", "kmeans --clusters 2"):
        assert run([*command.split(), *base]) == 0
        assert "note: " in capsys.readouterr().err, command
    for silent in (["--quiet"], ["--set", 'data.features=["id", "x"]'], ["--set", 'data.exclude=["id"]']):
        assert run(["train", *base, *silent]) == 0
        assert "numbers the rows" not in capsys.readouterr().err
