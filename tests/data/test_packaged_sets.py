from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sklearn.datasets

from dlrun.data import GENERATORS, PACKAGED, Dataset
from dlrun.packaged import packaged_dir

Load = Callable[..., Dataset]


@pytest.mark.parametrize("name", PACKAGED)
def test_every_set_has_a_card_and_loads_bare(dataset: Load, name: str) -> None:
    data = dataset(source=name)
    assert data.task == PACKAGED[name].task
    assert data.target_name == PACKAGED[name].target
    assert np.isfinite(data.features).all()
    card = (packaged_dir("datasets") / f"{name}.md").read_text(encoding="utf-8")
    assert card.startswith(f"# {name}\n")
    assert f"**Rows**: {len(data)}" in card
    for word in ("**target**", "**Origin**", "**Licence**", f"`{data.target_name}`"):
        assert word in card, word


def test_the_folder_and_the_registry_agree() -> None:
    folder = packaged_dir("datasets")
    assert {path.stem for path in folder.glob("*.csv")} == set(PACKAGED)
    assert {path.stem for path in folder.glob("*.md")} == set(PACKAGED)
    assert not set(PACKAGED) & set(GENERATORS)


@pytest.mark.parametrize("name", ["iris", "wine", "breast_cancer", "digits", "diabetes"])
def test_values_are_those_of_scikit_learn(dataset: Load, name: str) -> None:
    options: dict[str, Any] = {"scaled": False} if name == "diabetes" else {}
    theirs = getattr(sklearn.datasets, f"load_{name}")(**options)
    ours = dataset(source=name)
    np.testing.assert_array_equal(ours.features, theirs.data)
    if name == "diabetes":
        np.testing.assert_array_equal(ours.target, theirs.target)
    elif name == "wine":
        assert [int(ours.classes[code]) - 1 for code in ours.target] == theirs.target.tolist()
    else:
        labels = [str(theirs.target_names[code]) for code in theirs.target]
        assert [ours.classes[code] for code in ours.target] == labels


def test_blood_fat_are_the_rows_of_the_text(dataset: Load) -> None:
    data = dataset(source="blood_fat")
    assert data.feature_names == ("weight", "age")
    np.testing.assert_array_equal(data.features[[0, 10, 24]], [[84, 46], [27, 24], [63, 30]])
    np.testing.assert_array_equal(data.target[[0, 10, 24]], [354, 209, 244])
    # The text's first printed loss: one update of summed squared error from zeros, α = 1e-6.
    X = np.column_stack([data.features, np.ones(25)])
    theta = 1e-6 * 2 * X.T @ data.target
    assert np.sum((X @ theta - data.target) ** 2) == pytest.approx(1230281.8, rel=1e-6)


def test_xor_is_the_truth_table(dataset: Load) -> None:
    data = dataset(source="xor")
    assert data.features.tolist() == [[0, 0], [0, 1], [1, 0], [1, 1]]
    assert [data.classes[code] for code in data.target] == ["0", "1", "1", "0"]


def test_a_packaged_set_with_another_target(dataset: Load) -> None:
    data = dataset(source="iris", target="petal_width", task="regression")
    assert data.feature_names[-3:] == ("species=setosa", "species=versicolor", "species=virginica")


def test_a_file_of_the_same_name_needs_its_ending(dataset: Load, tmp_path: Path) -> None:
    (tmp_path / "iris.csv").write_text("a,y\n1,u\n2,v\n")
    assert len(dataset(source="iris")) == 150
    assert len(dataset(source="iris.csv", target="y")) == 2


def test_the_page_on_data_lists_every_set_and_generator() -> None:
    page = (Path(__file__).parents[2] / "docs" / "data.md").read_text(encoding="utf-8")
    for name, chosen in GENERATORS.items():
        assert re.search(rf"\| `{name}` \|.*\| {chosen.rows} \| {chosen.noise:g} \|", page), name
    for name, packaged in PACKAGED.items():
        assert f"| [`{name}`](../datasets/{name}.md) |" in page
        assert f"`{packaged.target}`" in page
