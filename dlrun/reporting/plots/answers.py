"""Targets and answers of a run: from its predictions, or through the model that it left."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from dlrun.errors import DlrunError, RunError
from dlrun.reporting.plots.source import Source

if TYPE_CHECKING:
    from dlrun.data.dataset import Dataset
    from dlrun.data.splits import Split
    from dlrun.training.model import TrainedModel

FloatArray = npt.NDArray[np.float64]
MODEL, PREDICTIONS = "model.safetensors", "predictions.csv"


@dataclass(frozen=True, eq=False)
class Answers:
    """m rows that the model was not trained on, where there are such.

    rows      what they are, for a title: "test part", "all test parts"
    classes   empty for a regression
    target    (m,) class codes, or numbers
    answers   (m, C) probabilities, or (m, 1) values
    """

    rows: str
    classes: tuple[str, ...]
    target: FloatArray
    answers: FloatArray

    @property
    def codes(self) -> npt.NDArray[np.int64]:
        """The true class of each row."""
        return self.target.astype(np.int64)

    @property
    def called(self) -> npt.NDArray[np.int64]:
        """The most probable class of each row; the first of equals."""
        return np.asarray(self.answers.argmax(axis=1), np.int64)


def can_answer(source: Source) -> bool:
    """Whether there is something to read answers from."""
    return source.has(PREDICTIONS) or (source.is_folder and source.has(MODEL))


def answers_of(source: Source) -> Answers:
    """The answers of predictions.csv, or of the model for its test part (else dev, else train)."""
    if source.has(PREDICTIONS):
        return _from_file(source)
    model = model_of(source)
    dataset, split = data_of(source, model)
    part = next((part for part in ("test", "dev") if len(getattr(split, part))), "train")
    rows = getattr(split, part)
    answers = model_answers(model, dataset.features[rows])
    return Answers(f"{part} part", dataset.classes, np.asarray(dataset.target[rows], np.float64), answers)


def _from_file(source: Source) -> Answers:
    table = source.table(PREDICTIONS)
    known = table.text("target") != ""
    if not known.any():
        raise RunError(f"{table.path}: the targets are not known, so that there is nothing to compare answers with")
    probabilities = [column for column in table.texts if column.startswith("p_")]
    if not probabilities:
        answers = table.numbers("prediction")[known, None]
        target = table.numbers("target")[known]
        classes: tuple[str, ...] = ()
    else:
        classes = tuple(column.removeprefix("p_") for column in probabilities)
        answers = np.stack([table.numbers(column)[known] for column in probabilities], axis=1)
        places = {name: code for code, name in enumerate(classes)}
        texts = [_undefused(text, places) for text in table.text("target")[known].tolist()]
        if stranger := next((text for text in texts if text not in places), None):
            raise RunError(f"{table.path}: the target {stranger!r} is none of the classes {', '.join(classes)}")
        target = np.array([places[text] for text in texts], np.float64)
    finite = np.isfinite(answers).all(axis=1)  # those of a diverged replica are none
    if not finite.any():
        raise RunError(f"{table.path}: no answer is a number: every model diverged")
    shown = {"bootstrap": "rows that samples left out", "predict": "rows with a known target"}
    return Answers(shown.get(source.command, "all test parts"), classes, target[finite], answers[finite])


def _undefused(text: str, classes: dict[str, int]) -> str:
    """The class that `csv_cell` wrote with an apostrophe in front, because a spreadsheet would run it."""
    return text[1:] if text not in classes and text[:1] == "'" and text[1:] in classes else text


# -- the model that a training left ----------------------------------------------------------------


def model_of(source: Source) -> TrainedModel:
    """The model in a run's folder."""
    from dlrun.training.model import load_model

    return load_model(source.file(MODEL))


def model_answers(model: TrainedModel, features: FloatArray) -> FloatArray:
    """Answers for encoded, unscaled features (m, d)."""
    from dlrun.backend import select_backend

    backend = select_backend("cpu")
    with backend.quiet():
        return np.asarray(model.answers(model.preprocessing.scaling.apply(features), backend))


def data_of(source: Source, model: TrainedModel) -> tuple[Dataset, Split]:
    """The run's data, and its parts as they were. RunError where the data is gone, or no longer the same."""
    from dlrun.config import load_experiment
    from dlrun.data.dataset import load_dataset
    from dlrun.data.splits import split_rows, strata_of

    try:
        loaded = load_experiment(source.file("config.toml"))
        experiment = loaded.experiment
        dataset = load_dataset(experiment.data, task=experiment.task, folder=loaded.folder, seed=experiment.seed)
    except (DlrunError, OSError) as error:
        raise RunError(f"{source.path}: the run's data cannot be read again: {error}") from None
    if dataset.hash != source.summary.get("data_hash") or dataset.encoding != model.preprocessing.encoding:
        raise RunError(f"{source.path}: the data ({experiment.data.source}) is no longer what this run was made of")
    options = experiment.data.split
    strata = strata_of(dataset) if options.stratify else None
    split = split_rows(len(dataset), options, seed=experiment.seed, strata=strata, groups=dataset.groups)
    return dataset, split
