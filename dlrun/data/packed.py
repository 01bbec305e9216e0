"""Tables in compressed files: .gz, .bz2, and .zip with one table in it, unfolded within bounds."""

from __future__ import annotations

import bz2
import gzip
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import IO

from dlrun.data.values import refuse_size
from dlrun.errors import DataError

PACKED = (".gz", ".bz2", ".zip")
INNER = (".csv", ".tsv")
_BLOCK = 1 << 20


def inner_name(path: Path) -> str:
    """The name of the table in a .gz or .bz2."""
    return path.name.removesuffix(path.suffix)


@contextmanager
def unpacked(path: Path, *, name: str) -> Iterator[Path]:
    """The table as a file of its own, for the block. DataError for what holds no table, is damaged or a bomb."""
    with TemporaryDirectory(prefix="dlrun-") as folder:
        try:
            if path.suffix.lower() == ".zip":
                with zipfile.ZipFile(path) as archive:
                    member = _member(archive, name)
                    target = Path(folder) / f"table{PurePosixPath(member.filename).suffix.lower()}"
                    with archive.open(member) as packed:
                        _copy(packed, target, name, path.stat().st_size)
            else:
                target = Path(folder) / f"table{Path(inner_name(path)).suffix.lower()}"
                if target.suffix not in INNER:
                    raise DataError(f"{name}: should hold a table, as t.csv{path.suffix} or t.tsv{path.suffix} does")
                with (gzip if path.suffix.lower() == ".gz" else bz2).open(path, "rb") as packed:
                    _copy(packed, target, name, path.stat().st_size)
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise
            raise DataError(f"{name}: the archive is damaged, or of a kind that is not read ({error})") from None
        yield target


def _member(archive: zipfile.ZipFile, name: str) -> zipfile.ZipInfo:
    files = [each for each in archive.infolist() if not each.is_dir() and not each.filename.startswith("__MACOSX/")]
    tables = [each for each in files if PurePosixPath(each.filename).suffix.lower() in INNER]
    if len(tables) != 1:
        held = ", ".join(each.filename for each in files[:5]) or "nothing"
        raise DataError(f"{name}: should hold one table, .csv or .tsv; it holds {len(tables)} of them ({held})")
    return tables[0]


def _copy(packed: IO[bytes], target: Path, name: str, stored: int) -> None:
    written = 0
    with target.open("wb") as file:
        while block := packed.read(_BLOCK):
            written += len(block)
            refuse_size(name, declared=written, stored=stored, remedy="unpack it yourself to read it even so")
            file.write(block)
