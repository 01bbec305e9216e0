"""Every kind of layer: values by its equation, the gradient against float64 differences, replicas alone and together,
training against evaluation, the model file, and ONNX."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dlrun
from dlrun.config.layers_section import LAYER_KEYS, layer_tables
from dlrun.errors import ConfigError
from dlrun.nn.description import describe, from_description
from dlrun.nn.layers import LAYERS, layers_of
from dlrun.nn.network import Architecture

SHAPES = {"picture": (6, 5, 2), "sequence": (5, 3), "row": (4,)}
HEADS: dict[str, list[dict[str, Any]]] = {
    "picture": [{"kind": "flatten"}],
    "sequence": [{"kind": "mean_over_time"}],
    "row": [],
}
# Each kind with the rows that it takes, and what it stands among.
CASES: dict[str, tuple[str, list[dict[str, Any]]]] = {
    "dense": ("row", [{"kind": "dense", "units": 3, "activation": "tanh"}]),
    "dense of steps": ("sequence", [{"kind": "dense", "units": 3, "activation": "tanh"}]),
    "activation": ("row", [{"kind": "dense", "units": 3}, {"kind": "activation", "activation": "sigmoid"}]),
    "conv2d": ("picture", [{"kind": "conv2d", "filters": 3, "activation": "tanh"}]),
    "conv2d strided": ("picture", [{"kind": "conv2d", "filters": 3, "stride": 2, "activation": "tanh"}]),
    "conv2d valid": ("picture", [{"kind": "conv2d", "filters": 2, "padding": "valid", "kernel": 2}]),
    "max_pool": ("picture", [{"kind": "conv2d", "filters": 2, "activation": "tanh"}, {"kind": "max_pool"}]),
    "average_pool": ("picture", [{"kind": "conv2d", "filters": 2, "activation": "tanh"},
                                 {"kind": "average_pool", "size": 3, "stride": 1}]),
    "global_average_pool": ("picture", [{"kind": "conv2d", "filters": 4, "activation": "tanh"},
                                        {"kind": "global_average_pool"}]),
    "flatten": ("picture", [{"kind": "flatten"}]),
    "batch_norm": ("row", [{"kind": "dense", "units": 3}, {"kind": "batch_norm"}]),
    "batch_norm of pictures": ("picture", [{"kind": "conv2d", "filters": 2, "activation": "identity"},
                                           {"kind": "batch_norm"}, {"kind": "activation", "activation": "tanh"}]),
    "batch_norm of steps": ("sequence", [{"kind": "batch_norm"}]),
    "layer_norm": ("row", [{"kind": "dense", "units": 5, "activation": "tanh"}, {"kind": "layer_norm"}]),
    "layer_norm of pictures": ("picture", [{"kind": "layer_norm"}]),
    "dropout": ("row", [{"kind": "dense", "units": 6, "activation": "tanh"}, {"kind": "dropout", "keep_prob": 0.7}]),
    "dropout of pictures": ("picture", [{"kind": "dropout", "keep_prob": 0.7}]),
    "rnn": ("sequence", [{"kind": "rnn", "units": 3}]),
    "lstm": ("sequence", [{"kind": "lstm", "units": 3}]),
    "gru": ("sequence", [{"kind": "gru", "units": 3}]),
    "two recurrent": ("sequence", [{"kind": "lstm", "units": 3}, {"kind": "gru", "units": 2}]),
    "last": ("sequence", [{"kind": "gru", "units": 3}, {"kind": "last"}]),
    "last of steps": ("sequence", [{"kind": "dense", "units": 3}, {"kind": "last"}]),
    "mean_over_time": ("sequence", [{"kind": "mean_over_time"}]),
}  # fmt: skip


def head(case: str) -> list[dict[str, Any]]:
    """The layers of a case, and what makes flat rows of them."""
    rows, tables = CASES[case]
    flat = any(table["kind"] in ("flatten", "global_average_pool", "last", "mean_over_time") for table in tables)
    return tables if flat else [*tables, *HEADS[rows]]


def written(case: str, folder: Path, *, padded: bool = False, n: int = 40) -> Path:
    """Rows of the case's shape in an NPZ file; a third of the sequences are shorter where `padded`."""
    draw = np.random.default_rng(5)
    shape = SHAPES[CASES[case][0]]
    X = draw.normal(size=(n, *shape))
    y = (X.reshape(n, -1)[:, 0] + X.reshape(n, -1)[:, -1] > 0).astype(int)
    if padded:
        X[::3, 3:] = np.nan
    np.savez(folder / "rows.npz", X=X, y=y)
    return folder / "rows.npz"


def setting(case: str, **more: Any) -> dict[str, Any]:
    return {
        "model.layers": head(case),
        "training.epochs": 3,
        "training.batch_size": 8,
        "optimizer.learning_rate": 0.01,
        **more,
    }


def test_every_kind_has_its_keys_and_its_case() -> None:
    assert set(LAYERS) == set(LAYER_KEYS)
    tried = {table["kind"] for _, tables in CASES.values() for table in tables}
    assert tried | {"embedding"} == set(LAYERS)  # of which a test of its own tells below
    assert all(LAYERS[kind].kind == kind for kind in LAYERS)


@pytest.mark.parametrize("padded", [False, True], ids=["whole", "padded"])
@pytest.mark.parametrize("case", CASES)
def test_gradient(case: str, padded: bool, tmp_path: Path) -> None:
    """By two-sided differences in float64, at first weights and behind some training."""
    if padded and CASES[case][0] != "sequence":
        pytest.skip("only sequences are padded")
    source = written(case, tmp_path, padded=padded)
    for after in (0, 2):
        found = dlrun.gradcheck(
            data=source, target="y", set=setting(case, **{"model.activation": "tanh"}), after_epochs=after, sample=60
        )
        assert found.verdict == "great"
        table = found.parameters
        told = table[table["verdict"] != "rounding"]  # a bias before a normalization has no gradient at all
        assert told["relative_difference"].max() < 1e-5


@pytest.mark.parametrize("case", CASES)
def test_folds_together_are_folds_alone(case: str, tmp_path: Path) -> None:
    """The models of a cross-validation answer as trainings one by one do, to the bit."""
    source = written(case, tmp_path)
    together = dlrun.crossval(data=source, target="y", set=setting(case), folds=3, device="cpu", jobs=1)
    alone = dlrun.crossval(data=source, target="y", set=setting(case), folds=3, device="cpu", jobs=2)
    assert together.predictions.equals(alone.predictions)
    assert together.error.mean == alone.error.mean


@pytest.mark.parametrize("case", CASES)
def test_a_model_is_read_back_and_exported(case: str, tmp_path: Path) -> None:
    """Evaluation of the stored model, and onnxruntime on its file, answer as the trained model does."""
    runtime = pytest.importorskip("onnxruntime")
    source = written(case, tmp_path, padded=CASES[case][0] == "sequence")
    result = dlrun.train(data=source, target="y", set=setting(case), device="cpu", out=tmp_path / "run")
    again = dlrun.evaluate(tmp_path / "run", data=source)
    net = result.model.trained.net
    assert from_description(describe(net)) == replace(net, dropout=(), l1=False, l2=False)
    assert again.figures["table"]["rows"] == 40
    path = dlrun.export(tmp_path / "run").path
    from dlrun.data.sources import load_table

    table = load_table(str(source), folder=tmp_path)
    session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    feed = {each.name: np.asarray(table.columns[each.name], np.float64)[:, None] for each in session.get_inputs()}
    (found,) = session.run(["probabilities"], feed)
    frame = __import__("pandas").DataFrame({key: table.columns[key] for key in feed})
    np.testing.assert_allclose(found, result.model.predict_proba(frame), atol=2e-6)


def forward(tables: list[dict[str, Any]], shape: tuple[int, ...], x: np.ndarray, theta: dict[str, np.ndarray]) -> Any:
    """z of a network on one row, from a graph."""
    from dlrun.backend import Backend
    from dlrun.graph.plan import Plan
    from dlrun.nn.network import NetworkGraph

    layers = layers_of(layer_tables(tables), activation="relu", tokens=7)
    net = Architecture(
        inputs=int(np.prod(shape)), outputs=2, loss="squared_error", layers=layers, input_shape=shape, dtype="float64"
    )
    row = np.concatenate([theta[slot.name].ravel() for slot in net.slots])[None]
    graph = NetworkGraph(net, 1, len(x), training=False, even=True)
    rows = np.ones((1, len(x), net.inputs + 1))
    rows[0, :, :-1] = x.reshape(len(x), -1)
    arrays = {"x": rows, "y": np.zeros((1, len(x), 2)), **net.block_views(row)}
    plan = Plan(Backend(), [graph.z], graph.bindings(arrays))
    plan.run()
    return plan.outputs[graph.z][0]


def drawn(**shapes: tuple[int, ...]) -> dict[str, np.ndarray]:
    random = np.random.default_rng(8)
    return {name: random.normal(size=shape) for name, shape in shapes.items()}


def logistic(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def test_convolution_by_its_sum() -> None:
    """z[y, x, f] = Σ w[i, j, c, f]·a[s·y + i, s·x + j, c] + b[f], with one zero around for "same"."""
    theta = drawn(W1=(3, 3, 2, 4), b1=(4,), W2=(48, 2), b2=(2,))
    x = np.random.default_rng(1).normal(size=(2, 5, 7, 2))
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    wanted = np.zeros((2, 3, 4, 4))
    for n, y, z, f in np.ndindex(2, 3, 4, 4):
        wanted[n, y, z, f] = (padded[n, 2 * y : 2 * y + 3, 2 * z : 2 * z + 3] * theta["W1"][..., f]).sum()
    wanted = np.maximum(wanted + theta["b1"], 0).reshape(2, -1) @ theta["W2"] + theta["b2"]
    tables = [{"kind": "conv2d", "filters": 4, "stride": 2}, {"kind": "flatten"}]
    np.testing.assert_allclose(forward(tables, (5, 7, 2), x, theta), wanted, rtol=1e-12)


def test_an_edge_filter() -> None:
    """The filter (−1, 0, 1) in each line is 0 on a plain and 3 × the step at an edge."""
    picture = np.zeros((1, 5, 6, 1))
    picture[:, :, 3:] = 1
    W = np.array([-1.0, 0, 1] * 3).reshape(3, 3, 1, 1)
    theta = {"W1": W, "b1": np.zeros(1), "W2": np.eye(12)[:, [0, 1]], "b2": np.zeros(2)}
    tables = [{"kind": "conv2d", "filters": 1, "padding": "valid", "activation": "identity"}, {"kind": "flatten"}]
    np.testing.assert_array_equal(forward(tables, (5, 6, 1), picture, theta), [[0.0, 3.0]])


def test_recurrent_layers_by_their_equations() -> None:
    T, d, u = 4, 3, 2
    x = np.random.default_rng(2).normal(size=(5, T, d))
    for kind, gates in (("rnn", 1), ("lstm", 4), ("gru", 3)):
        theta = drawn(W1=(d, gates * u), b1=(gates * u,), U1=(u, gates * u), c1=(u,), W2=(u, 2), b2=(2,))
        h, c = np.zeros((5, u)), np.zeros((5, u))
        W, U, b = theta["W1"], theta["U1"], theta["b1"]
        for t in range(T):
            a = x[:, t] @ W + b
            if kind == "rnn":
                h = np.tanh(a + h @ U)
            elif kind == "lstm":
                i, f, g, o = np.split(a + h @ U, 4, axis=1)
                c = logistic(f) * c + logistic(i) * np.tanh(g)
                h = logistic(o) * np.tanh(c)
            else:
                (r, z, n), (hr, hz, hn) = np.split(a, 3, axis=1), np.split(h @ U, 3, axis=1)
                z = logistic(z + hz)
                h = (1 - z) * np.tanh(n + logistic(r + hr) * (hn + theta["c1"])) + z * h
        wanted = h @ theta["W2"] + theta["b2"]
        tables = [{"kind": kind, "units": u}, {"kind": "last"}]
        np.testing.assert_allclose(forward(tables, (T, d), x, theta), wanted, rtol=1e-12)


def test_embedding_looks_its_rows_up() -> None:
    theta = drawn(W1=(7, 3), W2=(3, 2), b2=(2,))
    tokens = np.array([[0, 6, 2], [5, 5, 1]])
    wanted = theta["W1"][tokens].mean(axis=1) @ theta["W2"] + theta["b2"]
    tables = [{"kind": "embedding", "units": 3}, {"kind": "mean_over_time"}]
    np.testing.assert_allclose(forward(tables, (3, 1), tokens.astype(float), theta), wanted, rtol=1e-12)


@pytest.mark.parametrize(
    ("tables", "shape", "said"),
    [
        ([{"kind": "conv2d", "filters": 2}], (4,), 'layer 1, "conv2d", takes a picture, and gets a row of 4 numbers'),
        ([{"kind": "conv2d", "filters": 2}], (4, 4, 1), 'takes a flat row and gets a picture of 4 × 4 × 2'),
        ([{"kind": "lstm", "units": 2}], (5, 3), 'should end with a layer of kind "last" or "mean_over_time"'),
        ([{"kind": "max_pool", "size": 9}], (4, 4, 1), "a window of 9 does not fit into 4"),
        ([{"kind": "gru", "units": 2}, {"kind": "last"}, {"kind": "last"}], (5, 3), 'layer 3, "last", takes'),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_told(tables: list[dict[str, Any]], shape: tuple[int, ...], said: str) -> None:
    layers = layers_of(layer_tables(tables), activation="relu")
    net = Architecture(inputs=int(np.prod(shape)), outputs=2, loss="cross_entropy", layers=layers, input_shape=shape)
    with pytest.raises(ConfigError) as caught:
        _ = net.placed
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("tables", "said"),
    [
        ('[{kind = "conv"}]', 'model.layers[0].kind = "conv": should be one of dense, conv2d'),
        ('[{kind = "dense"}]', "model.layers[0].units: missing; should be a whole number from 1"),
        ('[{kind = "dense", units = 0}]', "model.layers[0].units = 0: should be a whole number from 1"),
        (
            '[{kind = "flatten", units = 3}]',
            'model.layers[0].units = 3: unknown key; a layer of kind "flatten" takes no',
        ),
        ('[{kind = "dense", units = 3}, 4]', "model.layers[1] = 4: should be a table with a kind"),
    ],
)
def test_wrong_tables_are_told(tables: str, said: str, tmp_path: Path) -> None:
    file = tmp_path / "wrong.toml"
    file.write_text(f'[data]\nsource = "iris"\n[model]\nlayers = {tables}\n', encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        dlrun.train(file)
    assert said in str(caught.value)


def test_a_truncated_gradient_stops_at_the_window(tmp_path: Path) -> None:
    """With a window of one step the state is carried and its derivative is not: dU is that of each step alone."""
    source = written("rnn", tmp_path)
    whole = setting("rnn", **{"training.epochs": 1})
    runs = [
        dlrun.train(data=source, target="y", set=whole | {"training.truncate": k}, device="cpu").model.trained.theta
        for k in (1, 5)
    ]
    full = dlrun.train(data=source, target="y", set=whole, device="cpu").model.trained.theta
    assert not np.array_equal(runs[0], full)
    np.testing.assert_array_equal(runs[1], full)  # a window as long as the sequence
