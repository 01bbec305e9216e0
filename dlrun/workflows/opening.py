"""From a request to the experiment and its rows, which may also be a pandas frame."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from dlrun.errors import DlrunError
from dlrun.runs.unkept import Unkept
from dlrun.workflows.remarks import remark_on_columns
from dlrun.workflows.request import Request
from dlrun.workflows.watcher import Watcher

if TYPE_CHECKING:
    import pandas as pd

    from dlrun.config.schema import Experiment
    from dlrun.data.dataset import Dataset
    from dlrun.runs.folder import RunFolder

FRAME = "frame.csv"
NAME = "the frame"  # what messages call it


@dataclass(frozen=True, eq=False)
class Opened:
    """The resolved experiment, its data set, and the folder that its relative paths are read from."""

    experiment: Experiment
    dataset: Dataset
    folder: Path
    text: str | None = None  # of a frame, as the CSV file that it was read as

    def kept_in(self, folder: RunFolder | Unkept, variant: Experiment | None = None) -> Experiment:
        """The experiment, or a variant of it, as its run keeps it: with a frame beside it, to be run again."""
        if self.text is None or isinstance(folder, Unkept):
            return variant or self.experiment
        folder.write_text(FRAME, self.text)
        data = self.experiment.data.model_copy(update={"source": str(folder.file(FRAME).resolve())})
        return (variant or self.experiment).model_copy(update={"data": data})


def opened(request: Request, watch: Watcher) -> Opened:
    """Load the experiment and read its data. ConfigError or DataError for what is wrong with them."""
    with opening(request, watch) as found:
        return found


@contextmanager
def opening(request: Request, watch: Watcher) -> Iterator[Opened]:
    """The same for the block alone, in which the data can be read again, as variants of the experiment may have to."""
    if request.frame is None:
        yield _read(request, watch)
        return
    text = csv_of(request.frame)
    with TemporaryDirectory(prefix="dlrun-") as folder:  # read as the command would read the file
        path = Path(folder) / "frame.csv"
        path.write_text(text, encoding="utf-8")
        try:
            found = _read(replace(request, data=str(path), frame=None), watch)
        except DlrunError as error:
            raise type(error)(str(error).replace(str(path), NAME)) from None
        yield replace(found, dataset=replace(found.dataset, name=NAME), text=text)


def csv_of(frame: pd.DataFrame) -> str:
    """The frame as the text of a CSV file, numbers with all their digits; its index is left out."""
    return str(frame.to_csv(index=False))


def _read(request: Request, watch: Watcher) -> Opened:
    from dlrun.data.dataset import load_dataset

    loaded = request.load()
    chosen = loaded.experiment
    dataset = load_dataset(chosen.data, task=chosen.task, folder=loaded.folder, seed=chosen.seed)
    remark_on_columns(watch, request.data, chosen.data, dataset)
    return Opened(chosen, dataset, loaded.folder)
