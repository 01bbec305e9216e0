"""Notes about the columns of a table that was given by --data, of which all are used."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dlrun.clustering.points import Points
    from dlrun.config.schema import DataConfig
    from dlrun.data.dataset import Dataset
    from dlrun.workflows.watcher import Watcher


def remark_on_columns(watcher: Watcher, data: str | None, config: DataConfig, read: Dataset | Points) -> None:
    """Name what looks like an identifier or a date, unless the columns were chosen, or the table is packaged."""
    from dlrun.config.document import is_path
    from dlrun.data.suspects import column_notes

    for note in read.notes:
        watcher.note(f"note: {note}")
    if data is None or config.features is not None or not is_path(config.source):
        return
    for note in column_notes(read.name, read.encoding, read.features, read.rows):
        watcher.note(f"note: {note}")
