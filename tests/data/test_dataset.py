from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from dlrun.config.schema import DataConfig
from dlrun.data import Dataset, infer_task, load_dataset, load_table
from dlrun.errors import ConfigError, DataError

Load = Callable[..., Dataset]


def test_encoding_of_numbers_texts_and_booleans(dataset: Load) -> None:
    data = dataset("size,colour,new,y\n1,red,True,a\n2,blue,false,b\n3,red,TRUE,a\n4,green,False,b\n")
    assert data.feature_names == ("size", "colour=blue", "colour=green", "colour=red", "new")
    np.testing.assert_array_equal(data.features, [[1, 0, 0, 1, 1], [2, 1, 0, 0, 0], [3, 0, 0, 1, 1], [4, 0, 1, 0, 0]])
    assert data.categorical.tolist() == [False, True, True, True, False]
    assert data.classes == ("a", "b")
    assert data.target.tolist() == [0, 1, 0, 1]
    assert data.target.dtype == np.int64
    assert data.groups is None
    assert data.rows.tolist() == [0, 1, 2, 3]


def test_features_are_chosen_in_the_order_given(dataset: Load) -> None:
    data = dataset("a,b,c,y\n1,2,3,u\n4,5,6,v\n7,8,9,v\n", features=["c", "a"])
    assert data.feature_names == ("c", "a")
    assert data.features.tolist() == [[3, 1], [6, 4], [9, 7]]


def test_group_is_no_feature_unless_listed(dataset: Load) -> None:
    content = "a,who,y\n1,ann,0.5\n2,bob,1.5\n3,ann,2.5\n"
    data = dataset(content, group="who")
    assert data.feature_names == ("a",)
    assert data.groups is not None
    assert data.groups.tolist() == [0, 1, 0]
    assert dataset(content, group="who", features=["a", "who"]).feature_names == ("a", "who=ann", "who=bob")


def column(values: list[float]) -> np.ndarray:
    return np.array(values, dtype=np.float64)


def test_task_inferred_from_the_target() -> None:
    assert infer_task(np.array(["a", "b"], dtype=object)) == "classification"
    assert infer_task(column([0, 1, 1, 0])) == "classification"
    assert infer_task(column([0, 1, 2, 3])) == "regression"  # more than half as many values as rows
    assert infer_task(column([0.5, 1.5] * 10)) == "regression"
    assert infer_task(column(list(range(20)) * 2)) == "classification"
    assert infer_task(column(list(range(21)) * 2)) == "regression"
    assert infer_task(column([0, 1, np.nan, 1, 0])) == "classification"


def test_task_given_overrides(dataset: Load) -> None:
    content = "a,y\n1,3\n2,10\n3,3\n4,10\n"
    assert dataset(content).classes == ("3", "10")  # sorted as numbers
    assert dataset(content, task="regression").target.tolist() == [3, 10, 3, 10]
    assert dataset("a,y\n1,2.5\n2,0.5\n3,2.5\n", task="classification").classes == ("0.5", "2.5")
    assert dataset("a,y\n1,true\n2,false\n", task="regression").target.tolist() == [1, 0]


GAPS = "a,c,y\n1,u,1.5\n,u,2.5\n3,,3.5\n4,v,\n5,v,5.5\n"


def test_missing_error_names_the_first_cell_and_the_counts(dataset: Load) -> None:
    with pytest.raises(DataError, match=r"t.csv, line 3, column 'a'.*a 1, c 1.*data.missing") as error:
        dataset(GAPS.replace("4,v,\n", ""))
    assert '"mean"' in str(error.value)


def test_missing_mean_keeps_gaps_in_features_and_refuses_them_in_the_target(dataset: Load) -> None:
    with pytest.raises(DataError, match=r"line 5, column 'y': the target is missing \(in 1 of 5 rows\)"):
        dataset(GAPS, missing="mean")
    data = dataset(GAPS.replace("4,v,\n", ""), missing="mean")
    np.testing.assert_array_equal(data.features, [[1, 1, 0], [np.nan, 1, 0], [3, np.nan, np.nan], [5, 0, 1]])


def test_missing_drop_keeps_the_row_numbers_of_the_file(dataset: Load) -> None:
    data = dataset(GAPS, missing="drop", missing_target="drop")
    assert data.rows.tolist() == [0, 4]
    assert data.features.tolist() == [[1, 1, 0], [5, 0, 1]]
    assert data.target.tolist() == [1.5, 5.5]
    assert data.notes == ("t.csv: 2 of 5 rows are left; the others miss a value (by column: a 1, c 1, y 1)",)


def test_rows_without_a_target_are_dropped_by_a_key_of_their_own(dataset: Load) -> None:
    with pytest.raises(DataError, match=r"line 5, column 'y': the target is missing.*data.missing_target = \"drop\""):
        dataset(GAPS, missing="drop")
    data = dataset("a,y\n1,1.5\n2,\n3,2.5\n", missing_target="drop")
    assert data.rows.tolist() == [0, 2]
    assert data.notes == ("t.csv: 2 of 3 rows are left; the others miss a value (by column: y 1)",)
    with pytest.raises(DataError, match=r"line 3, column 'a': the value is missing"):
        dataset(GAPS, missing_target="drop")


def test_most_rows_may_lack_the_target(dataset: Load) -> None:
    assert dataset("a,y\n1,1.5\n2,\n3,\n4,\n5,2.5\n", missing_target="drop").rows.tolist() == [0, 4]


# Of 6 rows, 4 miss b and one of the others misses c.
SPARSE = "a,b,c,y\n1,,1,0.5\n2,,2,1.5\n3,,3,2.5\n4,,4,3.5\n5,5,,4.5\n6,6,6,5.5\n"


def test_dropping_more_than_half_of_the_rows_is_refused_with_a_remedy_that_works(dataset: Load) -> None:
    with pytest.raises(DataError, match=r"leaves 1 of 6 rows, fewer than half.*by column: b 4, c 1") as error:
        dataset(SPARSE, missing="drop")
    assert "--set 'data.exclude=[\"b\"]' leaves b out; --set data.missing=mean fills it." in str(error.value)
    assert dataset(SPARSE, missing="drop", exclude=["b"]).rows.tolist() == [0, 1, 2, 3, 5]
    assert len(dataset(SPARSE, missing="mean")) == 6


def test_the_remedy_is_told_in_features_where_these_are_listed(dataset: Load) -> None:
    with pytest.raises(DataError, match=r"--set 'data.features=\[\"c\"\]' leaves b out"):
        dataset(SPARSE, missing="drop", features=["b", "c"])


def test_half_of_the_rows_is_enough(dataset: Load) -> None:
    assert len(dataset("a,y\n1,0.5\n2,1.5\n,2.5\n,3.5\n", missing="drop")) == 2


def test_where_no_choice_of_columns_helps_filling_is_named_alone(dataset: Load) -> None:
    with pytest.raises(DataError, match=r"leaves 1 of 3 rows.*a 2\. --set data.missing=mean fills them\.$"):
        dataset("a,y\n1,0.5\n,1.5\n,2.5\n", missing="drop")


def test_gaps_in_columns_that_are_not_used_do_not_matter(dataset: Load) -> None:
    assert len(dataset("a,b,y\n1,,1.5\n2,,2.5\n3,,3.5\n", features=["a"])) == 3


def many(rows: int, value: Callable[[int], str]) -> str:
    return "".join(f"{value(index)},{index % 2}\n" for index in range(rows))


ERRORS = {
    "no target": ("a,b\n1,2\n3,4\n", {"target": None}, "data.target is missing.*Columns: a, b"),
    "unknown target": ("weight,y\n1,2\n3,4\n", {"target": "Y"}, r"no column 'Y' \(data.target\); did you mean 'y'"),
    "unknown feature": ("weight,y\n1,2\n3,4\n", {"features": ["wieght"]}, "did you mean 'weight'"),
    "unknown group": ("weight,y\n1,2\n3,4\n", {"group": "who"}, r"no column 'who' \(data.group\). Columns: weight, y"),
    "no features": ("y\n1\n2\n", {}, "leaves no feature"),
    "one class": ("a,y\n1,u\n2,u\n", {}, "the target is 'u' in all 2 rows"),
    "one row": ("a,y\n1,u\n", {}, "at least 2 are needed"),
    "names": ("a,y\n" + many(60, lambda index: f"n{index}"), {}, "'a' is text with 60 different values in 60 rows"),
    "slip": (
        "a,y\n" + many(60, lambda index: "4o" if index == 40 else str(index)),
        {},
        "line 42, column 'a': '4o' is no number, and nearly all",
    ),
    "thousands": ("a,y\n" + many(3000, lambda index: f"n{index % 1001}"), {}, "1001 different values"),
    "classes": ("y,a\n" + many(60, lambda index: f"n{index}"), {}, "60 different values in 60 rows, too many"),
    "text in regression": ("a,y\n1,2\n3,x\n", {"task": "regression"}, "line 3, column 'y'.*'x' is a text"),
    "empty column": ("a,b,y\n1,,0\n2,,1\n", {}, "'b' has no value in any row"),
    "all dropped": ("a,b,y\n1,,0\n,2,1\n", {"missing": "drop"}, "leaves 0 of 2 rows"),
    "missing group": ("a,g,y\n1,,0\n2,u,1\n", {"group": "g"}, "line 2, column 'g': the group is missing"),
    "clash": ("a=u,a,y\n1,u,0\n2,u,1\n3,u,0\n4,u,1\n", {}, "two columns would be encoded as 'a=u'"),
}


@pytest.mark.parametrize("case", ERRORS)
def test_errors_say_where_and_what_would_be_right(dataset: Load, case: str) -> None:
    content, options, message = ERRORS[case]
    with pytest.raises(DataError, match=message):
        dataset(content, **options)


def test_few_rows_may_all_differ_in_a_text(dataset: Load) -> None:
    assert dataset("a,y\n" + many(50, lambda index: f"n{index}")).features.shape == (50, 50)


def test_config_that_reaches_the_data_unchecked(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,y\n1,2\n3,4\n")
    base = DataConfig(source="t.csv", target="y")
    for change in ({"features": ("a", "y")}, {"group": "y"}):
        with pytest.raises(DataError, match="target"):
            load_dataset(base.model_copy(update=change), task=None, folder=tmp_path, seed=0)


def test_rows_and_noise_belong_to_generators(dataset: Load) -> None:
    with pytest.raises(ConfigError, match=r"data.rows = 7 goes with a generator"):
        dataset(source="iris", rows=7)
    with pytest.raises(ConfigError, match=r"data.noise"):
        dataset("a,y\n1,2\n", noise=0.5)


def test_the_seed_of_a_generator(dataset: Load) -> None:
    by_experiment = dataset(source="moons", seed=3)
    by_data = dataset(source="moons", seed=0)
    assert by_experiment.hash != by_data.hash
    config = DataConfig(source="moons", seed=3)
    assert load_dataset(config, task=None, folder=Path(), seed=0).hash == by_experiment.hash


def test_the_hash_covers_content_target_and_rows_but_not_the_choice_of_features(dataset: Load) -> None:
    content = "a,b,y,z\n1,2,0.5,1.5\n3,,2.5,3.5\n4,5,6.5,7.5\n"
    base = dataset(content, features=["a"]).hash
    assert dataset(content, missing="mean").hash == base
    assert dataset(content, missing="drop").hash != base
    assert dataset(content, features=["a"], target="z").hash != base
    assert dataset(content.replace("7.5", "7.25"), features=["a"]).hash != base


def test_a_table_in_another_order_of_columns_is_another_table_and_reads_the_same(dataset: Load) -> None:
    first = dataset("a,b,y\n1,2,u\n3,4,v\n")
    second = dataset("b,a,y\n2,1,u\n4,3,v\n", features=["a", "b"])
    np.testing.assert_array_equal(first.features, second.features)


def test_where_names_the_cell(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a\n1\n\n2\n")
    assert load_table("t.csv", folder=tmp_path).where(1, "a") == "t.csv, line 4, column 'a'"
