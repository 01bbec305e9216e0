"""The kinds of picture that the gallery brought: steps, descents, and several runs side by side."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dlrun.cli.app import run
from dlrun.reporting.plots.kinds import KINDS, Options
from dlrun.reporting.plots.source import open_source


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Two descents of two parameters, and two classifiers of two features."""
    folder = tmp_path_factory.mktemp("pictures")
    wanted = {
        "batch": ["batch_sizes", "--steps", "--set", "training.epochs=12"],
        "mini": ["batch_sizes", "--steps", "--set", "training.epochs=2", "--set", "training.batch_size=32"],
        "straight": ["softmax", "--set", "model.hidden=[]", "--set", "training.epochs=3"],
        "curved": ["softmax", "--set", "training.epochs=3"],
    }
    for name, arguments in wanted.items():
        assert run(["train", *arguments, "--out", str(folder / name), "--quiet"]) == 0
    return {name: folder / name for name in wanted}


def figure_of(kind: str, *paths: Path):
    from dlrun.reporting.plots.picture import drawn

    sources = [open_source(path, path.name) for path in paths]
    with drawn(kind, sources, Options()) as figure:
        return figure


def test_a_panel_for_each_run_with_all_its_steps(runs: dict[str, Path]) -> None:
    figure = figure_of("steps", runs["batch"], runs["mini"])
    assert [len(axes.lines[0].get_xdata()) for axes in figure.axes] == [12, 20]
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["batch", "mini"]


def test_the_ways_start_at_zero_and_lie_over_the_true_cost(runs: dict[str, Path]) -> None:
    """The contours against mean ln(1 + e^z) − y·z with z = w·x + b, x standardized."""
    from dlrun.data.generators import generate
    from dlrun.reporting.plots.descent import _costs

    figure = figure_of("descent", runs["batch"], runs["mini"])
    for axes in figure.axes:
        assert axes.lines[0].get_xdata()[0] == axes.lines[0].get_ydata()[0] == 0
    x, y = np.array([-2.0, 0.0, 1.0]), np.array([-0.5, 0.5])
    found = _costs(open_source(runs["batch"], None), x, y)
    table = generate("gaussians_1d", rows=320, noise=4.0, seed=0)
    feature, target = np.asarray(table.columns["x"], float), np.asarray(table.columns["class"], float)
    feature = (feature - feature.mean()) / feature.std()
    for i, b in enumerate(y):
        for j, w in enumerate(x):
            z = w * feature + b
            assert found[i, j] == pytest.approx(np.mean(np.logaddexp(0, z) - target * z), rel=1e-5)


def test_only_two_parameters_make_a_descent(runs: dict[str, Path]) -> None:
    assert KINDS["descent"].fits(open_source(runs["batch"], None))
    assert not KINDS["descent"].fits(open_source(runs["curved"], None))


def test_regions_side_by_side_have_one_legend(runs: dict[str, Path]) -> None:
    figure = figure_of("regions", runs["straight"], runs["curved"])
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["straight", "curved"]
    assert [axes.get_legend() is not None for axes in figure.axes] == [False, True]


def test_layers_of_several_networks(runs: dict[str, Path], tmp_path: Path) -> None:
    folders = []
    for name in ("straight", "curved"):
        folders.append(tmp_path / name)
        assert run(["diagnose", str(runs[name]), "--out", str(folders[-1]), "--quiet"]) == 0
    figure = figure_of("layers", *folders)
    names = [text.get_text() for text in figure.axes[-1].get_legend().get_texts()]
    assert names == ["straight", "curved"]
    assert [len(each.get_xdata()) for each in figure.axes[0].lines] == [1, 3]


def test_a_resumed_run_has_each_step_once(tmp_path: Path) -> None:
    """What a run that was killed after its checkpoint wrote about later steps is written anew."""
    from dlrun.records import EpochRecord, StepRecords
    from dlrun.runs.folder import claim_run_folder
    from dlrun.runs.steps import StepsFile

    def record(epoch: int) -> EpochRecord:
        steps = StepRecords(np.arange(2) + 2 * epoch - 1, np.full(2, 0.1), np.array([1.0, 0.5]))
        return EpochRecord(0, epoch, 2 * epoch, 0.1, 0.75, {}, steps)

    with claim_run_folder(out=tmp_path / "run", name="x", command="train") as folder:
        mark = None
        with StepsFile(folder) as file:
            for epoch in (1, 2, 3):
                file.epoch(record(epoch))
                mark = file.mark if epoch == 2 else mark
        whole = folder.file("steps.csv").read_bytes()
        with StepsFile(folder, done=2, keep=mark) as file:
            assert folder.file("steps.csv").read_bytes().count(b"\n") == 5
            file.epoch(record(3))
        assert folder.file("steps.csv").read_bytes() == whole
