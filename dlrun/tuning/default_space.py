"""The space of an experiment that names none: what the texts say to tune first (G4).

First the learning rate α; then β, the hidden units and the batch size; then the number of layers and the decay of α.
Adam's β1, β2 and ε come last, and are left alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dlrun.errors import ConfigError

if TYPE_CHECKING:
    from dlrun.config.schema import Experiment

ADAPTIVE = ("rmsprop", "adam", "adamw")  # these divide by the gradient's size, so that a large α is soon too large
BATCH_SIZES = (16, 32, 64, 128)  # powers of two; a few of them, since each has stacks of its own
SMALLEST_UNITS = 8


def default_space(experiment: Experiment) -> dict[str, dict[str, list[Any]]]:
    """Keys and ranges in the order of their importance, as `[tune.space]` would have them. Raises ConfigError."""
    model, optimizer = experiment.model, experiment.optimizer
    if model.kind != "network":
        raise ConfigError(
            f'model.kind = "{model.kind}" is a baseline, which learns nothing that the default space varies; '
            "should be a network, or the experiment have a tune.space of its own"
        )
    highest = 0.1 if optimizer.name in ADAPTIVE else 1.0
    space: dict[str, dict[str, list[Any]]] = {"optimizer.learning_rate": {"log_uniform": [1e-4, highest]}}
    if optimizer.name in ("momentum", "nesterov"):
        space["optimizer.beta1"] = {"one_minus_log": [0.9, 0.999]}
    elif optimizer.name == "rmsprop":
        space["optimizer.beta2"] = {"one_minus_log": [0.9, 0.999]}
    if model.layers is None:
        space["model.hidden"] = {"choice": _architectures(experiment)}
    if experiment.training.batch_size != "full":
        size = experiment.training.batch_size
        space["training.batch_size"] = {"choice": sorted({*BATCH_SIZES, size})}
    space["optimizer.decay.name"] = {"choice": _decays(optimizer.decay.name)}
    return {key: values for key, values in space.items() if key != "model.hidden" or len(values["choice"]) > 1}


def _architectures(experiment: Experiment) -> list[list[int]]:
    """Half, the same and twice the units; and one layer less and more, where keep_prob does not fix their number."""
    hidden = list(experiment.model.hidden)
    if not hidden:
        return [[], [16], [32], [32, 16]] if not isinstance(experiment.model.keep_prob, tuple) else [[]]
    scaled = [[max(1, round(n * factor)) for n in hidden] for factor in (0.5, 1.0, 2.0)]
    if not isinstance(experiment.model.keep_prob, tuple):
        scaled += [hidden[:-1], [*hidden, max(SMALLEST_UNITS, hidden[-1] // 2)]]
    return [list(each) for each in dict.fromkeys(map(tuple, scaled))]


def _decays(own: str) -> list[str]:
    return list(dict.fromkeys([own, "constant", "exponential", "cosine"]))


def with_space(experiment: Experiment) -> tuple[Experiment, bool]:
    """The experiment with a space, and whether that is the default one."""
    if experiment.tune.space:
        from dlrun.config.checking import space_problems
        from dlrun.config.keys import key_text

        if problems := space_problems(experiment, beside_others=True):
            path, text = problems[0]
            raise ConfigError(f"{experiment.name}: {key_text(tuple(path))}: {text}")
        return experiment, False
    from dlrun.config import validate

    document = experiment.document()
    document["tune"] = {"space": default_space(experiment)}
    return validate(document, where=f"the default space of {experiment.name}"), True
