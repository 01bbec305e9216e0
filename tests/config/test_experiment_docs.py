"""The page on the experiment file tells every key as the schema has it, and its examples load."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from dlrun.config import KeyDoc, field_docs, validate

PAGE = Path(__file__).parents[2] / "docs" / "experiment-file.md"


@pytest.mark.parametrize("doc", field_docs(), ids=lambda doc: doc.key)
def test_page_has_the_row_of_every_key(doc: KeyDoc) -> None:
    assert doc.meaning
    assert doc.markdown_row() in PAGE.read_text(encoding="utf-8").splitlines()


def test_page_has_no_other_keys() -> None:
    known = {doc.key for doc in field_docs()}
    tables = "|".join(("data", "model", "optimizer", "regularization", "training", "tune"))
    rows = re.findall(rf"^\| `((?:{tables})\.[a-z0-9_.]+)`", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert rows
    assert set(rows) <= known


def test_examples_load() -> None:
    blocks = re.findall(r"```toml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) >= 2
    for block in blocks:
        assert validate(tomllib.loads(block), where="docs/experiment-file.md")


def test_docs_say_types_and_bounds() -> None:
    docs = {doc.key: doc for doc in field_docs()}
    assert docs["optimizer.beta1"].allowed == "a number ≥ 0 and < 1"
    assert docs["seed"].allowed == f"a whole number from 0 to {2**63 - 1}"
    assert docs["data.source"].required
    assert docs["model.hidden"].default == "[64, 32]"
    assert docs["model.batch_norm"].allowed == "true or false"
    assert docs["training.batch_size"].allowed == 'a whole number from 1 to 1000000000, or "full"'
