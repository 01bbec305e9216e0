"""From `data.source` to a table: a packaged set, a generator, or a file."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from dlrun.config.document import is_path
from dlrun.data.generators import GENERATORS, generate
from dlrun.data.packaged_sets import PACKAGED
from dlrun.data.packed import PACKED, unpacked
from dlrun.data.table import Table
from dlrun.data.values import suggestion
from dlrun.errors import ConfigError, DataError

if TYPE_CHECKING:
    from dlrun.config.data_section import ImageConfig
    from dlrun.data.stored_tables import StoredTable

STORED_SUFFIXES = (".npy", ".parquet")
SUFFIXES = (".csv", ".tsv", ".parquet", ".npz", ".npy", *PACKED)


def load_table(
    source: str,
    *,
    folder: Path,
    rows: int | None = None,
    noise: float | None = None,
    seed: int = 0,
    as_text: Collection[str] = (),
    delimiter: str = "auto",
    decimal: str = "auto",
    image: ImageConfig | None = None,
) -> Table:
    """The table that `source` names; a path is relative to `folder`.

    `rows`, `noise` and `seed` go to a generator; the first two with any other source are a
    ConfigError. `delimiter` and `decimal` are those of a text file, "auto" to find them out. Columns in
    `as_text` of a CSV file are texts even where all values are numbers.
    """
    if source in GENERATORS:
        return generate(source, rows=rows, noise=noise, seed=seed)
    for key, value in (("rows", rows), ("noise", noise)):
        if value is not None:
            raise ConfigError(
                f"data.{key} = {value} goes with a generator ({', '.join(GENERATORS)}) and not with "
                f"data.source = {source!r}; leave it out."
            )
    if source in PACKAGED:
        from dlrun.data.csv_file import read_csv
        from dlrun.packaged import packaged_dir

        table = read_csv(packaged_dir("datasets") / f"{source}.csv", name=source, as_text=as_text)
        return Table(source, table.columns, table.numbers, table.numbered, PACKAGED[source].target)
    if is_image_folder(source, folder):
        from dlrun.data.image_folder import read_image_folder

        with _readable(source):
            return read_image_folder(folder / Path(source).expanduser(), name=source, image=image)
    return _load_file(source, folder, as_text, delimiter, decimal)


def is_image_folder(source: str, folder: Path) -> bool:
    """Whether the source is a folder, which can only be one of images."""
    with _readable(source):
        path = folder / Path(source).expanduser()
        return is_path(source) and not source.lower().endswith(SUFFIXES) and path.is_dir()


def open_stored(source: str, *, folder: Path) -> StoredTable | None:
    """The table of a file that can be read piece by piece; None for any other source."""
    if source in GENERATORS or source in PACKAGED or not source.lower().endswith(STORED_SUFFIXES):
        return None
    from dlrun.data.stored_tables import stored_table

    with _readable(source):
        return stored_table(source, _path_of(source, folder))


def _load_file(source: str, folder: Path, as_text: Collection[str], delimiter: str, decimal: str) -> Table:
    with _readable(source):
        path = _path_of(source, folder)
        suffix = path.suffix.lower()
        if suffix in PACKED:
            with unpacked(path, name=source) as inner:
                return _read_text(inner, source, as_text, delimiter, decimal)
        if suffix in (".csv", ".tsv"):
            return _read_text(path, source, as_text, delimiter, decimal)
        return _read(path, source, suffix)


def _read_text(path: Path, source: str, as_text: Collection[str], delimiter: str, decimal: str) -> Table:
    from dlrun.data.csv_file import read_csv

    if delimiter == "auto" and path.suffix.lower() == ".tsv":
        delimiter = "\t"
    return read_csv(path, name=source, as_text=as_text, delimiter=delimiter, decimal=decimal)


def _path_of(source: str, folder: Path) -> Path:
    """The file that is meant, if there is one of a known kind."""
    path = folder / Path(source).expanduser()
    if path.suffix.lower() not in SUFFIXES:
        raise DataError(_unknown(source, path))
    if not path.exists():
        raise DataError(f"there is no file {source}{'' if Path(source).is_absolute() else f' in {folder}'}.")
    if not path.is_file():
        raise DataError(f"{source} is not a regular file.")
    return path


@contextmanager
def _readable(source: str) -> Iterator[None]:
    """What the system says against a file becomes a DataError."""
    try:
        yield
    except (OSError, RuntimeError) as error:  # RuntimeError: no such home folder
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"data.source = {source!r} cannot be read: {reason}.") from None


def _unknown(source: str, path: Path) -> str:
    """The message about a source that is neither a name nor a path with a known ending."""
    if path.is_dir():
        return f"{source} is a folder; data.source must be a {', '.join(SUFFIXES)} file."
    if path.is_file():
        kind = f"files that end in {path.suffix}" if path.suffix else "files without an ending"
        return f"{source}: {kind} are not read; save it as one of {', '.join(SUFFIXES)}."
    found = next((f"{source}{end}" for end in SUFFIXES if Path(f"{path}{end}").is_file()), None)
    hint = (
        f"; did you mean {found!r}?"
        if found
        else suggestion(source, [*PACKAGED, *GENERATORS], what="Sets and generators")
    )
    return (
        f"data.source = {source!r} is no packaged set, no generator, and no path that ends in "
        f"{', '.join(SUFFIXES)}{hint}"
    )


def _read(path: Path, source: str, suffix: str) -> Table:
    if suffix == ".npz":
        from dlrun.data.npz_file import read_npz

        return read_npz(path, name=source)
    if suffix == ".npy":
        from dlrun.data.npy_file import read_npy

        return read_npy(path, name=source)
    from dlrun.data.parquet_file import read_parquet

    return read_parquet(path, name=source)
