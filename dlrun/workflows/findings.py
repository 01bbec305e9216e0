"""What is found out about one run: its errors, its cost curve, its layers, and what was asked for besides."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlrun.errors import ConfigError
from dlrun.workflows.opening import NAME
from dlrun.workflows.results import Result, unkept_files
from dlrun.workflows.watcher import Watcher

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    from dlrun.backend import Backend
    from dlrun.data.table import Table as DataTable
    from dlrun.diagnosis.curves import Finding
    from dlrun.diagnosis.gaps import Measured
    from dlrun.diagnosis.layers import LayerReport
    from dlrun.diagnosis.learning_curve import LearningCurve
    from dlrun.diagnosis.two_sample import TwoSample
    from dlrun.reporting.tables import Table
    from dlrun.runs.folder import RunFolder
    from dlrun.runs.stored import StoredRun
    from dlrun.runs.unkept import Unkept
    from dlrun.training.run import TrainRun

    FloatArray = npt.NDArray[np.float64]


class DiagnoseResult(Result):
    """What a model suffers from, and what to try next."""

    @property
    def document(self) -> dict[str, Any]:
        """What the command prints with --json: a diverged run has a curve alone, and leaves no folder."""
        return dict(self.summary) if "name" not in self.summary else super().document

    @property
    def next_steps(self) -> list[Any]:
        """What to try, the most promising first."""
        return list(self.summary.get("next_steps") or ())


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What is asked about a run."""

    run: Path
    human_error: float | None
    tolerance: float | None
    data: str | Path | pd.DataFrame | None
    two_sample: bool
    learning_curve: bool
    repeats: int
    jobs: int | None

    def __post_init__(self) -> None:
        """ConfigError for numbers that no error can be."""
        if self.human_error is not None and not 0 <= self.human_error < float("inf"):
            raise ConfigError(f"--human-error {self.human_error}: should be an error ≥ 0, such as 0.15")
        if self.tolerance is not None and not 0 < self.tolerance < float("inf"):
            raise ConfigError(f"--tolerance {self.tolerance}: should be a number > 0, such as 0.02")

    @property
    def second(self) -> str | None:
        """What the other rows are called."""
        return self.data if self.data is None or isinstance(self.data, str) else NAME


@dataclass
class Findings:
    """What is found out about a run, piece by piece."""

    request: Asked
    stored: StoredRun
    run: TrainRun
    backend: Backend
    table: DataTable | None
    errors: dict[str, Measured] | None = None
    curve: list[Finding] | None = None
    layers: LayerReport | None = None
    learning: LearningCurve | None = None
    samples: TwoSample | None = None

    @property
    def human(self) -> float:
        return self.request.human_error or 0.0

    @property
    def task(self) -> str:
        return self.run.problem.dataset.task

    def measure(self, watch: Watcher) -> None:
        """Everything that was asked for, before a folder is taken."""
        from dlrun.diagnosis.curves import findings, read_curve

        experiment = self.run.problem.experiment
        if self.task == "classification" and self.human >= 1:
            raise ConfigError(f"--human-error {self.human}: should be a share below 1, such as 0.15 for 15 %")
        self.errors = self._errors()
        if experiment.model.kind == "network":
            status = str(self.stored.summary.get("status") or "done")
            curve = read_curve(self.stored.folder / "metrics.csv")
            self.curve = findings(curve, status=status, constant=self._constant_cost())
            self.layers = self._layers()
        if self.request.two_sample:
            self.samples = self._two_sample()
        if self.request.learning_curve:
            self.learning = self._learning_curve(watch)

    def _constant_cost(self) -> float | None:
        """The training cost of the best constant answer, where the curve's costs have no penalty in them."""
        experiment = self.run.problem.experiment
        figures = (self.stored.summary.get("baseline") or {}).get("figures", {}).get("train")
        penalized = experiment.regularization.l1 or experiment.regularization.l2 or experiment.model.cost is not None
        return None if penalized or not figures else figures["cost"]

    # -- the pieces ----------------------------------------------------------------------------

    def _errors(self) -> dict[str, Measured]:
        """By part, in the order of the chain; the run's own dev rows are train-dev where --data brings others."""
        from dlrun.workflows.answering import answers_for

        data, model = self.run.problem.dataset, self.stored.model
        names = {"train": "train", "dev": "dev", "test": "test"}
        if self.table is not None:
            names = {"train": "train", "dev" if len(self.run.split.dev) else "test": "train-dev"}
        found = {}
        for part, name in names.items():
            rows = getattr(self.run.split, part)
            if len(rows):
                answers = model.answers(model.preprocessing.scaling.apply(data.features[rows]), self.backend)
                found[name] = self._measured(answers, data.target[rows])
        if self.table is not None:
            found["dev"] = self._measured(
                answers_for(model, self.table, self.backend), model.preprocessing.target(self.table)
            )
        return found

    def _measured(self, answers: FloatArray, target: npt.NDArray[Any]) -> Measured:
        from dlrun.diagnosis.gaps import Measured
        from dlrun.training.run import answer_figures

        error = answer_figures(answers, target, self.task).error
        squares = (answers[:, 0] - target) ** 2 if self.task == "regression" else None
        return Measured(error, len(target), squares)

    def _layers(self) -> LayerReport | None:
        """None where the cost's derivative is not at hand: a user's own, with its code not loaded."""
        import numpy as np

        from dlrun.diagnosis.layers import batch_of, layer_statistics
        from dlrun.nn.losses import CUSTOM_LOSSES

        problem, model = self.run.problem, self.stored.model
        if (problem.loss in CUSTOM_LOSSES and not self.stored.run_code) or model.theta is None:
            return None
        net, arrays = batch_of(problem, self.backend, problem.replica(self.run.split.train))
        if self.run.stack is not None:
            host = self.backend.to_host
            arrays |= {
                name: self.backend.to_device(host(value), "float64") for name, value in self.run.stack.fixed.items()
            }
        theta = np.asarray(model.theta, np.float64)[None]
        return layer_statistics(self.backend, net, arrays, theta, ["the trained model"])[0]

    def _two_sample(self) -> TwoSample:
        from dlrun.diagnosis.two_sample import two_sample

        data, prepared, split = self.run.problem.dataset, self.stored.model.preprocessing, self.run.split
        train = prepared.scaling.apply(data.features[split.train])
        if self.table is not None:
            other = prepared.features(self.table)
        else:
            rows = split.dev if len(split.dev) else split.test
            other = prepared.scaling.apply(data.features[rows])
        seed = self.run.problem.experiment.seed
        names = prepared.feature_names
        return two_sample(train, other, names, self.backend, seed=seed, jobs=self.request.jobs)

    def _learning_curve(self, watch: Watcher) -> LearningCurve:
        from dlrun.config import load_experiment
        from dlrun.diagnosis.learning_curve import SIZES, learning_curve
        from dlrun.training.problem import Problem

        # the experiment as it was trained: the reopened one is held still
        experiment = load_experiment(self.stored.folder / "config.toml", trusted=self.stored.run_code).experiment
        problem = Problem(experiment, self.run.problem.dataset, run_code=self.stored.run_code)
        total = SIZES * self.request.repeats * experiment.training.epochs
        with watch.progress("learning curve", total) as advance:
            return learning_curve(
                problem,
                self.backend,
                self.run.split,
                repeats=self.request.repeats,
                jobs=self.request.jobs,
                advance=lambda records: advance(len(records)),
            )

    # -- what is said --------------------------------------------------------------------------

    def report(self, folder: RunFolder | Unkept, began: float) -> DiagnoseResult:
        """Files and tables."""
        from dlrun.config import load_experiment, to_toml
        from dlrun.diagnosis.bias_variance import diagnose as judged
        from dlrun.diagnosis.recipe import next_steps
        from dlrun.reporting import diagnose_report as shown
        from dlrun.reporting.train_report import kept_in
        from dlrun.runs.summary import common_summary

        problem, errors = self.run.problem, self.errors or {}
        experiment = load_experiment(self.stored.folder / "config.toml").experiment
        human = self.human
        scale = float(problem.dataset.target[self.run.split.train].std()) if self.task == "regression" else 1.0
        diagnosis = judged(errors, human=human, task=self.task, tolerance=self.request.tolerance, scale=scale or 1.0)
        learned = [each.what for each in self.curve or ()]
        learned += [self.layers.verdict] if self.layers is not None else []
        stopped = self.stored.summary.get("status") == "stopped"
        steps = next_steps(experiment, diagnosis.suffers_from, learning=learned, stopped=stopped)
        folder.write_text("config.toml", to_toml(experiment))
        parts: list[Table | str] = [
            shown.errors_table(
                errors, human, self.task, title=str(self.stored.folder), assumed=self.request.human_error is None
            ),
            shown.gaps_table(diagnosis),
        ]
        summary: dict[str, Any] = {
            "name": experiment.name,
            **common_summary(
                command="diagnose",
                seed=experiment.seed,
                device=self.backend.name,
                parameters=self.run.parameters,
                seconds=time.perf_counter() - began,
                data_hash=problem.dataset.hash,
                split_hash=self.run.split.hash,
            ),
            "run": str(self.stored.folder),
            "data": self.request.second,
            "task": self.task,
            **shown.diagnosis_json(diagnosis, errors, human),
            "next_steps": shown.steps_json(steps),
            "curve": [{"what": each.what, "sentence": each.sentence} for each in self.curve or ()],
        }
        if self.curve:
            parts.append(shown.findings_text(self.curve))
        if steps:
            parts.append(shown.steps_table(steps))
        if self.samples is not None:
            second = self.request.second or ("dev" if len(self.run.split.dev) else "test")
            parts.append(shown.two_sample_text(self.samples, "train", second))
            summary["two_sample"] = shown.two_sample_json(self.samples)
        if self.learning is not None:
            shown.write_curve(folder, self.learning)
            parts.append(shown.curve_table(self.learning, self.task))
            summary["learning_curve"] = [vars(each) for each in self.learning.sizes]
        if self.layers is not None:
            shown.write_layers(folder, [self.layers])
            parts.append(shown.layers_table(self.layers, title="Layers of the trained model"))
            summary["layers"] = shown.layers_json([self.layers])[0]
        parts += kept_in(folder.path)
        summary = folder.write_summary(summary)
        return DiagnoseResult(summary=summary, folder=folder.path, files=unkept_files(folder), shown=lambda: parts)
