"""A user's own cost, activation and operation: trained, checked, opened again, and what is said when they are wrong."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from dlrun.graph.node import OPS

if TYPE_CHECKING:
    from tests.cli.conftest import Dlrun

FUNCTIONS = '''
from dlrun import graph as g

print_was_not_called = True


def pinball(z, y):
    """The quantile loss for the quantile 0.9."""
    e = y - z
    return g.maximum(0.9 * e, -0.1 * e)


def hinge(z, y):
    """Each wrong class should lie a margin below the right one (Weston and Watkins)."""
    right = g.reduce_sum(y * z, -1, keepdims=True)
    return g.reduce_sum((1 - y) * g.maximum(1 + z - right, 0.0), -1, keepdims=True)


def half_forgotten(z, y):
    """A squared error whose derivative leaves out a factor 2."""
    e = z - y
    return e * g.stop_gradient(e)


def swish(z):
    return z * g.sigmoid(z)


def _softsign_kernel(backend, out, inputs, attributes):
    def compute():
        out[...] = inputs[0] / (1 + abs(inputs[0]))

    return [compute]


if "softsign" not in g.OPS:
    g.register(
        g.Op(
            "softsign",
            shape=lambda attributes, shape: shape,
            dtype=lambda attributes, dtype: dtype,
            bind=_softsign_kernel,
            gradient=lambda node, upstream: (upstream * g.square(1 - g.abs(node)),),
            elementwise=True,
        )
    )
    g.register(
        g.Op(
            "softsign_wrong",
            shape=lambda attributes, shape: shape,
            dtype=lambda attributes, dtype: dtype,
            bind=_softsign_kernel,
            gradient=lambda node, upstream: (upstream * (1 - g.abs(node)),),
            elementwise=True,
        )
    )


def softsign(z):
    return g.apply("softsign", z)


def softsign_wrong(z):
    return g.apply("softsign_wrong", z)


def three_columns(z, y):
    return g.concatenate([z, z, z], -1)


def a_number(z, y):
    return 1.0


def unknown_name(z, y):
    e = z - y
    return e * zz


def bad_product(z, y):
    return g.matmul(z, y)
'''

EXPERIMENT = """
[data]
source = "diabetes"
[model]
hidden = [8]
{model}
[training]
epochs = 3
"""


@pytest.fixture(autouse=True)
def _own_operations() -> Iterator[None]:
    """Operations that a user's file registers are forgotten afterwards."""
    before = dict(OPS)
    yield
    for name in set(OPS) - set(before):
        del OPS[name]


@pytest.fixture
def project(here: Path) -> Path:
    """A folder with functions.py beside experiments that use it."""
    (here / "functions.py").write_text(FUNCTIONS)
    for name in ("pinball", "half_forgotten", "three_columns", "a_number", "unknown_name", "bad_product", "nothing"):
        (here / f"{name}.toml").write_text(EXPERIMENT.format(model=f'cost = "functions.py:{name}"'))
    for name in ("swish", "softsign", "softsign_wrong"):
        (here / f"{name}.toml").write_text(EXPERIMENT.format(model=f'activation = "functions.py:{name}"'))
    iris = EXPERIMENT.format(model='cost = "functions.py:hinge"').replace("diabetes", "iris")
    (here / "hinge.toml").write_text(iris)
    return here


@pytest.mark.parametrize("name", ["pinball", "hinge", "swish", "softsign"])
def test_right_functions_pass_the_check(name: str, dlrun: Dlrun, project: Path) -> None:
    result = dlrun("gradcheck", f"{name}.toml", "--json", "--after-epochs", "1")
    found = json.loads(result.stdout)
    assert result.status == 0
    assert found["verdict"] == "great"


@pytest.mark.parametrize(
    ("name", "wrong"), [("half_forgotten", {"W1", "b1", "W2", "b2"}), ("softsign_wrong", {"W1", "b1"})]
)
def test_wrong_derivatives_fail_it(name: str, wrong: set[str], dlrun: Dlrun, project: Path) -> None:
    result = dlrun("gradcheck", f"{name}.toml", "--json")
    found = json.loads(result.stdout)
    assert result.status == 1
    assert {p for p, each in found["by_parameter"].items() if each["verdict"] == "worry"} == wrong
    assert dlrun("train", f"{name}.toml", "--preflight").status == 1


def test_a_quantile_is_learned_and_the_run_opened_without_code(dlrun: Dlrun, project: Path) -> None:
    """The pinball loss is least at the quantile 0.9: nine tenths of the targets lie below the answers."""
    run = project / "run"
    longer = ["--set", "training.epochs=60", "--set", "optimizer.learning_rate=0.02", "--set", "model.hidden=[]"]
    assert dlrun("train", "pinball.toml", "--out", str(run), *longer).status == 0
    (project / "functions.py").write_text("raise SystemExit('this must not run')")
    evaluated = dlrun("evaluate", str(run), "--json")
    figures = json.loads(evaluated.stdout)["figures"]
    assert evaluated.status == 0
    assert figures["train"]["cost"] is None  # its function was not loaded
    assert figures["train"]["error"] > 0
    with (Path(__file__).parents[2] / "datasets" / "diabetes.csv").open(newline="") as file:
        target = [float(list(row.values())[-1]) for row in csv.DictReader(file)]
    predicted = dlrun("predict", str(run), "--data", str(Path(__file__).parents[2] / "datasets" / "diabetes.csv"))
    assert predicted.status == 0
    answers = [float(row["prediction"]) for row in csv.DictReader(predicted.stdout.splitlines())]
    assert np.mean(np.array(target) < np.array(answers)) == pytest.approx(0.9, abs=0.06)


def test_an_activation_is_loaded_from_a_run_only_when_asked(dlrun: Dlrun, project: Path) -> None:
    run = project / "run"
    assert dlrun("train", "swish.toml", "--out", str(run)).status == 0
    without = dlrun("evaluate", str(run))
    assert without.status == 2
    assert "--run-code" in without.stderr
    with_code = dlrun("evaluate", str(run), "--run-code", "--json")
    assert with_code.status == 0
    summary = json.loads((run / "summary.json").read_text())
    assert json.loads(with_code.stdout)["figures"]["dev"]["error"] == summary["figures"]["dev"]["error"]
    table = str(Path(__file__).parents[2] / "datasets" / "diabetes.csv")
    assert dlrun("predict", str(run), "--data", table).status == 2
    assert dlrun("predict", str(run), "--data", table, "--run-code").status == 0


def test_a_run_is_the_same_again_from_its_own_config(dlrun: Dlrun, project: Path) -> None:
    assert dlrun("train", "hinge.toml", "--out", "first").status == 0
    assert dlrun("train", "first/config.toml", "--out", "second").status == 0
    assert (project / "first" / "metrics.csv").read_text() == (project / "second" / "metrics.csv").read_text()
    assert f'cost = "{project.resolve()}/functions.py:hinge"' in (project / "first" / "config.toml").read_text()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("three_columns", ["gives shape (1, 64, 3); should be (1, 64, 1), one loss per row"]),
        ("a_number", ["gives float; should give a tensor"]),
        ("unknown_name", ["functions.py, line 77: NameError: name 'zz' is not defined"]),
        ("bad_product", ["functions.py, line 81: GraphError", "matmul"]),
        ("nothing", ["has no function 'nothing'", "pinball"]),
    ],
)
def test_errors_are_one_line_with_the_place(name: str, words: list[str], dlrun: Dlrun, project: Path) -> None:
    result = dlrun("train", f"{name}.toml")
    assert result.status == 2
    assert len(result.stderr.strip().splitlines()) == 1
    for each in words:
        assert each in result.stderr


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("def pinball(z, y:\n", "functions.py, line 1: SyntaxError"),
        ("\n\n1 / 0\n", "functions.py, line 3: ZeroDivision"),
    ],
)
def test_a_file_that_does_not_run(source: str, words: str, dlrun: Dlrun, project: Path) -> None:
    (project / "functions.py").write_text(source)
    result = dlrun("gradcheck", "pinball.toml")
    assert result.status == 2
    assert words in result.stderr


def test_a_file_that_is_missing(dlrun: Dlrun, project: Path) -> None:
    (project / "functions.py").unlink()
    result = dlrun("train", "pinball.toml")
    assert result.status == 2
    assert "functions.py: no such file" in result.stderr


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (["model.cost=functions.py"], '"file.py:function"'),
        (["model.activation=swosh"], "file.py:function"),
        (["model.cost=functions.py:pinball", "model.loss=huber"], "stands in place of model.loss"),
    ],
)
def test_wrong_keys(settings: list[str], words: str, dlrun: Dlrun, project: Path) -> None:
    result = dlrun("train", "diabetes", *(part for each in settings for part in ("--set", each)))
    assert result.status == 2
    assert words in result.stderr
