"""Training on rows that stay in their file: the numbers of a training from memory, in bounded memory (C6)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from backend.strict import StrictBackend
from hypothesis import given, settings
from hypothesis import strategies as st
from reliability.running import SOAK, Dlrun
from scipy.stats import chi2

from dlrun.backend import Backend
from dlrun.config import load_experiment
from dlrun.data import load_dataset, row_file, stored_tables
from dlrun.errors import ConfigError, DataError, MachineError
from dlrun.rng import stream_keys
from dlrun.training import epoch_order, memory_check
from dlrun.training.epoch_order import two_level_order
from dlrun.training.problem import Problem
from dlrun.training.run import TrainRun
from dlrun.training.stacking import StackedTraining, StackPlan
from dlrun.training.streamed_rows import StreamedRows

ROOT = Path(__file__).parents[2]
ROWS = 700


@pytest.fixture
def as_if_large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables of some hundred rows are shuffled in two levels and read in many windows, pieces and calls."""
    monkeypatch.setattr(epoch_order, "WHOLE_BYTES", 0)
    monkeypatch.setattr(epoch_order, "WINDOW_VALUES", 800)
    monkeypatch.setattr(epoch_order, "BLOCK_VALUES", 60)
    monkeypatch.setattr(stored_tables, "PIECE_VALUES", 999)
    monkeypatch.setattr(row_file, "READ_BYTES", 500)
    monkeypatch.setattr(row_file, "GAP_BYTES", 70)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """700 rows of 5 features, far from 0; column 5 is a class of three, column 6 a number."""
    random = np.random.default_rng(12)
    array = np.empty((ROWS, 7), np.float32)
    array[:, :5] = random.normal([0, 100, -3, 5e4, 0.01], [1, 20, 0.1, 3, 0.001], (ROWS, 5))
    signal = array[:, 0] + (array[:, 1] - 100) / 20
    array[:, 5] = np.digitize(signal, [-0.7, 0.7])
    array[:, 6] = 40 + 3 * signal + random.normal(0, 0.3, ROWS)
    np.save(tmp_path / "t.npy", array)
    gappy = array.copy()
    gappy[:, :5][random.random((ROWS, 5)) < 0.1] = np.nan
    np.save(tmp_path / "gappy.npy", gappy)
    return tmp_path


def problem(folder: Path, *overrides: str, stream: bool, source: str = "t.npy", target: str = "5") -> Problem:
    others = {"5": "6", "6": "5"}[target]
    path = folder / "t.toml"
    names = [name for name in "0123456" if name not in (target, others)]
    path.write_text(
        f'name = "t"\n[data]\nsource = "{source}"\ntarget = "{target}"\nfeatures = {names}\nmissing = "mean"\n'
        "[model]\nhidden = [6]\n[training]\nbatch_size = 32\nepochs = 3\n"
    )
    loaded = load_experiment(path, overrides=[f"data.stream={str(stream).lower()}", *overrides])
    e = loaded.experiment
    return Problem(e, load_dataset(e.data, task=e.task, folder=loaded.folder, seed=e.seed))


def trained(made: Problem, backend: Backend | None = None) -> tuple[list[Any], TrainRun]:
    run = TrainRun(made, backend or Backend())
    return list(run), run


@pytest.fixture(autouse=True)
def _no_reader_is_left() -> Iterator[None]:
    yield
    for thread in threading.enumerate():
        if thread.name == "dlrun-reader":
            thread.join(5)
            assert not thread.is_alive()


CASES: dict[str, tuple[dict[str, str], list[str]]] = {
    "three classes": ({}, []),
    "gaps": ({"source": "gappy.npy"}, []),
    "regression": ({"target": "6"}, []),
    "minmax": ({"source": "gappy.npy"}, ["data.normalize=minmax"]),
    "as it is": ({"target": "6"}, ["data.normalize=none", "optimizer.learning_rate=1e-12"]),
    "in order": ({}, ["training.shuffle=false"]),
    "full batch": ({}, ["training.batch_size=full"]),
    "single rows": ({}, ["training.batch_size=1", "training.epochs=1"]),
    "batch norm and dropout": ({}, ["model.batch_norm=true", "model.keep_prob=0.8"]),
    "float64": ({"source": "gappy.npy"}, ["model.dtype=float64"]),
    "rbf": ({"source": "gappy.npy"}, ["model.feature_map.name=rbf", "model.feature_map.count=9"]),
    "early stopping": ({}, ["training.early_stopping.patience=1", "training.measure_rows=50"]),
    "large": ({}, ["data.split.train=0.995", "data.split.dev=0.0025", "data.split.test=0.0025"]),
}


@pytest.mark.usefixtures("as_if_large")
@pytest.mark.parametrize("case", CASES)
def test_streamed_training_is_the_one_in_memory(table: Path, case: str) -> None:
    options, overrides = CASES[case]
    records, run = trained(problem(table, *overrides, stream=False, **options))
    streamed_records, streamed = trained(problem(table, *overrides, stream=True, **options))
    assert run.stack is not None
    assert streamed.stack is not None
    assert isinstance(streamed.stack.store, StreamedRows)
    assert not isinstance(run.stack.store, StreamedRows)
    assert streamed_records == records
    assert streamed.split.hash == run.split.hash
    assert run.outcome is not None
    assert streamed.outcome is not None
    assert streamed.outcome.figures == run.outcome.figures
    assert streamed.outcome.baseline == run.outcome.baseline
    assert run.outcome.model is not None
    assert streamed.outcome.model is not None
    assert streamed.outcome.model.to_bytes() == run.outcome.model.to_bytes()


def test_small_tables_are_permuted_as_a_whole_also_in_a_file(table: Path) -> None:
    """Nothing about a small training changes by streaming: windows then are scattered over the file."""
    records, _ = trained(problem(table, stream=False))
    streamed_records, streamed = trained(problem(table, stream=True))
    assert streamed_records == records
    assert streamed.stack is not None
    assert not streamed.stack.settings.large
    index, _ = streamed.stack.epoch_rows(1)
    jumps = np.abs(np.diff(index.ravel()[:320]))
    assert np.median(jumps) > ROWS / 8


@pytest.mark.usefixtures("as_if_large")
@pytest.mark.parametrize(("source", "jobs"), [("t.npy", 1), ("gappy.npy", 1), ("t.npy", 2)])
def test_folds_of_a_streamed_table(table: Path, source: str, jobs: int) -> None:
    """Several replicas share the stored rows; each scales them in its own way, in one process or two."""
    answers = []
    for stream in (False, True):
        made = problem(table, stream=stream, source=source)
        every = np.arange(ROWS)
        folds = [every[every % 3 == k] for k in range(3)]
        replicas = [made.replica(np.setdiff1d(every, fold), number=k) for k, fold in enumerate(folds)]
        training = StackedTraining(made, Backend(), replicas, folds, jobs=jobs)
        if jobs == 2:
            groups = (np.array([0, 1]), np.array([2]))
            training.plan = StackPlan(groups, training.plan.replica_bytes, jobs)
        list(training)
        answers.append([training.answered[k].answers for k in range(3)])
    for one, other in zip(*answers, strict=True):
        np.testing.assert_allclose(other, one, atol=2e-4)


@pytest.mark.usefixtures("as_if_large")
def test_no_array_of_a_streamed_training_mixes_host_and_device(table: Path) -> None:
    expected, _ = trained(problem(table, stream=True, source="gappy.npy"))
    records, _ = trained(problem(table, stream=True, source="gappy.npy"), StrictBackend())
    for one, other in zip(records, expected, strict=True):
        assert one.batch_cost == pytest.approx(other.batch_cost, rel=1e-5)


@pytest.mark.usefixtures("as_if_large")
def test_stacks_of_a_streamed_table_in_two_threads(table: Path) -> None:
    made = problem(table, stream=True)
    store = made.shared_rows(Backend())
    every = np.arange(ROWS)
    replicas = [made.replica(every[every % 3 != k], number=k) for k in range(2)]
    expected = [made.stack(Backend(), [r], shared=store) for r in replicas]
    stacks = [made.stack(Backend(), [r], shared=store) for r in replicas]
    for stack in expected:
        stack.run_epoch(1)
    threads = [threading.Thread(target=stack.run_epoch, args=(1,)) for stack in stacks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for stack, other in zip(stacks, expected, strict=True):
        np.testing.assert_array_equal(stack.theta, other.theta)


# -- the order -------------------------------------------------------------------------------------


@settings(max_examples=80, deadline=None)
@given(rows=st.integers(1, 300), window=st.integers(1, 120), block=st.integers(1, 40), seed=st.integers(0, 9))
def test_an_order_holds_each_row_once_and_a_window_few_blocks(rows: int, window: int, block: int, seed: int) -> None:
    (key,) = stream_keys([seed], [0], "test")
    order = two_level_order(key, rows, window=window, block=block)
    assert sorted(order.tolist()) == list(range(rows))
    np.testing.assert_array_equal(order, two_level_order(key, rows, window=window, block=block))
    for start in range(0, rows, window):
        part = order[start : start + window]
        # a window is whole blocks, the ends of two, and perhaps the table's short last one
        assert len(set((part // block).tolist())) <= -(-len(part) // block) + 2


def test_every_place_of_an_order_is_equally_likely() -> None:
    rows, draws = 12, 6000
    keys = stream_keys(list(range(draws)), [0] * draws, "test")
    table = np.zeros((rows, rows))
    together = 0
    for key in keys:
        order = two_level_order(key, rows, window=6, block=2)
        table[np.arange(rows), order] += 1
        together += int((np.flatnonzero(order < 2) < 6).sum() == 1)
    statistic = ((table - draws / rows) ** 2 / (draws / rows)).sum()
    assert statistic < chi2.ppf(0.9999, (rows - 1) ** 2)
    assert together == 0  # neighbours of one block share a window


def test_orders_of_two_windows_differ() -> None:
    (key,) = stream_keys([3], [0], "test")
    order = two_level_order(key, 4000, window=1000, block=1000)
    ranks = [np.argsort(order[start : start + 1000]) for start in range(0, 4000, 1000)]
    for number, rank in enumerate(ranks):
        for other in ranks[:number]:
            assert abs(np.corrcoef(rank, other)[0, 1]) < 0.15


@pytest.mark.usefixtures("as_if_large")
def test_epochs_and_replicas_have_orders_of_their_own(table: Path) -> None:
    made = problem(table, stream=True)
    rows = np.arange(0, ROWS, 2)
    replicas = [made.replica(rows, number=number) for number in range(2)]
    stack = made.stack(Backend(), replicas)
    orders = {tuple(stack.epoch_rows(epoch)[0][:, r].ravel()) for epoch in (1, 2) for r in range(2)}
    assert len(orders) == 4
    alone = made.stack(Backend(), [made.replica(rows, number=1)])
    np.testing.assert_array_equal(alone.epoch_rows(2)[0][:, 0], stack.epoch_rows(2)[0][:, 1])


# -- measuring on a sample -------------------------------------------------------------------------


def test_measure_rows_measures_a_sample_and_all_rows_at_the_end(table: Path) -> None:
    records, run = trained(problem(table, "training.measure_rows=100", stream=True))
    assert [record.figures["train"].rows for record in records] == [100] * 3
    assert [record.figures["dev"].rows for record in records] == [140] * 3
    assert run.outcome is not None
    assert run.outcome.figures["train"].rows == 420
    again, _ = trained(problem(table, "training.measure_rows=100", stream=True))
    assert again == records
    whole, _ = trained(problem(table, "training.measure_rows=420", stream=True))
    assert [record.figures["train"].rows for record in whole] == [420] * 3
    assert [r.batch_cost for r in whole] == [r.batch_cost for r in records]
    for sampled, full in zip(records, whole, strict=True):  # six standard errors of a share
        p = full.figures["train"].error
        assert abs(sampled.figures["train"].error - p) < 6 * np.sqrt(p * (1 - p) / 100) + 0.01


# -- what does not fit, and what goes wrong --------------------------------------------------------


def test_a_batch_that_does_not_fit_is_refused_by_name(table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = problem(table, "training.batch_size=300", stream=True)
    net = made.architecture([made.replica(np.arange(ROWS))])
    needed = memory_check.replica_bytes(net, "adam", 300)
    monkeypatch.setattr(memory_check, "UNQUESTIONED", 0)
    monkeypatch.setattr(memory_check, "available_memory", lambda backend: needed)
    TrainRun(made, Backend())
    monkeypatch.setattr(memory_check, "available_memory", lambda backend: needed - 1)
    with pytest.raises(MachineError, match=r"training.batch_size = 300: .* free; should be (\d+) or less") as caught:
        TrainRun(made, Backend())
    most = int(str(caught.value).split("should be ")[1].split()[0])
    assert 200 < most < 300
    TrainRun(problem(table, f"training.batch_size={most}", stream=True), Backend())
    with pytest.raises(MachineError, match=r'training.batch_size = "full"'):
        TrainRun(problem(table, "training.batch_size=full", stream=True), Backend())
    monkeypatch.setattr(memory_check, "available_memory", lambda backend: 1000)
    with pytest.raises(MachineError, match=r"model.hidden = \[6\]: .*parameters"):
        TrainRun(made, Backend())


def test_a_stack_that_does_not_fit_is_halved(table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = problem(table, stream=True)
    replicas = [made.replica(np.arange(ROWS), number=number) for number in range(4)]
    rows = [np.arange(5)] * 4
    expected = StackedTraining(made, Backend(), replicas, rows, jobs=1)
    list(expected)
    one = memory_check.replica_bytes(made.architecture(replicas), "adam", 32)
    monkeypatch.setattr(memory_check, "UNQUESTIONED", 0)
    monkeypatch.setattr(memory_check, "available_memory", lambda backend: 2 * one)
    halved = StackedTraining(made, Backend(), replicas, rows, jobs=1)
    list(halved)
    for number in range(4):
        np.testing.assert_array_equal(halved.answered[number].answers, expected.answered[number].answers)


def test_available_memory_is_believable() -> None:
    free = memory_check.available_memory(Backend())
    assert 10**7 < free <= memory_check.memory_bytes()


def test_a_nearest_neighbour_needs_its_rows_in_memory(table: Path) -> None:
    with pytest.raises(ConfigError, match=r"nearest_neighbor.*data.stream = false"):
        problem(table, "model.kind=nearest_neighbor", stream=True)
    _, run = trained(problem(table, "model.kind=majority", stream=True))
    _, other = trained(problem(table, "model.kind=majority", stream=False))
    assert run.outcome is not None
    assert other.outcome is not None
    assert run.outcome.figures == other.outcome.figures


@pytest.mark.usefixtures("as_if_large")
def test_a_file_that_is_cut_while_it_is_read(table: Path) -> None:
    run = TrainRun(problem(table, stream=True), Backend())
    records = iter(run)
    next(records)
    os.truncate(table / "t.npy", 5000)
    with pytest.raises(DataError, match=r"t\.npy"):
        list(records)
    assert run.stack is not None
    store = run.stack.store
    assert isinstance(store, StreamedRows)
    store._features.file._found = store._features.file._state()  # the change is found by the reading thread instead
    with pytest.raises(DataError, match="shorter"):
        run.stack.run_epoch(2)


def test_commands_on_a_streamed_table(table: Path, dlrun: Dlrun) -> None:
    problem(table, stream=True)  # writes the experiment
    overrides = [f"--set={text}" for text in ("data.stream=true", "training.epochs=1", "training.measure_rows=40")]
    result = dlrun("train", str(table / "t.toml"), *overrides, "--out", str(table / "run"), "--json")
    assert result.status == 0, result.stderr
    summary = json.loads(result.stdout)
    result = dlrun("evaluate", str(table / "run"), "--json")
    assert result.status == 0, result.stderr
    figures = json.loads(result.stdout)["figures"]
    for part in ("train", "dev", "test"):
        assert figures[part]["error"] == pytest.approx(summary["figures"][part]["error"])
    for command in (
        ("gradcheck", str(table / "t.toml"), "--set=data.stream=true"),
        ("crossval", str(table / "t.toml"), *overrides, "--folds", "3", "--out", str(table / "cv")),
        ("predict", str(table / "run"), "--data", str(table / "t.npy"), "--out", str(table / "p.csv")),
        ("evaluate", str(table / "run"), "--data", str(table / "t.npy")),
    ):
        result = dlrun(*command)
        assert result.status == 0, (command, result.stderr)
    result = dlrun("train", "iris", "--set", "data.stream=true", "--out", str(table / "no"))
    assert result.status == 2
    assert "data.stream" in result.stderr
    assert not (table / "no").exists()


# -- memory ----------------------------------------------------------------------------------------

# Not ru_maxrss where it can be helped: it begins with what the process that started this one held.
MEASURED = """
import json, sys
from dlrun.cli.app import run
status = run(sys.argv[1:])
sys.path.insert(0, "tests")
from reliability.measured import peak
print(json.dumps({"status": status, "peak": peak()}))
"""


def peak_of(folder: Path, rows: int, name: str, *options: str) -> int:
    """The largest resident size of `dlrun train` on a generated table, in bytes."""
    script = ROOT / "benchmarks" / "make_large_data.py"
    subprocess.run([sys.executable, str(script), str(folder / name), "--rows", str(rows)], check=True)
    sets = ["--set=data.split={train=0.995, dev=0.0025, test=0.0025}", "--set=training.batch_size=1000"]
    sets += ["--set=training.epochs=1", "--set=model.hidden=[32]", "--set=training.early_stopping="]
    command = ["train", "--data", str(folder / name), "--target", "20", "--out", str(folder / "run"), "--quiet"]
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, *command, *sets, *options],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["status"] == 0, done.stderr
    summary = json.loads((folder / "run" / "summary.json").read_text())
    assert summary["steps"] == -(-rows * 995 // 1_000_000)
    assert summary["figures"]["test"]["error"] < 0.2  # one label in twenty is wrong; the majority errs at 0.37
    return int(found["peak"])


@pytest.mark.parametrize(("name", "most"), [("t.npy", 200_000_000), ("t.parquet", 400_000_000)])
def test_memory_stays_bounded(tmp_path: Path, name: str, most: int) -> None:
    """500 000 rows are 84 MB as numbers, of which training from memory holds several copies."""
    assert peak_of(tmp_path, 500_000, name, "--set=data.stream=true") < most


@pytest.mark.skipif(not os.environ.get(SOAK), reason="five million rows, for a minute: make soak")
@pytest.mark.parametrize("name", ["t.npy", "t.parquet"])
def test_five_million_rows_in_less_than_600_megabytes(tmp_path: Path, name: str) -> None:
    assert peak_of(tmp_path, 5_000_000, name) < 600_000_000
