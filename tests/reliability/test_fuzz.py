"""Whatever an experiment file, a table or an override holds: a result, or one message and no traceback."""

from __future__ import annotations

import io
import os
import re
import string
import tempfile
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from reliability.running import count

from dlrun.cli.app import run

CASES = count(60, 10_000)
SETTINGS = settings(
    max_examples=CASES,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture],
)
CONTROLS = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """One folder for all cases of a test: each overwrites its files."""
    with tempfile.TemporaryDirectory() as name:
        monkeypatch.chdir(name)
        yield Path(name)


def told(*arguments: str) -> int:
    """Run the line; the status, after what it said was looked at."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        status = run(arguments)
    said = err.getvalue()
    assert status in (0, 1, 2), (status, said)
    assert "Traceback" not in said
    assert "an error in dlrun itself" not in said
    assert not CONTROLS.search(said + out.getvalue())
    assert (status == 0) or re.match(r"(note|warning|dlrun)", said)
    return status


# -- experiment files ------------------------------------------------------------------------------

KEYS = [
    "name", "seed", "task", "data", "data.source", "data.target", "data.features", "data.group", "data.missing",
    "data.normalize", "data.normalize_target", "data.rows", "data.noise", "data.seed", "data.split", "data.split.train",
    "data.split.dev", "data.split.test", "data.split.stratify", "model", "model.kind", "model.hidden",
    "model.activation", "model.initialization", "model.scale", "model.bias", "model.batch_norm",
    "model.batch_norm_momentum", "model.keep_prob", "model.loss", "model.dtype", "model.feature_map",
    "model.feature_map.name", "model.feature_map.degree", "model.feature_map.gamma", "model.cost", "optimizer.name",
    "optimizer.learning_rate", "optimizer.beta1", "optimizer.beta2", "optimizer.epsilon", "optimizer.weight_decay",
    "optimizer.clip_norm", "optimizer.clip_value", "optimizer.warmup_steps", "optimizer.decay",
    "optimizer.decay.name", "optimizer.decay.rate", "optimizer.decay.values", "regularization.l1",
    "regularization.l2", "training.epochs", "training.batch_size", "training.shuffle", "training.init_from",
    "training.stop_when_cost_changes_by", "training.early_stopping", "training.early_stopping.patience", "tune",
    "tune.space", 'tune.space."optimizer.beta1"', "tune.space.seed", "nonsense", "a.b.c", '""', '"é"', "data.", ".x",
]  # fmt: skip
SCALARS = [
    "0", "1", "-1", "2", "7", "64", "1.5", "0.1", "-0.0", "1e-300", "1e300", "1e400", "inf", "-inf", "nan", "true",
    "false", '""', '"iris"', '"xor"', '"moons"', '"mean"', '"adam"', '"relu"', '"full"', '"drop"', '"a.py:f"',
    '"network"', '"../x.csv"', '"\\u0000"', '"\\u001b[31m"', '"~x/y"', "1979-05-27", "07:32:00", "9223372036854775807",
    "9223372036854775808", "99999999999999999999999", "0xff", "1_000", "[]", "[0]", "[1, 2]", "[[1]]", "{}", "{a = 1}",
    '{name = "rbf"}', '{name = "polynomial", degree = 3}', '{name = "manual", values = {1 = 0.1}}',
    "{uniform = [0, 1]}", "{choice = [1, 2]}", "{choice = []}", "{log_uniform = [1e-4, 1]}", "'''x'''", "+1", "1.",
    "--", "#", "[1,", '"',
]  # fmt: skip
values = st.one_of(
    st.sampled_from(SCALARS),
    st.integers().map(str),
    st.floats().map(repr),
    st.text(max_size=8).map(lambda text: repr(text)),
    st.lists(st.sampled_from(SCALARS), max_size=3).map(lambda items: "[" + ", ".join(items) + "]"),
)
lines = st.one_of(
    st.tuples(st.sampled_from(KEYS), values).map(" = ".join),
    st.sampled_from(KEYS).map(lambda key: f"[{key}]"),
    st.text(string.printable, max_size=12),
)


@SETTINGS
@given(st.lists(lines, max_size=6), st.booleans(), st.sampled_from(["show", "train"]))
def test_any_experiment(folder: Path, drawn: list[str], sound: bool, command: str) -> None:
    start = 'data.source = "xor"\ntraining.epochs = 1\n' if sound else ""
    (folder / "e.toml").write_text(start + "\n".join(drawn) + "\n", encoding="utf-8", errors="surrogatepass")
    small = (
        "--set",
        "training.epochs=1",
        "--set",
        "model.hidden=[2]",
        "--out",
        "out",
        "--overwrite",
        "--device",
        "cpu",
    )
    told(command, "e.toml", *(small if command == "train" else ()))


@SETTINGS
@given(st.binary(max_size=60), st.integers(0, 60))
def test_any_bytes_as_an_experiment(folder: Path, content: bytes, at: int) -> None:
    sound = b'name = "n"\n[data]\nsource = "xor"\n[training]\nepochs = 0\n'
    (folder / "e.toml").write_bytes(sound[:at] + content + sound[at:])
    told("show", "e.toml")


overrides = st.one_of(
    st.tuples(st.sampled_from(KEYS), values).map("=".join),
    st.sampled_from(KEYS).map(lambda key: f"{key}="),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=15),
)


@SETTINGS
@given(st.lists(overrides, min_size=1, max_size=4))
def test_any_override(folder: Path, drawn: list[str]) -> None:
    told("show", "xor", *(word for text in drawn for word in ("--set", text)))


# -- tables ----------------------------------------------------------------------------------------

CELLS = [
    "", "0", "1", "-1", "2.5", "1e5", "1e400", "-1e160", "nan", "inf", "NA", "?", "null", "true", "False", "yes", "no",
    "a", "b", "é", "名", "=1+1", "1_000", "١", "0x10", "2020-01-01", "1;2", " 3 ", '"q"', '"', '"a,b"', '"a\nb"', "\r",
    "\0", "\ufeff", "\x1b[31m", "9" * 400, "x" * 200, "\\N", "-", "1,5",
]  # fmt: skip
cells = st.one_of(st.sampled_from(CELLS), st.sampled_from(["0", "1", "2", "3.5", "a", "b"]), st.text(max_size=4))
rows = st.lists(st.lists(cells, min_size=1, max_size=4).map(",".join), max_size=14)
headers = st.sampled_from(["a,b,y", "y", "a,y", "a,a,y", ",y", "", "a;b;y", '"a","y"', "a,b,y,", "=a,@b,y", "a, y "])


@SETTINGS
@given(headers, rows, st.sampled_from(["\n", "\r\n", "\r"]), st.sampled_from(["error", "mean", "drop"]))
def test_any_table(folder: Path, header: str, drawn: list[str], end: str, missing: str) -> None:
    text = end.join([header, *drawn]) + end
    (folder / "t.csv").write_bytes(text.encode("utf-8", "surrogatepass"))
    train_on("t.csv", missing)


@SETTINGS
@given(st.binary(max_size=80), st.integers(0, 40))
def test_any_bytes_as_a_table(folder: Path, content: bytes, at: int) -> None:
    sound = b"a,y\n" + b"1,u\n2,v\n" * 6
    (folder / "t.csv").write_bytes(sound[:at] + content + sound[at:])
    train_on("t.csv", "error")


columns = st.lists(
    st.sampled_from([0.0, 1.0, -1.0, 2.5, 3.0, np.nan, 1e160, np.inf, 1e-320, 1e149]), min_size=8, max_size=8
)


@SETTINGS
@given(st.lists(columns, min_size=1, max_size=3), st.lists(st.integers(0, 2), min_size=8, max_size=8), st.booleans())
def test_any_array(folder: Path, drawn: list[list[float]], target: list[int], single: bool) -> None:
    X = np.array(drawn).T
    with np.errstate(over="ignore"):
        np.savez(folder / "t.npz", X=X.astype(np.float32) if single else X, y=np.array(target))
    train_on("t.npz", "mean")


def train_on(name: str, missing: str) -> None:
    """Two epochs of a small network."""
    small = ("--set", "training.epochs=2", "--set", "model.hidden=[2]", "--set", f"data.missing={missing}")
    place = ("--out", "out", "--overwrite", "--device", "cpu")
    status = told("train", "--data", name, "--target", "y", *small, *place)
    if status == 0:
        assert os.path.exists("out/model.safetensors")
        assert told("predict", "out", "--data", name, "--device", "cpu", "--out", "p.csv", "--overwrite") in (0, 2)


# -- command lines ---------------------------------------------------------------------------------

# Each command with the least that makes it quick, and options of all commands to put before it.
SMALL = ("--set", "training.epochs=1")
LINES = [
    ("train", "xor", *SMALL), ("train", "iris", *SMALL), ("crossval", "xor", "--folds", "2", "--jobs", "1", *SMALL),
    ("holdout", "iris", "--jobs", "1", *SMALL), ("bootstrap", "xor", "--samples", "3", "--jobs", "1", *SMALL),
    ("tune", "iris", "--trials", "2", "--jobs", "1", *SMALL), ("gradcheck", "xor"), ("evaluate", "out"),
    ("predict", "out", "--data", "xor"), ("diagnose", "out"), ("compare", "out", "out"), ("plot", "out"),
    ("report", "out"), ("minimize", "w**2", "--steps", "3"), ("minimize", "log(w)", "--steps", "3"),
    ("kmeans", "iris", "--clusters", "2"), ("smooth", "t.csv", "--column", "a", "--beta", "0.5"),
    ("show", "xor"), ("list",), ("info",), ("nonsense",),
]  # fmt: skip
OPTIONS = [
    ("--out", "out"), ("--out", "t.csv"), ("--out", "p.png"), ("--out",), ("--seed", "3"), ("--seed", "-1"),
    ("--json",),
    ("--seed", "x"), ("--quiet",), ("--device", "cpu"), ("--device", "tpu"), ("--data", "t.csv"), ("--target", "a"),
    ("--resume",), ("--overwrite",), ("--jobs", "0"), ("--jobs", "2"), ("--folds", "1"), ("--folds", "nan"),
    ("--samples", "0"), ("--trials", "0"), ("--confidence", "0.5"), ("--confidence", "7"), ("--stratify",),
    ("--steps",),
    ("--set", "model.hidden=[2]"), ("--set", "a.b=1"), ("--set", "=") , ("--set", "data.split.test=1"),
    ("--debug-not",),
    ("--kind", "all"), ("--kind", "cost"), ("--terminal",), ("--title", "\x1b[31m"), ("--label", "é"),
    ("--start", "w=1"),
    ("--start", "w"), ("--learning-rate", "1e300"), ("--optimizer", "adam"), ("--optimizer", "é"), ("--beta", "2"),
    ("--sampler", "grid"), ("--halving",), ("--repeats", "2"), ("--test-size", "1"), ("--leave-one-out",), ("--plan",),
    ("--human-error", "nan"), ("--tolerance", "-1"), ("--two-sample",), ("--epsilon", "0"), ("--one-sided",), ("--",),
    ("é",), ("",), ("-1",),
]  # fmt: skip


@SETTINGS
@given(st.sampled_from(LINES), st.lists(st.sampled_from(OPTIONS), max_size=3))
def test_any_command_line(folder: Path, line: tuple[str, ...], options: list[tuple[str, ...]]) -> None:
    (folder / "t.csv").write_text("a,b\n1,2\n2,3\n3,5\n4,4\n5,1\n6,2\n")
    added = [word for option in options for word in option]
    assert told(*line[:1], *added, *line[1:]) in (0, 1, 2)


expressions = st.recursive(
    st.sampled_from(["w", "v", "1", "2.5", "0", "pi", "1e308", "9" * 30, "''", "[1]", "None", "w.x", "True", "1j"]),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["+", "-", "*", "/", "**", "%", "//", "@", "<", " ", ",", "="]), inner).map(
            "".join
        ),
        st.tuples(st.sampled_from(["exp", "log", "sqrt", "relu", "sigmoid", "abs", "eval", "pow", "-", ""]), inner).map(
            lambda pair: f"{pair[0]}({pair[1]})"
        ),
    ),
    max_leaves=6,
)


@SETTINGS
@given(expressions)
def test_any_cost(folder: Path, expression: str) -> None:
    told("minimize", "--steps", "2", "--", expression)
