"""The basic recipe: what to try next, with the keys to change and values to begin with.

Bias first: a bigger network, longer training, a better optimizer, less regularization. Then variance: more data, more
regularization, a smaller network. Then what separates dev from the training distribution, and then the dev part itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dlrun.diagnosis.bias_variance import BIAS, MISMATCH, OVERFITTING, VARIANCE

if TYPE_CHECKING:
    from dlrun.config.schema import Experiment


@dataclass(frozen=True)
class Step:
    """Something to try: for which trouble, in words, and as `--set` arguments where keys say it."""

    against: str
    what: str
    settings: tuple[str, ...] = ()


def next_steps(
    experiment: Experiment, troubles: Sequence[str], *, learning: Sequence[str] = (), stopped: bool = False
) -> list[Step]:
    """Steps against the named gaps, in the order of the recipe.

    stopped   early stopping ended the training: more epochs alone would change nothing
    learning  what the cost curve showed (`curves`) and how the signal goes through the layers (`layers`): "overshoots",
              "stuck", "vanish", "explode" and "unfinished" change what comes first
    """
    found: list[Step] = []
    makers = {VARIANCE: _against_variance, MISMATCH: _against_mismatch, OVERFITTING: _new_dev}
    if "overshoots" in learning:
        rate = experiment.optimizer.learning_rate
        found.append(
            Step("a learning rate that is too large", "smaller steps", (f"optimizer.learning_rate={rate / 10:.3g}",))
        )
    if "stuck" in learning and "vanish" not in learning:
        rate = experiment.optimizer.learning_rate
        found.append(Step("a cost that is stuck", "smaller steps", (f"optimizer.learning_rate={rate / 10:.3g}",)))
    found += _for_the_signal(experiment, learning)
    if "unfinished" in learning and BIAS not in troubles:
        found.append(_longer(experiment, "a cost that still falls", stopped=stopped))
    for trouble in troubles:
        found += _against_bias(experiment, stopped=stopped) if trouble == BIAS else makers[trouble](experiment)
    return found


def _for_the_signal(experiment: Experiment, learning: Sequence[str]) -> list[Step]:
    """What keeps activations and gradients near their size from layer to layer."""
    model = experiment.model
    trouble = next((word for word in ("vanish", "explode") if word in learning), None)
    if trouble is None:
        return []
    name = {"vanish": "vanishing gradients", "explode": "exploding gradients"}[trouble]
    fitting = "xavier" if model.activation == "tanh" else "he"
    settings = [] if model.activation in ("relu", "leaky_relu", "tanh") else ["model.activation=relu"]
    settings += [] if model.initialization == fitting else [f"model.initialization={fitting}"]
    steps = [Step(name, "an activation and an initialization that fit", tuple(settings))] if settings else []
    if not model.batch_norm and model.layers is None:
        steps.append(Step(name, "batch normalization", ("model.batch_norm=true",)))
    if trouble == "explode" and experiment.optimizer.clip_norm is None:
        steps.append(Step(name, "shorter gradients", ("optimizer.clip_norm=1.0",)))
    return steps


def _against_bias(experiment: Experiment, *, stopped: bool) -> list[Step]:
    model, regularization = experiment.model, experiment.regularization
    hidden = model.hidden
    steps = []
    if model.kind != "network":
        return [Step(BIAS, "a network in place of the baseline", ('model.kind="network"',))]
    wider = [2 * width for width in hidden] or [32]
    if model.layers is not None:
        steps.append(Step(BIAS, "a bigger network: more units or filters in its layers"))
    else:
        steps.append(Step(BIAS, "a bigger network: more units", (f"model.hidden={_listed(wider)}",)))
    if hidden and model.layers is None:
        steps.append(Step(BIAS, "one more layer", (f"model.hidden={_listed([*hidden, hidden[-1]])}",)))
    steps.append(_longer(experiment, BIAS, stopped=stopped))
    if experiment.optimizer.name != "adam":
        steps.append(Step(BIAS, "a better optimizer", ("optimizer.name=adam", "optimizer.learning_rate=0.003")))
    if regularization.l2 or regularization.l1:
        name = "l2" if regularization.l2 else "l1"
        value = getattr(regularization, name)
        steps.append(Step(BIAS, "less regularization", (f"regularization.{name}={value / 10:.3g}",)))
    if _drops(model.keep_prob):
        steps.append(Step(BIAS, "less dropout", ("model.keep_prob=1.0",)))
    return steps


def _against_variance(experiment: Experiment) -> list[Step]:
    model, regularization = experiment.model, experiment.regularization
    steps = [Step(VARIANCE, "more training rows; --learning-curve shows what they would bring")]
    if model.kind != "network":
        return [*steps, Step(VARIANCE, "a network, which generalizes", ('model.kind="network"',))]
    l2 = regularization.l2 * 10 or 0.1
    steps.append(Step(VARIANCE, "more regularization", (f"regularization.l2={l2:.3g}",)))
    if model.layers is None and model.hidden and not _drops(model.keep_prob):
        steps.append(Step(VARIANCE, "dropout", ("model.keep_prob=0.8",)))
    if experiment.training.early_stopping is None and experiment.data.split.dev > 0:
        steps.append(Step(VARIANCE, "early stopping", ("training.early_stopping.patience=10",)))
    if model.layers is None and model.hidden:
        smaller = [max(1, width // 2) for width in model.hidden]
        steps.append(Step(VARIANCE, "a smaller network", (f"model.hidden={_listed(smaller)}",)))
    if experiment.data.normalize == "none":
        steps.append(Step(VARIANCE, "scaled inputs", ("data.normalize=standard",)))
    return steps


def _against_mismatch(experiment: Experiment) -> list[Step]:
    return [
        Step(MISMATCH, "look at rows of both tables, and find what is different; --two-sample says whether it shows"),
        Step(
            MISMATCH, "training rows more like those of the dev table: collect them, or make them from those there are"
        ),
    ]


def _new_dev(experiment: Experiment) -> list[Step]:
    split = experiment.data.split
    more = min(0.4, round(split.dev + 0.1, 3))
    train = round(1 - more - split.test, 3)
    settings = (f"data.split={{train={train:g}, dev={more:g}, test={split.test:g}}}",) if train > 0 else ()
    return [Step(OVERFITTING, "a larger dev part, and fewer choices made by it", settings)]


def _longer(experiment: Experiment, trouble: str, *, stopped: bool) -> Step:
    stopping = experiment.training.early_stopping
    if stopped and stopping is not None:
        patience = f"training.early_stopping.patience={3 * max(1, stopping.patience)}"
        return Step(trouble, "longer training: more patience before it is stopped", (patience,))
    epochs = max(1, experiment.training.epochs) * 3
    return Step(trouble, "longer training", (f"training.epochs={epochs}",))


def _listed(widths: Sequence[int]) -> str:
    return f"[{','.join(map(str, widths))}]"


def _drops(keep_prob: Any) -> bool:
    return any(p < 1 for p in (keep_prob if isinstance(keep_prob, tuple) else (keep_prob,)))
