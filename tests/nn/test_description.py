from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from dlrun.nn.description import describe, from_description
from dlrun.nn.network import Architecture

MAPS = [
    None,
    SimpleNamespace(name="polynomial", degree=3),
    SimpleNamespace(name="rbf", count=7, gamma=0.5),
]


def example(feature_map=None):
    return Architecture(
        inputs=4, outputs=3, loss="cross_entropy", hidden=(8, 5), batch_norm=True, bias=False, feature_map=feature_map
    )


@pytest.mark.parametrize("feature_map", MAPS)
def test_through_json_and_back(feature_map):
    net = example(feature_map)
    found = from_description(json.loads(json.dumps(describe(net))))
    assert describe(found) == describe(net)
    assert (found.slots, found.statistics, found.widths) == (net.slots, net.statistics, net.widths)


@pytest.mark.parametrize(
    "change",
    [
        {"inputs": 0},
        {"inputs": True},
        {"outputs": 2.0},
        {"hidden": "85"},
        {"hidden": [8, -5]},
        {"hidden": [[8]]},
        {"loss": "hinge"},
        {"loss": None},
        {"activation": "__class__"},
        {"bias": 1},
        {"batch_norm": "yes"},
        {"dtype": "object"},
        {"feature_map": "rbf"},
        {"feature_map": {"name": "rbf", "count": 5}},
        {"feature_map": {"name": "rbf", "count": 5, "gamma": -1.0}},
        {"feature_map": {"name": "rbf", "count": 5, "gamma": 1.0, "degree": 2}},
        {"feature_map": {"name": "polynomial", "degree": 10**6}},
        {"feature_map": {"name": []}},
        {"extra": 1},
    ],
)
def test_what_no_network_has_is_refused(change):
    with pytest.raises((ValueError, TypeError)):
        from_description(describe(example()) | change)


def test_incomplete_or_no_table():
    for value in ([], None, "relu", {}):
        with pytest.raises(ValueError, match="architecture"):
            from_description(value)
