"""What the README says can be done with dlrun, done from Python as in a notebook: nothing is printed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import dlrun

QUICK = {"training.epochs": 5}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_readme_s_ten_things(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    draw = np.random.default_rng(1)
    frame = pd.DataFrame({"size": draw.uniform(30, 200, 120), "district": draw.choice(["a", "b"], 120)})
    frame["price"] = 3000 * frame["size"] + 40_000 * (frame["district"] == "a") + draw.normal(0, 5000, 120)

    # 1. train on a table of one's own, predict for new rows, evaluate on later ones
    trained = dlrun.train(data=frame, target="price", out="mine")
    answers = trained.model.predict(frame.drop(columns="price").head(3))
    assert np.abs(answers / frame["price"].head(3) - 1).max() < 0.5
    later = dlrun.evaluate("mine", data=frame.tail(20))
    # 2. a sound number
    folds = dlrun.crossval(data=frame, target="price", folds=5, set=QUICK)
    boot = dlrun.bootstrap(data=frame, target="price", samples=10, set=QUICK)
    held = dlrun.holdout(data=frame, target="price", repeats=3, set=QUICK)
    assert set(boot.estimates) == {"apparent", "oob", "632", "632plus"}
    assert held.error.mean > 0
    # 3. choose between two
    one = dlrun.crossval("iris", folds=5, set=QUICK, out="a")
    other = dlrun.crossval("iris", folds=5, set={**QUICK, "model.hidden": []}, out="b")
    compared = dlrun.compare("a", "b")
    assert len(one.predictions) == len(other.predictions) == 150
    # 4. tune
    tuned = dlrun.tune("iris", trials=3, set=QUICK)
    assert tuned.best is not None
    # 5. check the gradient
    checked = dlrun.gradcheck("iris")
    assert checked.verdict == "great"
    # 6. ask what is wrong
    asked = dlrun.diagnose("mine")
    # 7. see it: every result shows itself
    for result in (trained, later, folds, boot, held, compared, tuned, checked, asked):
        assert "<table" in result._repr_html_(), result
        assert str(result)
    # 8. a figure of the course texts: (50, 20) → 177.54
    fat = dlrun.train("blood_fat").model
    rows = pd.DataFrame({"weight": [50, 90], "age": [20, 70]})
    np.testing.assert_allclose(fat.predict(rows), [177.54, 508.70], atol=0.01)
    # 9. minimize any function
    assert dlrun.minimize("w**2 - 10*w + 25").values["w"] == pytest.approx(4.99999, abs=1e-5)
    # 10. run it again
    again = dlrun.train("mine/config.toml")
    np.testing.assert_array_equal(again.model.predict(frame), trained.model.predict(frame))

    assert capfd.readouterr() == ("", "")
