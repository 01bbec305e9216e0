"""`summary.json` of a search, and the rows of its smaller tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from dlrun.config import with_values
from dlrun.records import Figures, counted
from dlrun.reporting.train_report import BASELINES, ERROR_NAMES, figure
from dlrun.reporting.tune_report import TOP, cell, trial_json
from dlrun.resampling.resamples import split_hash
from dlrun.runs.summary import common_summary
from dlrun.training.problem import Problem
from dlrun.tuning.importance import importances
from dlrun.tuning.outcome import nested_error, optimism_of
from dlrun.tuning.samplers.coarse_to_fine import CoarseToFine
from dlrun.tuning.scoring import outer_resamples
from dlrun.tuning.space import edges
from dlrun.tuning.trials import ranked

if TYPE_CHECKING:
    from dlrun.tuning.study import Study
    from dlrun.tuning.trials import Trial


def summary_of(
    study: Study, *, test: Figures | str | None, seconds: float, is_default: bool, resumed: int
) -> dict[str, Any]:
    """All that is known of a search that has ended. `test` is what `tuning.final.test_figures` found."""
    experiment, data, options = study.experiment, study.problem.dataset, study.options
    trials, best, scoring = study.trials, study.best, study.searches[0].scoring
    resamples = scoring.resamples(study.problem)
    baseline = scoring.baseline(study.problem, study.backend)
    optimism = optimism_of(trials)
    warnings = [] if best is None else edges(experiment, study.space, best.values)
    warnings += list(resamples.warnings)
    if isinstance(test, str):
        warnings.append(test)
    return {
        "name": experiment.name,
        **common_summary(
            command="tune",
            seed=experiment.seed,
            device=study.backend.name,
            parameters=_parameters(study, best),
            seconds=seconds,
            data_hash=data.hash,
            split_hash=split_hash(resamples),
        ),
        "task": data.task,
        "target": data.target_name,
        "sampler": options.sampler,
        "trials": study.searches[0].sampler.total,
        "counts": dict(Counter(trial.status for trial in trials.values())),
        "scored_by": {
            "scheme": resamples.scheme,
            "folds": len(resamples),
            "rows": sum(len(each.test) for each in resamples),
        },
        "space": {key: range_.document() for key, range_ in experiment.tune.space.items()},
        "space_is_default": is_default,
        "best": None if best is None else trial_json(best),
        "top": [trial_json(trial) for trial in ranked(trials.values())[:TOP] if trial.score is not None],
        "baseline": {"kind": BASELINES[data.task], "error": float(np.mean([each.error for each in baseline]))},
        "optimism": None if optimism is None else {"bias": optimism.bias, "corrected": optimism.corrected},
        "test": {"rows": test.rows, "error": test.error, "cost": test.cost} if isinstance(test, Figures) else None,
        "nested": _nested(study),
        "importance": [
            {"key": each.key, "importance": each.importance, "p": each.p, "trend": each.trend, "bins": each.bins}
            for each in importances(study.space, list(trials.values()), seed=experiment.seed)
        ],
        "rounds": _rounds(study),
        "halving": _halving(study),
        "stacks": {
            "count": len(study.runner.stacks),
            "replicas": sum(study.runner.stacks),
            "largest": max(study.runner.stacks, default=0),
        },
        "threads": study.runner.jobs,
        "resumed": resumed,
        "warnings": warnings,
    }


def best_heading(summary: Mapping[str, Any]) -> str:
    """The comment at the head of `best.toml`."""
    best, scored = summary["best"], summary["scored_by"]
    by = "dev" if scored["scheme"] == "holdout" else f"{scored['folds']}-fold"
    return (
        f"# The best of {counted(summary['trials'], 'trial')} of `dlrun tune` ({summary['sampler']}): "
        f"trial {best['trial']}, {by} {ERROR_NAMES[summary['task']]} {figure(best['score'])}."
    )


def round_rows(rounds: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[list[Any]]]:
    """`rounds.csv`: the box of each round and key, and why it is there."""
    rows = [
        [each["round"], each["first"], each["last"], key, cell(bounds), each["reason"]]
        for each in rounds
        for key, bounds in each["box"].items()
    ]
    return ["round", "first_trial", "last_trial", "key", "box", "reason"], rows


def outer_rows(study: Study) -> tuple[list[str], list[list[Any]]]:
    """`outer.csv`: the winner of the search inside each outer fold, and its error on the fold."""
    keys = study.space.keys
    rows = []
    for number, winner in sorted(study.winners.items()):
        inner = study.searches[number + 1].best
        values = [cell(winner.values.get(key)) for key in keys]
        rows.append(
            [number, winner.status, None if inner is None else inner.score, winner.score, winner.cost, *values,
             winner.reason or None]
        )  # fmt: skip
    return ["fold", "status", "inner_score", "error", "cost", *keys, "reason"], rows


def _parameters(study: Study, best: Trial | None) -> int:
    """Trainable numbers of the best model."""
    experiment = study.experiment if best is None else with_values(study.experiment, best.values)
    if experiment.model.kind != "network":
        return 0
    problem = Problem(experiment, study.problem.dataset)
    return problem.architecture([problem.replica(np.zeros(1, np.int64))]).parameters


def _nested(study: Study) -> dict[str, Any] | None:
    if not study.winners:
        return None
    folds = study.options.outer_folds
    winners = [study.winners[number] for number in range(folds)]
    inner = [_score(study.searches[number + 1].best) for number in range(folds)]
    rows = [len(each.test) for each in outer_resamples(study.problem, folds)]
    found = nested_error(winners, inner, rows, task=study.problem.dataset.task)
    if found is None:
        return None
    return {
        "folds": folds,
        "error": {name: getattr(found, name) for name in ("mean", "std", "ci_low", "ci_high", "pooled")},
        "errors": list(found.errors),
        "inner": found.inner,
        "optimism": found.mean - found.inner,
        "lost": found.lost,
    }


def _score(trial: Trial | None) -> float:
    return float("nan") if trial is None or trial.score is None else trial.score


def _rounds(study: Study) -> list[dict[str, Any]]:
    search = study.searches[0]
    if not isinstance(search.sampler, CoarseToFine):
        return []
    return [
        {
            "round": each.number,
            "first": each.trials.start,
            "last": each.trials.stop - 1,
            "box": each.bounds(study.space),
            "reason": each.reason,
        }
        for each in search.sampler.rounds(search.told)
    ]


def _halving(study: Study) -> dict[str, Any] | None:
    """Epochs over all replicas, and the share that pruning saved of those that were planned."""
    if not study.options.halving:
        return None
    trials = [trial for search in study.searches for trial in search.told.values()]
    pruned = [trial for trial in trials if trial.status == "pruned"]
    planned, saved = sum(t.planned for t in trials), sum(t.planned - t.trained for t in pruned)
    return {
        "trained": sum(t.trained for t in trials),
        "planned": planned,
        "pruned": len(pruned),
        "saved": saved,
        "saved_share": saved / planned if planned else 0.0,
    }
