"""`to_toml` loses nothing: read again, the experiment is equal."""

from __future__ import annotations

import tomllib
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from dlrun.config import DataConfig, Experiment, load_experiment, to_toml, validate

floats = st.floats(min_value=5e-324, max_value=1.7e308, allow_nan=False, allow_infinity=False)
counts = st.integers(1, 10**9)
betas = st.floats(0, 1, exclude_max=True)
kept = st.floats(0, 1, exclude_min=True)
texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1)
seeds = st.integers(0, 2**63 - 1)


def table(**keys: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """A table with any of the keys."""
    return st.fixed_dictionaries({}, optional=keys)


splits = st.sampled_from(
    [{}, {"train": 1.0}, {"train": 0.7, "test": 0.3}, {"train": 0.1, "dev": 0.2, "test": 0.7}]
).flatmap(lambda shares: table(stratify=st.booleans()).map(lambda rest: shares | rest))

data = st.builds(
    lambda required, optional: required | optional,
    st.fixed_dictionaries({"source": texts}),
    table(
        target=texts.map(lambda text: "target " + text),
        features=st.lists(texts.map(lambda text: "feature " + text), min_size=1, max_size=4, unique=True),
        group=texts.map(lambda text: "group " + text),
        missing=st.sampled_from(["error", "mean", "drop"]),
        normalize=st.sampled_from(["standard", "minmax", "none"]),
        rows=counts,
        noise=floats,
        seed=seeds,
        split=splits,
    ),
)

models = st.lists(st.integers(1, 1000), max_size=4).flatmap(
    lambda hidden: table(
        hidden=st.just(hidden),
        activation=st.sampled_from(["relu", "tanh", "identity"]),
        scale=floats,
        batch_norm=st.booleans(),
        batch_norm_momentum=betas,
        loss=st.sampled_from(["huber", "cross_entropy"]),
        feature_map=st.one_of(
            table(degree=st.integers(1, 20)).map(lambda rest: {"name": "polynomial"} | rest),
            table(count=st.integers(1, 100), gamma=floats).map(lambda rest: {"name": "rbf"} | rest),
        ),
    ).flatmap(
        lambda model: st.one_of(
            st.just(model),
            kept.map(lambda value: model | {"keep_prob": value}),
            st.lists(kept, min_size=len(hidden), max_size=len(hidden)).map(
                lambda values: model | {"hidden": hidden, "keep_prob": values}
            ),
        )
    )
)

decays = st.one_of(
    table(rate=floats).map(lambda rest: {"name": "inverse_time"} | rest),
    table(base=kept).map(lambda rest: {"name": "exponential"} | rest),
    table(scale=floats).map(lambda rest: {"name": "inverse_sqrt_step"} | rest),
    table(rows=counts).map(lambda rest: {"name": "inverse_sqrt_rows"} | rest),
    table(factor=kept, every=counts).map(lambda rest: {"name": "staircase"} | rest),
    table(epochs=counts, final_fraction=betas).map(lambda rest: {"name": "cosine"} | rest),
    st.dictionaries(counts.map(str), floats, min_size=1, max_size=4).map(
        lambda values: {"name": "manual", "values": values}
    ),
)

spaces = st.fixed_dictionaries(
    {},
    optional={
        "optimizer.learning_rate": st.tuples(floats, floats)
        .filter(lambda pair: pair[0] < pair[1])
        .map(lambda pair: {"log_uniform": [*pair]}),
        "optimizer.beta1": st.just({"one_minus_log": [0, 0.999]}),
        "training.epochs": st.just({"int_log_uniform": [1, 300]}),
        "data.target": st.lists(texts, min_size=1, max_size=3, unique=True).map(lambda names: {"choice": names}),
        "optimizer.decay": st.just({"choice": [{"name": "constant"}, {"name": "manual", "values": {"3": 0.5}}]}),
    },
).filter(lambda space: len(space) > 0)

experiments = st.builds(
    lambda required, optional: required | optional,
    st.fixed_dictionaries({"data": data}),
    table(
        name=st.from_regex(r"\A[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}\Z"),
        seed=seeds,
        model=models,
        optimizer=table(
            name=st.sampled_from(["gradient_descent", "momentum", "adam"]),
            learning_rate=floats,
            beta2=betas,
            clip_norm=floats,
            warmup_steps=counts,
            decay=decays,
        ),
        regularization=table(l1=floats, l2=floats),
        training=table(
            epochs=counts,
            batch_size=st.one_of(st.just("full"), counts),
            shuffle=st.booleans(),
            init_from=texts,
            stop_when_cost_changes_by=floats,
        ),
        tune=st.fixed_dictionaries({"space": spaces}),
    ),
)


@settings(max_examples=150, deadline=None)
@given(document=experiments)
def test_read_again_it_is_equal(document: dict[str, Any]) -> None:
    document["tune"] = document.get("tune", {})
    if "features" in document["data"] and "data.target" in document["tune"].get("space", {}):
        del document["data"]["features"]  # a target of the space may be one of them
    experiment = validate(document, where="generated")
    again = tomllib.loads(to_toml(experiment))
    assert validate(again, where="again") == experiment
    assert to_toml(validate(again, where="again")) == to_toml(experiment)


def test_every_packaged_experiment_survives() -> None:
    from dlrun.packaged import packaged_experiments

    for name in packaged_experiments():
        experiment = load_experiment(name).experiment
        assert validate(tomllib.loads(to_toml(experiment)), where=name) == experiment


def test_left_out_stays_left_out() -> None:
    text = to_toml(Experiment(data=DataConfig(source="iris")))
    assert "None" not in text
    for key in ("task", "loss", "early_stopping", "clip_norm", "tune", "rate", "feature_map"):
        assert f"\n{key} " not in text
        assert f".{key}]" not in text


def test_numbers_keep_their_digits() -> None:
    value = 0.1 + 0.2  # 0.30000000000000004
    document = {"data": {"source": "iris"}, "optimizer": {"learning_rate": value}}
    assert "learning_rate = 0.30000000000000004\n" in to_toml(validate(document, where="x"))


def test_texts_are_escaped() -> None:
    source = 'a"b\\c\n\t\x7f\x01é😀'
    assert tomllib.loads(to_toml(Experiment(data=DataConfig(source=source))))["data"]["source"] == source
