"""Folders of images: what is read, and what is refused by name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import dlrun
from dlrun.config.data_section import ImageConfig
from dlrun.data import load_table
from dlrun.data.image_folder import read_image_folder
from dlrun.errors import DataError


def painted(path: Path, colour: tuple[int, ...] | int, *, mode: str = "RGB", size: tuple[int, int] = (4, 3)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, colour).save(path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two classes of two pictures, 4 wide and 3 high."""
    for label, colour in (("blue", (0, 0, 255)), ("red", (255, 0, 0))):
        for k in range(2):
            painted(tmp_path / "set" / label / f"{k}.png", colour)
    return tmp_path / "set"


def test_pixels_and_classes(folder: Path) -> None:
    table = load_table(f"{folder}/", folder=Path("/"))
    assert table.shape == (3, 4, 3)
    assert list(table.columns["class"]) == ["blue", "blue", "red", "red"]
    pixels = np.stack([table.columns[f"p{j + 1}"] for j in range(36)], axis=1).reshape(4, 3, 4, 3)
    assert (pixels[0] == [0, 0, 255]).all()
    assert (pixels[3] == [255, 0, 0]).all()


def test_every_mode_becomes_the_channels_asked_for(folder: Path) -> None:
    painted(folder / "red" / "grey.png", 51, mode="L")
    painted(folder / "red" / "deep.png", 51 * 257, mode="I;16")
    painted(folder / "red" / "palette.png", 0, mode="P")
    painted(folder / "red" / "clear.png", (9, 9, 9, 0), mode="RGBA")
    painted(folder / "red" / "print.jpg", (0, 0, 0, 0), mode="CMYK")
    table = read_image_folder(folder, name="set", image=ImageConfig(channels=1))
    first = dict(zip(["blue0", "blue1", "0", "1", "clear", "deep", "grey", "palette", "print"],
                     table.columns["p1"], strict=True))  # fmt: skip
    assert first["grey"] == first["deep"] == 51
    assert first["clear"] == 255  # what is transparent stands on white
    assert first["print"] > 250
    assert first["0"] == 76  # 0.299·255, the luma of pure red


def test_sizes(folder: Path) -> None:
    painted(folder / "red" / "large.png", (255, 0, 0), size=(40, 30))
    with pytest.raises(DataError, match=r"large.png: 30 × 40 pixels where the first picture has 3 × 4"):
        read_image_folder(folder, name="set")
    table = read_image_folder(folder, name="set", image=ImageConfig(size=(6, 8)))
    assert table.shape == (6, 8, 3)


def test_a_camera_turned(folder: Path) -> None:
    upright = Image.new("RGB", (4, 3))
    marks = Image.Exif()
    marks[0x0112] = 6  # to be turned by a quarter
    upright.save(folder / "red" / "turned.jpg", exif=marks)
    with pytest.raises(DataError, match=r"turned.jpg: 4 × 3 pixels"):
        read_image_folder(folder, name="set")


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda f: (f / "red" / "notes.txt").write_text("x"), r"red/notes.txt is no .png, .jpg, .jpeg file"),
        (lambda f: (f / "red" / "empty.png").write_bytes(b""), r"empty.png: cannot be read"),
        (lambda f: (f / "red" / "text.png").write_text("no picture"), r"text.png: cannot be read"),
        (lambda f: (f / "red" / "gone.png").symlink_to(f / "nowhere.png"), r"gone.png: cannot be read"),
        (lambda f: (f / "green").mkdir(), r"the folder green is empty"),
        (lambda f: painted(f / "loose.png", (0, 0, 0)), r"holds pictures beside folders \(loose.png\)"),
        (lambda f: Image.new("L", (9000, 9000)).save(f / "red" / "bomb.png"), r"bomb.png: 9000 × 9000 pixels"),
        (lambda f: (f / "red" / "1.png").write_bytes((f / "red" / "1.png").read_bytes()[:50]), r"1.png: cannot be"),
    ],
)
def test_what_is_no_picture_is_refused_by_its_name(spoil: object, said: str, folder: Path) -> None:
    spoil(folder)  # type: ignore[operator]
    with pytest.raises(DataError, match=said):
        read_image_folder(folder, name="set")


def test_a_link_to_a_picture_is_one(folder: Path) -> None:
    (folder / "red" / "again.png").symlink_to(folder / "blue" / "0.png")
    assert len(read_image_folder(folder, name="set")) == 5


def test_a_network_learns_from_a_folder_and_answers_for_another(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    for label, base in (("dark", 60), ("light", 190)):
        for k in range(12):
            noise = draw.integers(-50, 50, (6, 6, 3)) + base
            (tmp_path / "set" / label).mkdir(parents=True, exist_ok=True)
            Image.fromarray(noise.astype(np.uint8)).save(tmp_path / "set" / label / f"{k}.png")
    (tmp_path / "new").mkdir()
    Image.new("RGB", (6, 6), (200, 200, 200)).save(tmp_path / "new" / "a.png")
    layers = [{"kind": "conv2d", "filters": 4}, {"kind": "global_average_pool"}]
    chosen = {"model.layers": layers, "training.epochs": 30, "training.batch_size": 8, "optimizer.learning_rate": 0.02}
    result = dlrun.train(data=tmp_path / "set", target="class", set=chosen, device="cpu")
    assert result.figures["test"]["error"] == 0
    assert list(result.model.predict(tmp_path / "new")) == ["light"]
