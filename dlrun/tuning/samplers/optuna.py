"""Optuna's tree-structured Parzen estimator through ask and tell, in batches that fill stacks (an extra)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dlrun.errors import ConfigError
from dlrun.rng import generator
from dlrun.tuning.space import Dimension, Space, value_key
from dlrun.tuning.trials import Draw, Trial

FEWEST_BATCHES = 8  # batches at least: what is drawn at once cannot learn from each other
SMALLEST_BATCH = 4


class OptunaSearch:
    """Not a pure function of what is told: a search that was broken off goes on with other draws."""

    notes: tuple[str, ...] = ()

    def __init__(self, space: Space, *, trials: int, seed: int) -> None:
        try:
            import optuna
        except ImportError:
            raise ConfigError(
                "--sampler optuna: Optuna is not installed; `pip install 'dlrun[optuna]'` brings it, "
                "or choose random, grid, coarse-to-fine or sobol"
            ) from None
        self._optuna, self._space, self.total = optuna, space, trials
        self._batch = max(SMALLEST_BATCH, -(-trials // FEWEST_BATCHES))
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        start = int(generator(seed, 0, "tune optuna").integers(2**31))
        self._study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=start))
        self._distributions = {each.key: self._distribution(each) for each in space.dimensions}
        self._asked: dict[int, Any] = {}
        self._known: set[int] = set()
        self._round = -1

    def ask(self, told: Mapping[int, Trial]) -> list[Draw]:
        self._learn(told)
        self._round += 1
        free = [t for t in range(self.total) if t not in told][: self._batch]
        draws = []
        for number in free:
            self._asked[number] = self._study.ask(self._distributions)
            values = {d.key: self._value(d, self._asked[number].params[d.key]) for d in self._space.dimensions}
            draws.append(Draw(number=number, values=values, round=self._round))
        return draws

    def _learn(self, told: Mapping[int, Trial]) -> None:
        """Tell the study of what it has not heard of; after a resumption that is all of it."""
        states = self._optuna.trial.TrialState
        for number, trial in sorted(told.items()):
            if number in self._known:
                continue
            self._known.add(number)
            state = states.COMPLETE if trial.done else states.FAIL
            if number in self._asked:
                self._study.tell(self._asked.pop(number), trial.score if trial.done else None, state=state)
            elif trial.done:
                params = {d.key: self._parameter(d, trial.values[d.key]) for d in self._space.dimensions}
                self._study.add_trial(
                    self._optuna.trial.create_trial(params=params, distributions=self._distributions, value=trial.score)
                )

    def _distribution(self, dimension: Dimension) -> Any:
        kinds, range_ = self._optuna.distributions, dimension.range
        low, high = range_.low, range_.high
        if range_.kind == "choice":  # by place: a list is no category of Optuna's
            return kinds.CategoricalDistribution(list(range(len(range_.choices))))
        assert low is not None
        assert high is not None
        if range_.kind.startswith("int"):
            return kinds.IntDistribution(int(low), int(high), log=range_.kind == "int_log_uniform")
        if range_.kind == "one_minus_log":
            return kinds.FloatDistribution(1 - high, 1 - low, log=True)
        return kinds.FloatDistribution(float(low), float(high), log=range_.kind == "log_uniform")

    @staticmethod
    def _value(dimension: Dimension, parameter: Any) -> Any:
        range_ = dimension.range
        if range_.kind == "choice":
            return range_.choices[parameter]
        if range_.kind != "one_minus_log":
            return parameter
        assert range_.low is not None
        assert range_.high is not None
        return float(min(max(1 - parameter, range_.low), range_.high))

    @staticmethod
    def _parameter(dimension: Dimension, value: Any) -> Any:
        if dimension.range.kind == "choice":
            return [value_key(choice) for choice in dimension.range.choices].index(value_key(value))
        if dimension.range.kind != "one_minus_log":
            return value
        assert dimension.range.low is not None
        assert dimension.range.high is not None
        return min(max(1 - value, 1 - dimension.range.high), 1 - dimension.range.low)
