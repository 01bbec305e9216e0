"""Searches run to their end."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tuning.tuning_cases import problem_of

from dlrun.backend import Backend
from dlrun.config import Experiment
from dlrun.tuning.study import Study, StudyOptions


@pytest.fixture
def study_of(backend: Backend) -> Callable[..., Study]:
    """`study_of(experiment, trials=8, …)` runs a search to its end."""

    def run(
        chosen: Experiment, *, jobs: int | None = None, journal: Any = None, told: Any = (), **options: Any
    ) -> Study:
        study = Study(
            problem_of(chosen),
            backend,
            StudyOptions(**options),
            folder=Path.cwd(),
            jobs=jobs,
            journal=journal,
            told=told,
        )
        for _ in study:
            pass
        return study

    return run
