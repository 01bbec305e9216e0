"""A model through its file and back; and files that are none."""

from __future__ import annotations

import json
import pickle
import random

import numpy as np
import pytest
from safetensors.numpy import load, save

from dlrun.backend import Backend
from dlrun.errors import RunError
from dlrun.training.model import load_model

KINDS = {
    "binary": ("breast_cancer", ["model.hidden=[5]"]),
    "classes": ("iris", ["model.hidden=[6, 4]", "model.batch_norm=true", "model.keep_prob=0.8"]),
    "numbers": ("diabetes", ["model.hidden=[]", "model.dtype='float64'"]),
    "polynomial": ("diabetes", ['model.feature_map={name="polynomial",degree=2}']),
    "rbf": ("iris", ['model.feature_map={name="rbf",count=9,gamma=0.5}', "model.hidden=[]"]),
    "without bias": ("wine", ["model.bias=false", "model.activation='tanh'"]),
    "majority": ("wine", ["model.kind='majority'"]),
    "mean": ("diabetes", ["model.kind='mean'"]),
    "nearest": ("iris", ["model.kind='nearest_neighbor'"]),
}


@pytest.fixture(scope="module")
def models(problem):
    from dlrun.training.run import TrainRun

    found = {}
    for kind, (name, overrides) in KINDS.items():
        run = TrainRun(problem(name, "training.epochs=2", *overrides), Backend())
        list(run)
        found[kind] = (run.outcome.model, run.problem)
    return found


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_the_same_answers_after_saving_and_loading(models, tmp_path, kind):
    model, problem = models[kind]
    path = tmp_path / "model.safetensors"
    path.write_bytes(model.to_bytes())
    again = load_model(path)
    x = model.preprocessing.scaling.apply(problem.dataset.features)
    np.testing.assert_array_equal(again.answers(x, Backend()), model.answers(x, Backend()))
    assert again.to_bytes() == model.to_bytes()


def test_names_and_shapes_of_the_interface(models):
    model, _ = models["classes"]
    tensors = load(model.to_bytes())
    shapes = {name: tensor.shape for name, tensor in tensors.items() if not name.startswith(("scaling.", "target."))}
    assert shapes == {
        "W1": (4, 6), "gamma1": (6,), "beta1": (6,), "mean1": (6,), "variance1": (6,),
        "W2": (6, 4), "gamma2": (4,), "beta2": (4,), "mean2": (4,), "variance2": (4,),
        "W3": (4, 3), "b3": (3,),
    }  # fmt: skip
    plain, _ = models["binary"]
    assert {n: t.shape for n, t in load(plain.to_bytes()).items() if n[0] in "Wb"} == {
        "W1": (30, 5), "b1": (5,), "W2": (5, 1), "b2": (1,)
    }  # fmt: skip


def parts(data):
    """Metadata and tensors of a file."""
    end = 8 + int.from_bytes(data[:8], "little")
    return json.loads(data[8:end])["__metadata__"], load(data)


def architecture(metadata, **changes):
    return metadata | {"architecture": json.dumps(json.loads(metadata["architecture"]) | changes)}


def without(table, name):
    return {key: value for key, value in table.items() if key != name}


def refused(path, content, match):
    path.write_bytes(content)
    with pytest.raises(RunError, match=match) as error:
        load_model(path)
    assert str(path) in str(error.value)


def test_what_is_no_model_file(tmp_path):
    path = tmp_path / "model.safetensors"
    with pytest.raises(RunError, match="no such model"):
        load_model(path)
    refused(path, b"", "not a model file")
    refused(path, b"W1,b1\n1,2\n", "not a model file")
    refused(path, pickle.dumps({"W1": np.ones(3)}), "not a model file")
    refused(path, b"\xff" * 4096, "not a model file")
    refused(path, save({"W1": np.ones(3)}), "another program")
    refused(path, save({"W1": np.ones(3)}, {"format": "pt"}), "format 'pt'")
    (tmp_path / "folder").mkdir()
    with pytest.raises(RunError, match="folder"):
        load_model(tmp_path / "folder")


def test_truncated_anywhere(models, tmp_path):
    data = models["classes"][0].to_bytes()
    for end in [*range(0, len(data), 97), len(data) - 1]:
        refused(tmp_path / "m", data[:end], "not a model file")


def test_incomplete_or_contradictory_files(models, tmp_path):
    path = tmp_path / "model.safetensors"
    metadata, tensors = parts(models["classes"][0].to_bytes())
    for name in tensors:
        refused(path, save(without(tensors, name), metadata), "lacks")
    for name in without(metadata, "dlrun"):
        refused(path, save(tensors, without(metadata, name)), "lacks|another program")
    contradictions = [
        (architecture(metadata, inputs=5), tensors),
        (architecture(metadata, hidden=[6, 5]), tensors),
        (architecture(metadata, activation="exec"), tensors),
        (architecture(metadata, outputs=1, loss="binary_cross_entropy"), tensors),
        (architecture(metadata, loss="squared_error"), tensors),
        (architecture(metadata, dtype="float64"), tensors),
        (metadata | {"architecture": "[1, 2"}, tensors),
        (metadata | {"architecture": "[" * 100_000}, tensors),
        (metadata | {"kind": "oracle"}, tensors),
        (metadata | {"kind": "mean"}, tensors),
        (metadata, tensors | {"W1": tensors["W1"].T.copy()}),
        (metadata, tensors | {"W1": tensors["W1"].astype(np.float64)}),
        (metadata, tensors | {"W1": tensors["W1"] * np.float32(np.nan)}),
        (metadata, tensors | {"target.scale": np.zeros(3)}),
        (metadata, tensors | {"target.shift": np.zeros(2)}),
    ]
    for header, arrays in contradictions:
        refused(path, save(arrays, header), "damaged")


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("rbf", {"centres": np.ones((4, 8))}),
        ("nearest", {"baseline.rows": np.ones((0, 4)), "baseline.targets": np.ones((0, 3))}),
        ("nearest", {"baseline.rows": np.ones((5, 3))}),
        ("nearest", {"baseline.rows": np.array(1.0)}),
        ("majority", {"baseline.answer": np.ones(7)}),
        ("mean", {"baseline.answer": np.array([np.inf])}),
    ],
)
def test_contradictions_of_other_kinds(models, tmp_path, kind, changes):
    metadata, tensors = parts(models[kind][0].to_bytes())
    refused(tmp_path / "m", save(tensors | changes, metadata), "damaged")


@pytest.mark.parametrize("kind", ["rbf", "polynomial", "nearest"])
def test_random_damage_is_refused_or_harmless(models, tmp_path, kind):
    """A header with a few bytes changed is refused by a `RunError`, or still describes a model that answers."""
    data = models[kind][0].to_bytes()
    end = 8 + int.from_bytes(data[:8], "little")
    draw, path = random.Random(0), tmp_path / "m"
    for _ in range(150):
        damaged = bytearray(data)
        for _ in range(draw.choice([1, 2, 5])):
            damaged[draw.randrange(end)] = draw.choice([draw.randrange(256), *b'0123456789"[{,'])
        path.write_bytes(damaged)
        try:
            model = load_model(path)
        except RunError:
            continue
        model.answers(np.zeros((2, len(model.preprocessing.feature_names))), Backend())
