"""What `--tensorboard` and `--steps` write: the figures of metrics.csv, the parameters, the graph with its scopes."""

from __future__ import annotations

import csv
import importlib.util
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gallery.event_file import crc32c, events

from dlrun.cli.app import run as command_line
from dlrun.errors import ConfigError

ROOT = Path(__file__).parents[2]


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def dlrun(*arguments: str) -> int:
    return command_line(arguments)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three epochs of iris in six batches each."""
    pytest.importorskip("tensorboardX")
    folder = tmp_path_factory.mktemp("tensorboard") / "iris"
    options = ["--steps", "--tensorboard", "--quiet", "--set", "training.epochs=3"]
    assert dlrun("train", "iris", "--out", str(folder), *options) == 0
    return folder


@pytest.fixture(scope="module")
def found(run: Path) -> list[Any]:
    return events(run / "tensorboard")


def test_the_checksum_is_the_published_one() -> None:
    assert crc32c(b"123456789") == 0xE3069283  # the check value of CRC-32C


def test_scalars_are_those_of_the_metrics(run: Path, found: list[Any]) -> None:
    told = {(v.tag, e.step): v.simple_value for e in found for v in e.summary.value if v.HasField("simple_value")}
    for row in rows(run / "metrics.csv"):
        if row["split"] != "test":
            for figure in ("cost", "error"):
                value = told[f"{figure}/{row['split']}", int(row["epoch"])]
                assert value == pytest.approx(float(row[figure]), rel=1e-6)


def test_steps_are_all_there(run: Path, found: list[Any]) -> None:
    steps = rows(run / "steps.csv")
    assert [int(row["step"]) for row in steps] == list(range(1, 19))
    told = {e.step: v.simple_value for e in found for v in e.summary.value if v.tag == "step/batch_cost"}
    assert told == pytest.approx({int(row["step"]): float(row["batch_cost"]) for row in steps}, rel=1e-6)
    of_epochs = [float(row["batch_cost"]) for row in rows(run / "metrics.csv") if row["split"] == "train"]
    means = [np.mean([float(s["batch_cost"]) for s in steps if int(s["epoch"]) == n]) for n in (1, 2, 3)]
    assert of_epochs == pytest.approx(means, rel=1e-6)


def test_histograms_count_every_parameter(found: list[Any]) -> None:
    told = {(v.tag, e.step): v.histo for e in found for v in e.summary.value if v.HasField("histo")}
    sizes = {"W1": 4 * 16, "b1": 16, "W2": 16 * 3, "b2": 3}
    assert set(told) == {(f"parameters/{name}", epoch) for name in sizes for epoch in range(4)}
    for (tag, epoch), histogram in told.items():
        assert histogram.num == sum(histogram.bucket) == sizes[tag.removeprefix("parameters/")]
        if tag.endswith("b1") and epoch == 0:
            assert histogram.min == histogram.max == 0  # biases begin at 0


def test_the_graph_has_its_layers_as_scopes_and_no_loose_ends(found: list[Any]) -> None:
    from tensorboardX.proto.graph_pb2 import GraphDef

    (told,) = [GraphDef.FromString(event.graph_def) for event in found if event.graph_def]
    names = [node.name for node in told.node]
    assert len(set(names)) == len(names)
    assert {name.split("/")[0] for name in names if "/" in name} >= {"layer1", "layer2", "loss", "gradients"}
    assert {name for node in told.node for name in node.input} <= set(names)


def test_tensorboard_itself_loads_it(run: Path) -> None:
    """With TensorBoard installed; without it, the tests above have read the same file."""
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    loaded = accumulator.EventAccumulator(str(run / "tensorboard"))
    loaded.Reload()
    tags = loaded.Tags()
    assert tags["graph"]
    assert "cost/dev" in tags["scalars"]
    assert "parameters/W1" in tags["histograms"]
    assert len(loaded.Graph().node) > 10


def test_overwriting_a_run_removes_its_events(run: Path, tmp_path: Path) -> None:
    out = str(tmp_path / "run")
    for _ in range(2):
        options = ("--tensorboard", "--quiet", "--overwrite", "--set", "training.epochs=1")
        assert dlrun("train", "xor", "--out", out, *options) == 0
    assert len(list((tmp_path / "run/tensorboard").iterdir())) == 1


def test_few_parameters_leave_their_path(tmp_path: Path) -> None:
    out = str(tmp_path / "run")
    assert dlrun("train", "quadratic", "--steps", "--quiet", "--out", out, "--set", "training.epochs=3") == 0
    path = [float(row["W1[1,1]"]) for row in rows(tmp_path / "run/steps.csv")]
    # w ← w − 0.01·(2w − 10) from 0: 0, 0.1, 0.198
    assert path == pytest.approx([0.0, 0.1, 0.198], rel=1e-6)


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from dlrun.reporting.tensorboard import require_tensorboard

    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(ConfigError, match=r"pip install 'dlrun\[tensorboard\]'"):
        require_tensorboard()


# -- the graph of the course text ------------------------------------------------------------------


@pytest.fixture(scope="module")
def text_graph() -> Any:
    spec = importlib.util.spec_from_file_location("name_scopes", ROOT / "experiments/gallery/name_scopes.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_graph_of_the_text_computes_what_numpy_does(text_graph: Any) -> None:
    from dlrun.graph import Session

    graph, a = text_graph.build(), text_graph.numbers()
    assert a.shape == (100,)
    assert abs(a.mean() - 1) < 4 * 2 / 10  # four standard errors
    assert 1.5 < a.std() < 2.5
    with Session() as session:
        b, c, d, e, f = (session.run(node, {graph.a: a}).item() for node in graph[1:])
    assert (b, c, d) == pytest.approx((np.prod(a), np.mean(a), np.sum(a)))
    assert e == pytest.approx(np.prod(a) + np.mean(a))
    assert f == pytest.approx((np.prod(a) + np.mean(a)) * np.sum(a))


def test_the_graph_of_the_text_has_its_three_scopes(text_graph: Any, tmp_path: Path) -> None:
    pytest.importorskip("tensorboardX")
    from tensorboardX.proto.graph_pb2 import GraphDef

    text_graph.main(tmp_path / "scopes")
    (told,) = [GraphDef.FromString(event.graph_def) for event in events(tmp_path / "scopes") if event.graph_def]
    inputs = {node.name: list(node.input) for node in told.node}
    assert {name.split("/")[0] for name in inputs} == {"input_placeholder", "middle_section", "final_node"}
    assert inputs["final_node/multiply_f"] == ["middle_section/add_e", "middle_section/sum_d"]
    assert inputs["middle_section/add_e"] == ["middle_section/prod_b", "middle_section/mean_c"]
