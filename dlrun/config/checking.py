"""From a document to an Experiment, or to one ConfigError that lists all that is wrong with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from typing import Any

from pydantic import ValidationError

from dlrun.code_names import granted_as
from dlrun.config.document import set_value
from dlrun.config.keys import all_keys, value_text
from dlrun.config.problems import MOST, Problem, keys_not_to_vary, problem_at, problems_of, unknown_key
from dlrun.config.schema import Experiment
from dlrun.config.section import thawed
from dlrun.errors import ConfigError


def validate(
    document: dict[str, Any], *, where: str, blame: Callable[[Problem], str | None] | None = None
) -> Experiment:
    """The experiment that the document describes.

    `where` names the document in messages (its file); `blame(problem)` may give another line for a problem
    that comes from an override. Raises ConfigError with every problem, one a line.
    """
    try:
        return _validated(document, where, blame)
    except RecursionError:
        raise ConfigError(f"{where}: lists or tables lie too deep in each other") from None


def _validated(document: dict[str, Any], where: str, blame: Callable[[Problem], str | None] | None) -> Experiment:
    try:
        experiment = Experiment.model_validate(document)
    except ValidationError as error:
        problems = problems_of(error, document)
    else:
        # Only a sound experiment can be asked whether the space's values fit it.
        if not (problems := _space_problems(experiment, document)):
            return experiment
    lines = [(blame(problem) if blame else None, str(problem)) for problem in problems]
    if len(lines) == 1:
        overridden, line = lines[0]
        raise ConfigError(overridden or f"{where}: {line}")
    heading = f"{where}: {len(lines)} problems{' and perhaps more' if len(lines) >= MOST else ''}"
    raise ConfigError("\n  ".join([heading, *(overridden or line for overridden, line in lines)]))


def _space_problems(experiment: Experiment, document: dict[str, Any]) -> list[Problem]:
    space = experiment.tune.space
    found: list[tuple[Sequence[str], str]] = [(("tune", "space", key), text) for key, text in keys_not_to_vary(space)]
    return [problem_at(tuple(path), text, document) for path, text in found or space_problems(experiment)]


def fits(document: dict[str, Any], path: tuple[str, ...], value: Any) -> bool:
    """Whether the document is an experiment with this value at the path."""
    return not _misfits(document, path, (value,), beside_others=True)


def with_values(experiment: Experiment, values: Mapping[str, Any]) -> Experiment:
    """The experiment with other values at dotted keys, checked again, and without its `tune.space`.

    `with_values(e, {"optimizer.learning_rate": 0.1, "model.hidden": (16,)})` is one trial of a search. NumPy
    scalars are taken as numbers. Raises ConfigError naming the keys.
    """
    document = experiment.document()
    values = granted_as(dict(values), document)  # they may come out of a journal
    document.pop("tune", None)
    # Names first: another name for a table drops the keys that belonged to the old one.
    for key, value in sorted(values.items(), key=lambda item: not item[0].endswith(".name")):
        path = tuple(key.split("."))
        if path not in all_keys():
            raise ConfigError(f"{key}: {unknown_key(path)}")
        set_value(document, path, thawed(value.item() if hasattr(value, "item") else value))
    return validate(document, where=f"the experiment {experiment.name}")


def space_problems(experiment: Experiment, *, beside_others: bool = False) -> list[tuple[Sequence[str], str]]:
    """What is wrong with `tune.space`: each key is tried at the extremes of its range.

    A value may be right and yet not fit what the experiment says elsewhere, as layers do not fit a keep_prob for each
    of others. That concerns a search alone, which asks for it by `beside_others`.
    Pairs of a path and a sentence, as `section.fault` takes them.
    """
    problems: list[tuple[Sequence[str], str]] = []
    base = experiment.document()
    base.pop("tune", None)
    for key, values in experiment.tune.space.items():
        path = tuple(key.split("."))
        where = ("tune", "space", key)
        problems += [(where, text) for text in _misfits(base, path, values.probes(), beside_others=beside_others)[:1]]
    return problems


def _misfits(base: dict[str, Any], path: tuple[str, ...], probes: tuple[Any, ...], *, beside_others: bool) -> list[str]:
    """A sentence for each probe that the experiment does not take at the path."""
    sentences = []
    for probe in probes:
        document = deepcopy(base)
        value = thawed(probe)
        set_value(document, path, value)
        try:
            Experiment.model_validate(document)
        except ValidationError as error:
            problems = problems_of(error, document)
            if beside_others or any(problem.path[: len(path)] == path for problem in problems):
                reasons = "; ".join(problem.text if problem.path == path else str(problem) for problem in problems)
                sentences.append(f"does not fit: {value_text(value, 40)} {reasons}")
    return sentences
