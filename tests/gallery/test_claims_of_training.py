"""What the gallery's pictures of training claim is true of the numbers, on average over several seeds and splits."""

from __future__ import annotations

import numpy as np
import pytest
from gallery.replicas import Trained, hidden_values, problem_of, trained

# -- batch, mini-batch, stochastic ------------------------------------------------------------------


@pytest.fixture(scope="module")
def batches() -> dict[str, Trained]:
    """320 steps each, at the same learning rate."""
    sizes = {"batch": ("'full'", 320), "mini-batch": ("32", 32), "stochastic": ("1", 1)}
    return {
        name: trained("batch_sizes", f"training.batch_size={size}", f"training.epochs={epochs}", replicas=8)
        for name, (size, epochs) in sizes.items()
    }


def test_the_cost_falls_smoothly_with_batches_and_noisily_with_mini_batches(batches: dict[str, Trained]) -> None:
    for costs in batches["batch"].batch_costs:
        assert (np.diff(costs) <= 1e-7).all()  # never up, but for rounding
    jumps = {
        name: np.mean([np.abs(np.diff(costs)).mean() for costs in run.batch_costs]) for name, run in batches.items()
    }
    assert jumps["stochastic"] > 3 * jumps["mini-batch"] > 30 * jumps["batch"]


def test_the_smaller_the_batch_the_longer_the_way(batches: dict[str, Trained]) -> None:
    def detour(run: Trained) -> float:
        assert run.paths is not None
        ways = [np.linalg.norm(np.diff(p, axis=0), axis=1).sum() / np.linalg.norm(p[-1] - p[0]) for p in run.paths]
        return float(np.mean(ways))

    assert detour(batches["batch"]) < 1.01
    assert 2 < detour(batches["mini-batch"]) < 0.5 * detour(batches["stochastic"])


def test_mini_batches_need_fewer_rows_for_the_same_cost() -> None:
    """After one pass over the rows, ten steps have come further than one."""
    after = {
        size: trained("batch_sizes", f"training.batch_size={size}", "training.epochs=1", replicas=8).last(
            "train", "cost"
        )
        for size in ("'full'", "32")
    }
    assert (after["32"] < after["'full'"]).all()


# -- decay ------------------------------------------------------------------------------------------


def test_a_falling_rate_comes_to_rest_near_the_minimum() -> None:
    """The least cost is that of a long batch descent; the constant rate keeps jumping about it."""
    constant = trained("decay", replicas=8)
    falling = trained("decay", "optimizer.decay.name=inverse_time", replicas=8)
    least = trained("decay", "training.batch_size='full'", "training.epochs=600", replicas=8).theta
    far = {}
    for name, run in (("constant", constant), ("falling", falling)):
        assert run.paths is not None
        far[name] = np.mean([np.linalg.norm(p[-80:] - o, axis=1).mean() for p, o in zip(run.paths, least, strict=True)])
    assert far["falling"] < 0.35 * far["constant"]
    assert falling.last("train", "cost").mean() < constant.last("train", "cost").mean()


# -- initialization ---------------------------------------------------------------------------------

INITIALIZATIONS = {
    "xavier": ("model.initialization=xavier",),
    "zeros": ("model.initialization=zeros",),
    "small": ("model.initialization=normal", "model.scale=0.01"),
    "large": ("model.initialization=normal", "model.scale=1.0"),
}


@pytest.fixture(scope="module")
def initialized() -> dict[str, Trained]:
    return {
        name: trained("initializations", *how, "training.epochs=6", replicas=3) for name, how in INITIALIZATIONS.items()
    }


def test_one_over_n_trains_and_the_others_do_not(initialized: dict[str, Trained]) -> None:
    errors = {name: run.last("dev", "error").mean() for name, run in initialized.items()}
    assert errors["xavier"] < 0.15
    assert min(errors["zeros"], errors["small"], errors["large"]) > 0.5


def test_zeros_never_break_the_symmetry(initialized: dict[str, Trained]) -> None:
    run = initialized["zeros"]
    for theta in run.theta:
        views = run.stack.net.views(theta[None])
        for layer in range(1, len(run.stack.net.hidden) + 1):
            W = views[f"W{layer}"][0]
            assert (W[:, :1] == W).all()  # all units of a layer alike


def test_small_weights_vanish_and_large_ones_saturate() -> None:
    spread = {}
    for name, how in INITIALIZATIONS.items():
        run = trained("initializations", *how, "training.epochs=0", replicas=1)
        spread[name] = [a.std() for _, a in hidden_values(run, 0, np.arange(200))]
        if name == "large":
            assert np.mean([np.mean(np.abs(a) > 0.99) for _, a in hidden_values(run, 0, np.arange(200))]) > 0.5
    assert 0.3 < spread["xavier"][-1] / spread["xavier"][0] < 1.5
    assert spread["small"][-1] < 1e-4 * spread["small"][0]


# -- regularization ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def penalized() -> dict[int, Trained]:
    return {l2: trained("l2_tanh", f"regularization.l2={l2}", replicas=4) for l2 in (0, 1, 10)}


def test_l2_keeps_tanh_where_it_is_nearly_a_line(penalized: dict[int, Trained]) -> None:
    """Mean |z| falls, and with it the distance of tanh z from z."""
    size, bend = {}, {}
    for l2, run in penalized.items():
        layers = [layer for r in range(4) for layer in hidden_values(run, r, np.arange(200))]
        size[l2] = np.mean([np.abs(z).mean() for z, _ in layers])
        bend[l2] = np.mean([np.abs(z - a).mean() / np.abs(z).mean() for z, a in layers])
    assert size[0] > 5 * size[1] > 5 * size[10]
    assert bend[0] > 0.4 > 0.06 > bend[10]


def linearity(run: Trained, replica: int) -> float:
    """R² of the logit as a linear function of the two features, over the plane of the data."""
    axis = np.linspace(-1.5, 2.5, 41)
    grid = np.stack(np.meshgrid(axis, axis / 2), axis=-1).reshape(-1, 2)
    z = logits(run, replica, grid)[:, 0]
    A = np.column_stack([grid, np.ones(len(grid))])
    residual = z - A @ np.linalg.lstsq(A, z, rcond=None)[0]
    return 1 - float(residual.var() / z.var())


def logits(run: Trained, replica: int, points: np.ndarray) -> np.ndarray:
    """z of the last layer at raw points (m, d)."""
    n = run.problem.normalization([r.train for r in run.stack.replicas])
    a = n.apply(points, replica)
    views = {name: value[0] for name, value in run.stack.net.views(run.theta[replica][None]).items()}
    depth = len(run.stack.net.hidden) + 1
    for layer in range(1, depth + 1):
        z = a @ views[f"W{layer}"] + views[f"b{layer}"]
        a = np.tanh(z)
    return z


def test_a_large_penalty_makes_the_network_nearly_linear_and_closes_the_gap(penalized: dict[int, Trained]) -> None:
    straight = {l2: np.mean([linearity(run, r) for r in range(4)]) for l2, run in penalized.items()}
    assert straight[0] < straight[1] < straight[10]
    assert straight[10] > 0.97
    gap = {l2: (run.last("dev", "error") - run.last("train", "error")).mean() for l2, run in penalized.items()}
    assert gap[0] > 0.05 > gap[1]
    assert penalized[1].last("dev", "cost").mean() < penalized[0].last("dev", "cost").mean()


def test_dropout_narrows_the_gap() -> None:
    options = ("training.epochs=120",)
    all_units, dropped = (trained("dropout", *options, *how, replicas=6) for how in (("model.keep_prob=1",), ()))
    for what, factor in (("error", 0.5), ("cost", 0.4)):
        gaps = [(run.last("dev", what) - run.last("train", what)).mean() for run in (all_units, dropped)]
        assert gaps[1] < factor * gaps[0]
    assert dropped.last("dev", "error").mean() < all_units.last("dev", "error").mean()


def test_noise_helps_few_digits_and_a_mirror_harms_them() -> None:
    errors = {
        name: trained("augmentation", *how, "training.epochs=50", replicas=4).last("dev", "error")
        for name, how in {"none": ("data.augment=",), "noise": (), "mirror": ("data.augment={mirror=8}",)}.items()
    }
    # The splits are the same for all three, so that the differences may be taken pair by pair.
    assert (errors["noise"] - errors["none"]).mean() < 0
    assert (errors["mirror"] - errors["none"] > 0).all()


# -- batch normalization ----------------------------------------------------------------------------


def test_batch_normalization_trains_where_the_network_without_hardly_does() -> None:
    errors = [
        trained("batch_norm", f"model.batch_norm={on}", "training.epochs=8", replicas=3).last("dev", "error").mean()
        for on in ("true", "false")
    ]
    assert errors[0] < 0.15 < 0.3 < errors[1]


def test_batch_normalization_hardly_minds_shift_and_scale_of_the_inputs() -> None:
    """The same pixels from 0 to 16 or from 0 to 1, the same first weights."""
    moved = {}
    for on in ("true", "false"):
        costs = [
            trained(
                "shifted_inputs", f"model.batch_norm={on}", f"data.normalize={how}", "training.epochs=6", replicas=4
            ).last("dev", "cost")
            for how in ("none", "minmax")
        ]
        moved[on] = np.abs(np.log(costs[0] / costs[1])).mean()
    assert moved["true"] < 0.05
    assert moved["false"] > 5 * moved["true"]


# -- models -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("source", ["blobs", "pinwheel"])
def test_the_borders_of_softmax_regression_are_straight(source: str) -> None:
    """z_a − z_b is linear in x: second differences along any line are 0, and the borders therefore lines."""
    run = trained("softmax", "model.hidden=[]", f"data.source={source}", "training.epochs=30", replicas=2)
    line = np.linspace(0, 1, 21)[:, None] * np.array([[5.0, -3.0]]) + np.array([[-2.0, 2.0]])
    for r in range(2):
        z = logits(run, r, line)
        bend = np.diff(z - z[:, :1], n=2, axis=0)
        assert np.abs(bend).max() < 1e-9 * np.abs(z).max()


def test_hidden_layers_bend_the_borders_and_part_the_arms() -> None:
    plain = trained("softmax", "model.hidden=[]", replicas=4).last("train", "error")
    run = trained("softmax", replicas=4)
    assert plain.mean() > 0.2
    assert run.last("train", "error").max() < 0.01
    line = np.linspace(0, 1, 21)[:, None] * np.array([[4.0, 0.0]]) + np.array([[-2.0, 0.3]])
    z = logits(run, 0, line)
    assert np.abs(np.diff(z - z[:, :1], n=2, axis=0)).max() > 0.05 * np.abs(z).max()


def test_exclusive_or_needs_a_hidden_layer() -> None:
    one, hidden = trained("xor", replicas=5), trained("xor_hidden", replicas=5)
    assert one.last("train", "cost") == pytest.approx(np.log(2), abs=1e-3)
    assert one.last("train", "error").min() >= 0.25
    assert hidden.last("train", "error").max() == 0


PHI = {
    "x": (),
    "products": ("model.feature_map.name=polynomial",),
    "rbf": ("model.feature_map.name=rbf", "model.feature_map.count=30", "model.feature_map.gamma=0.5"),
    "learned": ("model.hidden=[8]", "model.activation=tanh"),
}


def test_phi_given_or_learned_parts_the_circles() -> None:
    errors = {}
    for name, how in PHI.items():
        problem = problem_of("phi", *how)
        split = problem.experiment.data.split
        assert (split.train, split.test) == (0.5, 0.5)
        run = trained("phi", *how, f"data.split={{train=0.5,dev=0.5}}", replicas=6)  # noqa: F541
        errors[name] = run.last("dev", "error").mean()
    assert errors.pop("x") > 0.3
    assert max(errors.values()) < 0.05


def test_bias_variance_and_neither() -> None:
    how = {
        "bias": ("model.hidden=[]",),
        "neither": ("regularization.l2=0.1",),
        "variance": ("model.hidden=[128,128]", "model.activation=relu", "model.initialization=he"),
    }
    runs = {name: trained("bias_variance", *options, replicas=6) for name, options in how.items()}
    train = {name: run.last("train", "error").mean() for name, run in runs.items()}
    gap = {name: run.last("dev", "error").mean() - train[name] for name, run in runs.items()}
    assert train["bias"] > 0.1 > 2 * train["neither"] > train["variance"]
    assert gap["variance"] > 2 * abs(gap["bias"])
    dev = {name: run.last("dev", "cost").mean() for name, run in runs.items()}
    assert dev["neither"] < min(dev["bias"], dev["variance"])
