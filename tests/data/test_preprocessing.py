from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from safetensors import safe_open

from dlrun.data import Dataset, Preprocessing, Table, encode_table, fit_scaling
from dlrun.errors import DataError, RunError

TRAIN = "size,colour,new,code,y\n1,red,true,7,ja\n2,blue,false,x,nein\n3,red,true,7,ja\n6,grün,false,x,nein\n"


@pytest.fixture
def preprocessing(dataset: Callable[..., Dataset]) -> Preprocessing:
    data = dataset(TRAIN, missing="mean")
    scaling = fit_scaling(
        data.features, [0, 1, 2, 3], normalize="standard", missing="mean", categorical=data.categorical
    )
    return Preprocessing.of(data, scaling, missing="mean")


def new_table(preprocessing: Preprocessing, folder: Path, content: str) -> Table:
    (folder / "new.csv").write_text(content)
    return preprocessing.read("new.csv", folder=folder)


def test_round_trip_through_a_safetensors_file(preprocessing: Preprocessing, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    tensors = {"W1": np.ones((2, 2), np.float32), **preprocessing.to_tensors()}
    safetensors.numpy.save_file(tensors, path, metadata=preprocessing.to_metadata())
    with safe_open(path, "numpy") as file:
        loaded = Preprocessing.from_parts(file.metadata(), {name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118
    for name in ("encoding", "classes", "target_name", "task", "feature_names", "missing"):
        assert getattr(loaded, name) == getattr(preprocessing, name)
    table = new_table(loaded, tmp_path, "y,colour,size,new,code\nja,red,2,false,7\n")
    np.testing.assert_array_equal(loaded.features(table), preprocessing.features(table))


def test_a_new_table_is_encoded_as_the_training_table(preprocessing: Preprocessing, tmp_path: Path) -> None:
    # size: mean 3, variance (4+1+0+9)/4; categories: 7 stays a text though every value looks like a number
    table = new_table(preprocessing, tmp_path, "extra,new,code,colour,size\n0,1,7,black,3\n0,FALSE,7,,\n")
    assert preprocessing.feature_names[4:] == ("new", "code=7", "code=x")
    features = preprocessing.features(table)
    np.testing.assert_allclose(features[0], [0, 0, 0, 0, 1, 1, 0])  # an unknown colour is none of them
    np.testing.assert_allclose(features[1], [0, 0.25, 0.25, 0.5, -1, 1, 0])  # gaps: the training means
    assert preprocessing.feature_names[:4] == ("size", "colour=blue", "colour=grün", "colour=red")


def test_target_of_a_new_table(preprocessing: Preprocessing, tmp_path: Path) -> None:
    table = new_table(preprocessing, tmp_path, TRAIN)
    assert preprocessing.target(table).tolist() == [0, 1, 0, 1]
    with pytest.raises(DataError, match=r"new.csv, line 2, column 'y': the class 'oui' was not there in training"):
        preprocessing.target(new_table(preprocessing, tmp_path, TRAIN.replace("ja", "oui")))
    with pytest.raises(DataError, match="the target is missing"):
        preprocessing.target(new_table(preprocessing, tmp_path, "y,a\n,1\n"))
    with pytest.raises(DataError, match="no column 'y'"):
        preprocessing.target(new_table(preprocessing, tmp_path, "a\n1\n"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("size,new\n1,true\n", r"lacks the columns 'colour', 'code' that the model was trained on"),
        ("size,colour,new,code\nbig,red,true,7\n", r"line 2, column 'size': 'big' where .* a number"),
        ("size,colour,new,code\n1,red,maybe,7\n", r"line 2, column 'new': 'maybe' where .* true or false"),
    ],
)
def test_tables_that_do_not_fit(preprocessing: Preprocessing, tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        preprocessing.features(new_table(preprocessing, tmp_path, content))


def test_gaps_are_refused_by_a_model_trained_without_filling(dataset: Callable[..., Dataset], tmp_path: Path) -> None:
    data = dataset("a,c,y\n1,u,0.5\n2,v,1.5\n3,v,2.5\n")
    scaling = fit_scaling(data.features, [0, 1, 2], normalize="none", missing="error", categorical=data.categorical)
    model = Preprocessing.of(data, scaling)
    table = new_table(model, tmp_path, "a,c\n1,u\n2,\n")
    with pytest.raises(DataError, match=r"line 3, column 'c': the value is missing"):
        model.features(table)
    assert np.isnan(encode_table(table, data.encoding)[1]).tolist() == [False, True, True]


def test_damaged_metadata_is_named(preprocessing: Preprocessing) -> None:
    metadata, tensors = preprocessing.to_metadata(), preprocessing.to_tensors()
    for key in metadata:
        with pytest.raises(RunError, match=f"lacks '{key}'"):
            Preprocessing.from_parts({k: v for k, v in metadata.items() if k != key}, tensors)
    with pytest.raises(RunError, match=r"lacks 'scaling.fill'"):
        Preprocessing.from_parts(metadata, {})
    damaged = [("task", '"regression"'), ("task", "["), ("classes", "[1]"), ("encoding", "3"), ("encoding", '["x"]')]
    damaged += [
        ("encoding", '[{"name": "a", "kind": "odd", "categories": []}]'),
        ("missing", '"maybe"'),
        ("classes", "3"),
    ]
    for key, value in damaged:
        with pytest.raises(RunError, match="damaged"):
            Preprocessing.from_parts(metadata | {key: value}, tensors)
    with pytest.raises(RunError, match="damaged"):
        Preprocessing.from_parts(metadata, tensors | {"scaling.fill": np.zeros(3)})
