"""Units side by side: processes and threads give what one after another gives, and pass on what goes wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tuning.tuning_cases import RATES, experiment

from dlrun.backend import Backend
from dlrun.nn.network import Architecture
from dlrun.tuning import pool
from dlrun.tuning.study import Study

Run = Callable[..., Study]
SHAPES = {**RATES, "model.hidden": {"choice": [[4], [6, 3], [9], []]}}

pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")


@pytest.fixture(autouse=True)
def _on_the_cpu(backend: Backend) -> None:
    if backend.name != "cpu":
        pytest.skip("a device trains one stack at a time")


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Side by side whatever the work is worth; which way was taken is noted."""
    taken: list[str] = []

    def noting(name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*given: Any) -> Any:
            taken.append(name)
            return original(*given)

        return call

    for name in ("_in_processes", "_in_threads"):
        monkeypatch.setattr(pool, name, noting(name, getattr(pool, name)))
    monkeypatch.setattr(pool, "FORK_SECONDS", 0.0)
    return taken


@pytest.mark.parametrize("halving", [False, True])
def test_side_by_side_is_as_one_after_another(study_of: Run, at_once: list[str], halving: bool) -> None:
    chosen = experiment(SHAPES, training={"epochs": 9})
    both = study_of(chosen, trials=9, folds=2, halving=halving, jobs=2)
    assert at_once == (["_in_threads"] * 2 + ["_in_processes"] if halving else ["_in_processes"])
    alone = study_of(chosen, trials=9, folds=2, halving=halving, jobs=1)
    assert both.trials == alone.trials


def broken_for(width: int, error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let networks with a layer of this width raise as their first weights are drawn."""
    original = Architecture.initial_row

    def row(self: Architecture, *given: Any) -> Any:
        if width in self.hidden:
            raise error
        return original(self, *given)

    monkeypatch.setattr(Architecture, "initial_row", row)


@pytest.mark.parametrize("halving", [False, True])
@pytest.mark.parametrize(
    ("error", "reason"), [(MemoryError(), "out of memory"), (ValueError("odd"), "ValueError: odd")]
)
def test_a_fault_of_a_trial_is_the_trials(
    study_of: Run,
    at_once: list[str],
    monkeypatch: pytest.MonkeyPatch,
    halving: bool,
    error: BaseException,
    reason: str,
) -> None:
    broken_for(9, error, monkeypatch)
    study = study_of(experiment(SHAPES, training={"epochs": 4}), trials=9, halving=halving, jobs=2)
    failed = [t for t in study.trials.values() if t.status == "failed"]
    assert [t.number for t in failed] == [t.number for t in study.trials.values() if t.values["model.hidden"] == (9,)]
    assert failed
    assert all(t.reason.startswith(reason) for t in failed)


@pytest.mark.parametrize("halving", [False, True])
def test_a_fault_of_the_program_ends_the_search(
    study_of: Run, at_once: list[str], monkeypatch: pytest.MonkeyPatch, halving: bool
) -> None:
    broken_for(9, RuntimeError("not a trial's own"), monkeypatch)
    with pytest.raises(RuntimeError, match="not a trial's own"):
        study_of(experiment(SHAPES, training={"epochs": 4}), trials=9, halving=halving, jobs=2)
