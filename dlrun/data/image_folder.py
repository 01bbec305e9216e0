"""A folder with a folder a class, as a table of pixels: PNG and JPEG, read by Pillow.

Pictures are turned upright as their camera says, brought to one size and to one or three channels (a palette, CMYK and
transparency included), and are numbers from 0 to 255. Nothing but the pixels of PNG and JPEG files is read.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from dlrun.data.table import Table
from dlrun.data.values import memory_bytes, shorten, show_bytes
from dlrun.errors import DataError

if TYPE_CHECKING:
    from dlrun.config.data_section import ImageConfig

ENDINGS = (".png", ".jpg", ".jpeg")
MOST_PIXELS = 50_000_000  # of one picture: beyond, a small file may fill the memory
TARGET = "class"


def read_image_folder(path: Path, *, name: str, image: ImageConfig | None = None) -> Table:
    """Columns are pixels, (height, width, channels) with the last running fastest, and `class`, the folder's name.

    A folder of pictures alone, without folders of classes, is a table without `class`: one to predict.
    """
    files = list(_files(path, name))
    if not files:
        raise DataError(f"{name} holds no {', '.join(ENDINGS)} file; a folder of images has a folder a class.")
    channels = (image.channels if image is not None else None) or 3
    size = image.size if image is not None else None
    first = _pixels(files[0][0], channels, size, None)
    needed = len(files) * first.size * 16
    if needed > memory_bytes():
        raise DataError(
            f"{name}: {len(files)} pictures of {first.shape[0]} × {first.shape[1]} × {channels} take "
            f"{show_bytes(needed)}, more than this machine's memory; give a smaller data.image.size."
        )
    rows = np.empty((len(files), first.size))
    for place, (file, _) in enumerate(files):
        rows[place] = _pixels(file, channels, size, first.shape).ravel()
    columns: dict[str, npt.NDArray[Any]] = {f"p{j + 1}": rows[:, j] for j in range(first.size)}
    classes = [label for _, label in files]
    target = None
    if any(label is not None for label in classes):
        columns[TARGET], target = np.array(classes, dtype=object), TARGET
    return Table(name, columns, np.arange(1, len(files) + 1), "picture", target, shape=first.shape)


def _files(path: Path, name: str) -> Iterator[tuple[Path, str | None]]:
    """Each picture with its class, in the order of their names; hidden files and folders are left out."""
    inside = sorted(each for each in path.iterdir() if not each.name.startswith("."))
    folders = [each for each in inside if each.is_dir()]
    own = [each for each in inside if not each.is_dir()]
    if folders and any(each.suffix.lower() in ENDINGS for each in own):
        raise DataError(
            f"{name} holds pictures beside folders ({own[0].name}); each picture must be in the folder of its class."
        )
    if not folders:
        yield from ((each, None) for each in own if each.suffix.lower() in ENDINGS)
        return
    for folder in folders:
        pictures = [each for each in sorted(folder.iterdir()) if not each.name.startswith(".")]
        others = [each for each in pictures if each.suffix.lower() not in ENDINGS]
        if others:
            raise DataError(
                f"{name}: {folder.name}/{others[0].name} is no {', '.join(ENDINGS)} file; take it out, "
                "or save it as one."
            )
        if not pictures:
            raise DataError(f"{name}: the folder {shorten([folder.name])} is empty; a class needs pictures.")
        yield from ((each, folder.name) for each in pictures)


def _pixels(
    file: Path, channels: int, size: tuple[int, int] | None, expected: tuple[int, ...] | None
) -> npt.NDArray[np.float64]:
    """(height, width, channels) of one picture. DataError names the file."""
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with Image.open(file, formats=("PNG", "JPEG")) as opened:
            width, height = opened.size
            if width * height > MOST_PIXELS:
                raise DataError(f"{file}: {width} × {height} pixels, more than {MOST_PIXELS}; make it smaller.")
            picture = ImageOps.exif_transpose(opened)
            picture = _converted(picture, channels)
            if size is not None and picture.size != (size[1], size[0]):
                picture = picture.resize((size[1], size[0]), Image.Resampling.BILINEAR)
            found = np.asarray(picture, np.float64).reshape(picture.size[1], picture.size[0], channels)
    except (UnidentifiedImageError, Image.DecompressionBombError) as error:
        reason = "more pixels than a picture has" if isinstance(error, Image.DecompressionBombError) else "not one"
        raise DataError(f"{file}: cannot be read as a PNG or JPEG picture ({reason}); take it out.") from None
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise DataError(f"{file}: cannot be read as a picture ({error}); save it again, or take it out.") from None
    if expected is not None and found.shape != expected:
        raise DataError(
            f"{file}: {found.shape[0]} × {found.shape[1]} pixels where the first picture has {expected[0]} × "
            f"{expected[1]}; give data.image.size = [{expected[0]}, {expected[1]}], to which all are brought."
        )
    return found


def _converted(picture: Any, channels: int) -> Any:
    """In grey or in red, green and blue; what is transparent stands on white, and 16 bits become 8."""
    from PIL import Image

    if picture.mode.startswith("I"):
        values = np.asarray(picture, np.float64)
        picture = Image.fromarray((values / 257).round().clip(0, 255).astype(np.uint8))
    if "A" in picture.mode or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        ground = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(ground, picture)
    return picture.convert("L" if channels == 1 else "RGB")
