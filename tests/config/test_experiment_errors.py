"""Messages: what is wrong, where, the value, what would be right."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlrun.config import load_experiment, to_toml, validate
from dlrun.config.document import set_value
from dlrun.config.keys import all_keys
from dlrun.errors import ConfigError


def message(text: str, folder: Path, *overrides: str) -> str:
    file = folder / "my.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_experiment(file, overrides=overrides)
    return str(caught.value).replace(str(file), "my.toml")


IRIS = '[data]\nsource = "iris"\n'


def test_one_problem_is_one_line(tmp_path: Path) -> None:
    assert (
        message(IRIS + "[optimizer]\nbeta1 = 1.5\n", tmp_path)
        == "my.toml: optimizer.beta1 = 1.5: should be a number ≥ 0 and < 1"
    )


def test_all_problems_are_listed(tmp_path: Path) -> None:
    lines = message(IRIS + '[optimizer]\nbeta1 = 1.5\nname = "adm"\n[training]\nepochs = 1.5\n', tmp_path).splitlines()
    assert lines[0] == "my.toml: 3 problems"
    assert sorted(line.split(":")[0].strip() for line in lines[1:]) == [
        "optimizer.beta1 = 1.5",
        'optimizer.name = "adm"',
        "training.epochs = 1.5",
    ]


@pytest.mark.parametrize(
    ("text", "nearest"),
    [
        ("[optimizer]\nlearning-rate = 0.1\n", "optimizer.learning_rate"),
        ("[optimizer]\nlr_decay = 0.1\n", "optimizer.decay"),
        ("[model]\nhiden = [3]\n", "model.hidden"),
        ("[training]\nlearning_rate = 0.1\n", "optimizer.learning_rate"),
        ("[training]\nearly_stoping = {}\n", "training.early_stopping"),
        ("[optimiser]\nname = 'adam'\n", "optimizer"),
        ("[data.split]\ntrian = 0.5\n", "data.split.train"),
    ],
)
def test_unknown_key_names_the_nearest(text: str, nearest: str, tmp_path: Path) -> None:
    assert message(IRIS + text, tmp_path).endswith(f"unknown key; the nearest known one is {nearest}")


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("optimizer.lr = 1", "optimizer.learning_rate"),
        ("training.lr = 1", "optimizer.learning_rate"),
        ("regularization.dropout = 1", "model.keep_prob"),
        ("optimizer.momentum = 1", "optimizer.beta1"),
        ("epochs = 5", "training.epochs"),
        ("model.units = [5]", "model.hidden"),
    ],
)
def test_a_key_by_another_name(text: str, meant: str, tmp_path: Path) -> None:
    assert message(f"{text}\n{IRIS}", tmp_path).endswith(f"the nearest known one is {meant}")


def test_a_value_by_another_name(tmp_path: Path) -> None:
    assert message(f"optimizer.name = 'sgd'\n{IRIS}", tmp_path).endswith('"adamw"; "sgd" is "gradient_descent" here')
    assert message(f"data.normalize = 'z-score'\n{IRIS}".replace("[data]\n", "data."), tmp_path).endswith(
        '"z-score" is "standard" here'
    )
    assert message(f"optimizer.name = 'adm'\n{IRIS}", tmp_path).endswith('"adamw"')


def test_a_key_that_resembles_none_is_told_those_of_its_table(tmp_path: Path) -> None:
    found = message(f"regularization.zzz = 1\n{IRIS}", tmp_path)
    assert found.endswith("unknown key; [regularization] has l2, l1")
    assert "an experiment has name, seed, task, data, model, optimizer" in message(f"zzz = 1\n{IRIS}", tmp_path)


def test_unknown_keys_of_a_space_are_told_beside_all_else(tmp_path: Path) -> None:
    space = '[tune.space]\n"model.kep_prob" = {uniform = [0.5, 1]}\n"optimizer.learningrate" = {uniform = [0.5, 1]}\n'
    found = message(f"{IRIS}[optimizer]\nbeta1 = 1.5\n{space}", tmp_path)
    assert "3 problems" in found
    for words in ("optimizer.beta1 = 1.5", "is model.keep_prob", "is optimizer.learning_rate"):
        assert words in found


def test_unknown_keys_of_a_space_are_told_beside_wrong_ranges(tmp_path: Path) -> None:
    space = "model.kep_prob = {uniform = [0.5, 1]}\noptimizer.beta1 = {unifrm = [0, 1]}\nzz = {choice = [1]}\n"
    lines = message(f"{IRIS}[tune.space]\n{space}", tmp_path).splitlines()
    assert lines[0] == "my.toml: 3 problems"
    assert any('"model.kep_prob"' in line and line.endswith("is model.keep_prob") for line in lines)
    assert sum('"unifrm"' in line for line in lines) == 1
    assert sum("zz" in line for line in lines) == 1


def test_keys_of_a_space_may_lack_their_quotes(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text(
        IRIS + "[tune.space]\nmodel.keep_prob = {uniform = [0.5, 1]}\noptimizer.decay.name = {choice = ['constant']}\n"
    )
    space = load_experiment(tmp_path / "a.toml").experiment.tune.space
    assert set(space) == {"model.keep_prob", "optimizer.decay.name"}
    assert message(IRIS + "[tune.space]\nmodel.keep_prob = {unifrm = [0, 1]}\n", tmp_path).count("uniform") >= 1


def test_missing_source(tmp_path: Path) -> None:
    assert message("seed = 1\n", tmp_path).startswith("my.toml: data.source: missing; should be")
    assert message("[data]\n", tmp_path).startswith("my.toml: data.source: missing; should be")


def test_value_in_place_of_a_table(tmp_path: Path) -> None:
    assert message("model = 5\n" + IRIS, tmp_path) == "my.toml: model = 5: should be a table"


def test_long_values_are_cut(tmp_path: Path) -> None:
    text = message(IRIS + f"[model]\nhidden = {[0] * 500}\n", tmp_path)
    assert "…" in text
    assert len(text) < 300


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("seed == 1\n", "line 1, column 7"),
        ("seed = 1\nx = [\n", "line 3, column 1"),
        ("a = 1\na = 2\n", "line 2, column 6"),
    ],
)
def test_syntax_errors_name_line_and_column(text: str, place: str, tmp_path: Path) -> None:
    assert message(text, tmp_path).startswith(f"my.toml: {place}: not valid TOML: ")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('name = "a\nseed = 1\n', "line 1, column 10: not valid TOML: a text without its closing quote"),
        ("name = 'a\nseed = 1\n", "line 1, column 10: not valid TOML: a text without its closing quote"),
        ("name = 'a", "line 1, column 10: not valid TOML: a text without its closing quote"),
        ('name = """a\n', "line 2, column 1: not valid TOML: a text without its closing quote"),
        ("name = a\n", "line 1, column 8: not valid TOML: no value; should be a text in quotes, a number"),
        ("seed = 1\nseed = 2\n", "line 2, column 9: not valid TOML: the key seed is given twice"),
        (
            '[data]\nsource="iris"\nsource="xor"',
            "line 3, column 13: not valid TOML: the key data.source is given twice",
        ),
        ("[model]\nhidden = [1]\nhidden = [\n1,\n]\n", "line 5, column 2: not valid TOML: the key model.hidden is"),
        (
            "x = 1\nx.'y.z' = 2\n",
            'column 12: not valid TOML: x has a value already, so that x."y.z" cannot lie below it',
        ),
        ("seed = 1\n[seed]\n", "line 2, column 6: not valid TOML: the key seed is given twice"),
        ('a = """\n[\u00e9]\n"""\nx = 1\nx = 2\n', "line 5, column 6: not valid TOML: cannot overwrite a value"),
        ("[[a]]\nx = 1\nx = 2\n", "line 3, column 6: not valid TOML: cannot overwrite a value"),
        ("[data]\n[data]\n", "line 2, column 6: not valid TOML: the table [data] is given twice"),
        ("data = {}\n[data]\n", "not valid TOML: the table [data] is given twice"),
        ("data = {}\ndata.x = 1\n", "not valid TOML: the table data was given in braces or as a list"),
        ("data = {a = 1, a = 2}\n", "not valid TOML: the key a is given twice in one table"),
        ("[model\nhidden = [1]\n", "line 1, column 7: not valid TOML: expected ']' at the end of a table declaration"),
    ],
)
def test_syntax_errors_in_plain_words(text: str, said: str, tmp_path: Path) -> None:
    assert said in message(text, tmp_path)


@pytest.mark.parametrize("depth", [5000, 300])
def test_lists_too_deep(depth: int, tmp_path: Path) -> None:
    text = message(IRIS + "[model]\nhidden = " + "[" * depth + "]" * depth, tmp_path)
    assert "too deep" in text or "model.hidden" in text


values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.dates()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
    max_leaves=8,
)


@settings(max_examples=300, deadline=None)
@given(path=st.sampled_from([*all_keys(), ("tune", "space", "optimizer.beta1"), ("nonsense",)]), value=values)
def test_any_value_anywhere_is_taken_or_told(path: tuple[str, ...], value: Any) -> None:
    document: dict[str, Any] = {"data": {"source": "iris"}}
    set_value(document, path, value)
    told, experiment = "", None
    try:
        experiment = validate(document, where="my.toml")
    except ConfigError as error:
        told = str(error)
    if experiment is None:
        assert told.startswith("my.toml: ")
    else:
        assert validate(tomllib.loads(to_toml(experiment)), where="again") == experiment


def test_file_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        load_experiment(tmp_path / "none.toml")
    with pytest.raises(ConfigError, match="is a folder"):
        load_experiment(tmp_path)
    (tmp_path / "config.toml").write_text(IRIS)
    with pytest.raises(ConfigError, match=r"such as .*config\.toml"):
        load_experiment(tmp_path)


def test_empty_file(tmp_path: Path) -> None:
    assert "is empty" in message(" \n", tmp_path)


def test_not_utf8(tmp_path: Path) -> None:
    file = tmp_path / "latin.toml"
    file.write_bytes(b'seed = 1\nname = "na\xefve"\n')
    with pytest.raises(ConfigError, match="line 2: byte 0xef is not UTF-8"):
        load_experiment(file)


def test_byte_order_mark_and_windows_lines(tmp_path: Path) -> None:
    file = tmp_path / "bom.toml"
    file.write_bytes(b'\xef\xbb\xbf[data]\r\nsource = "iris"\r\n')
    assert load_experiment(file).experiment.data.source == "iris"
