"""A search: ask the sampler, train what it draws as stacks, tell it; inside outer folds too, all at once."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlrun.backend import Backend, Engine
from dlrun.config import with_values
from dlrun.data.dataset import Dataset, load_dataset
from dlrun.errors import ConfigError, DlrunError
from dlrun.resampling.run import ResamplingRun
from dlrun.training.problem import Problem
from dlrun.training.rows import RowStore
from dlrun.training.threads import usable_cores
from dlrun.tuning.halving import rung_epochs
from dlrun.tuning.journal import Journal
from dlrun.tuning.outcome import failed, trial_of
from dlrun.tuning.runner import Bracket, Runner
from dlrun.tuning.samplers import Sampler, make_sampler
from dlrun.tuning.scoring import WINNER, OuterScoring, Scoring
from dlrun.tuning.space import Space
from dlrun.tuning.trials import Draw, Trial, best_of
from dlrun.tuning.units import Task

if TYPE_CHECKING:
    from dlrun.config.schema import Experiment


@dataclass(frozen=True, kw_only=True)
class StudyOptions:
    """What a search is besides its experiment; `folds` None is holdout, `outer_folds` 0 no nesting."""

    sampler: str = "random"
    trials: int = 32
    folds: int | None = None
    outer_folds: int = 0
    halving: bool = False
    rounds: int = 3


@dataclass
class Search:
    """One search: the whole one (index 0), or that inside outer fold `index`. `told` holds its trials by number."""

    index: int
    sampler: Sampler
    scoring: Scoring
    told: dict[int, Trial] = field(default_factory=dict)

    @property
    def best(self) -> Trial | None:
        return best_of(self.told.values())


@dataclass(frozen=True)
class Event:
    """Something happened: so much of a trial was trained, or a trial ended."""

    share: float = 0.0
    trial: Trial | None = None


class Study:
    """Iterate for the events, which trains; then read `searches` and `winners`.

    `told` are trials of an earlier process, which are not trained again. Each trial is in the journal before its event
    is seen. Raises ConfigError for what cannot be searched at all.
    """

    def __init__(
        self,
        problem: Problem,
        backend: Backend,
        options: StudyOptions,
        *,
        folder: Path,
        jobs: int | None = None,
        journal: Journal | None = None,
        told: Iterable[Trial] = (),
    ) -> None:
        self.problem, self.backend, self.options = problem, backend, options
        self.experiment = problem.experiment
        self.asked_engine: Engine = "numpy"  # for the training of the best alone, which chooses by itself
        self._folder, self._journal = folder, journal
        self.space = Space.of(self.experiment)
        _check(self.experiment, options)
        self.searches = [self._search(index) for index in range(options.outer_folds + 1)]
        for search in self.searches:  # divisions that the data does not allow are no matter of a single trial
            search.scoring.resamples(problem)
        self.winners: dict[int, Trial] = {}
        for trial in told:
            (self.winners if trial.search == WINNER else self.searches[trial.search].told)[trial.number] = trial
        self._datasets: dict[str, Dataset] = {self._data_key(self.experiment): problem.dataset}
        self._stores: dict[str, RowStore] = {}
        self._store_lock = threading.Lock()
        self.runner = Runner(backend, self._rows, jobs=(jobs or usable_cores()) if backend.name == "cpu" else 1)

    def _search(self, index: int) -> Search:
        o = self.options
        sampler = make_sampler(o.sampler, self.space, trials=o.trials, seed=self.experiment.seed, rounds=o.rounds)
        return Search(index, sampler, Scoring(folds=o.folds, outer=index, outer_folds=o.outer_folds))

    @property
    def total(self) -> int:
        """All trials, those inside outer folds and their winners too."""
        return sum(search.sampler.total for search in self.searches) + self.options.outer_folds

    @property
    def known(self) -> int:
        """How many of them have ended."""
        return sum(len(search.told) for search in self.searches) + len(self.winners)

    @property
    def trials(self) -> dict[int, Trial]:
        """The trials of the search itself."""
        return dict(sorted(self.searches[0].told.items()))

    @property
    def best(self) -> Trial | None:
        """The best trial so far."""
        return self.searches[0].best

    def __iter__(self) -> Iterator[Event]:
        while True:
            asked = [(search, search.sampler.ask(search.told)) for search in self.searches]
            if not any(draws for _, draws in asked):
                break
            yield from self._try(asked)
        yield from self._judge_winners()

    def _rungs(self, bracket: Bracket) -> list[int]:
        own = self.experiment.training.epochs
        longest = max(int(draw.values.get("training.epochs", own)) for draw in bracket.draws.values())
        return rung_epochs(max(bracket.size(search.index) for search in self.searches), longest)

    def _train(self, bracket: Bracket, rungs: Sequence[int]) -> Iterator[Event]:
        for each in self.runner.train(bracket, rungs):
            if isinstance(each, float):
                yield Event(share=each)
            else:
                yield from self._tell(each)

    def _tell(self, trials: Sequence[Trial]) -> Iterator[Event]:
        if self._journal is not None and trials:
            self._journal.append(*({"kind": "trial", **trial.to_json()} for trial in trials))
        for trial in trials:
            (self.winners if trial.search == WINNER else self.searches[trial.search].told)[trial.number] = trial
            yield Event(trial=trial)

    # -- trials to train -----------------------------------------------------------------------

    def _try(self, asked: Sequence[tuple[Search, Sequence[Draw]]]) -> Iterator[Event]:
        bracket = Bracket()
        for search, draws in asked:
            for draw in draws:
                bracket.draws[search.index, draw.number] = draw
                if draw.number in search.told:
                    bracket.told.append(search.told[draw.number])
                    continue
                made = self._task(search.scoring, draw, search.index)
                if isinstance(made, Trial):
                    yield from self._tell([made])
                else:
                    bracket.tasks[made.owner] = made
        yield from self._train(bracket, self._rungs(bracket) if self.options.halving else [])

    def _judge_winners(self) -> Iterator[Event]:
        """Train the best of each search inside an outer fold on all rows of it, and score it on the fold."""
        bracket = Bracket()
        for search in self.searches[1:]:
            number = search.index - 1
            best = search.best
            if number in self.winners:
                continue
            if best is None:
                reason = f"no trial of the search inside outer fold {search.index} finished"
                yield from self._tell([failed(Draw(number=number, values={}), reason, search=WINNER)])
                continue
            draw = Draw(number=number, values=best.values)
            scoring = OuterScoring(outer=search.index, outer_folds=self.options.outer_folds)
            made = self._task(scoring, draw, WINNER)
            if isinstance(made, Trial):
                yield from self._tell([made])
            else:
                bracket.draws[made.owner], bracket.tasks[made.owner] = draw, made
        yield from self._train(bracket, [])

    def _task(self, scoring: Scoring, draw: Draw, search: int) -> Task | Trial:
        """The draw as work to do; or already as a trial, where it cannot be trained or nothing is to train."""
        try:
            problem = self.problem_of(draw.values)
            if problem.experiment.model.kind != "network":
                run = ResamplingRun(problem, self.backend, scoring.resamples(problem))
                list(run)
                folds = [(division.result, division.figures) for division in run.divisions]
                return trial_of(draw, folds, search=search, planned=0)
            return Task((search, draw.number), problem, scoring.replicas(problem, self.backend))
        except DlrunError as error:
            return failed(draw, str(error), search=search)

    def problem_of(self, values: Mapping[str, Any]) -> Problem:
        """The experiment with these values, on its data."""
        return self._problem(with_values(self.experiment, values))

    def _problem(self, variant: Experiment) -> Problem:
        key = self._data_key(variant)
        if key not in self._datasets:
            self._datasets[key] = load_dataset(variant.data, task=variant.task, folder=self._folder, seed=variant.seed)
        return Problem(variant, self._datasets[key])

    @staticmethod
    def _data_key(experiment: Experiment) -> str:
        data = experiment.data.model_dump(mode="json", exclude={"split", "normalize", "normalize_target"})
        seed = experiment.seed if experiment.data.seed is None else None
        return json.dumps([data, experiment.task, seed], sort_keys=True)

    def _rows(self, problem: Problem) -> RowStore:
        """The stored rows for a stack. All trials of a plain holdout train on the same rows, which are then stored
        as `dlrun train` stores them; else under the scaling that folds share."""
        e = problem.experiment
        parts: list[Any] = [id(problem.dataset), e.data.normalize, e.data.normalize_target, problem.loss, e.model.dtype]
        alone = self.options.folds is None and not self.options.outer_folds
        if alone:
            parts += [e.seed, e.data.split.document()]
        key = json.dumps(parts)
        with self._store_lock:
            if key not in self._stores:
                self._stores[key] = self._stored(problem) if alone else problem.shared_rows(self.backend)
            return self._stores[key]

    def _stored(self, problem: Problem) -> RowStore:
        train = self.searches[0].scoring.resamples(problem)[0].train
        return problem.stored_rows(self.backend, problem.normalization([train]))


def _check(experiment: Experiment, options: StudyOptions) -> None:
    """What no trial could get past."""
    if experiment.training.init_from is not None:
        raise ConfigError(
            f"training.init_from = {experiment.training.init_from!r}: trials start from initial weights of their own; "
            "should be left out in a search (--set training.init_from=)"
        )
    if options.folds is None and experiment.data.split.dev == 0:
        raise ConfigError("data.split.dev = 0: there is no part to score trials on; give it a share, or use --folds 5")
    if options.trials < 1:
        raise ConfigError(f"--trials {options.trials}: should be at least 1")
