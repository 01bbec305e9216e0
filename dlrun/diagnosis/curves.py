"""What a cost curve shows: steps that overshoot, plateaus, a cost that still falls, a dev cost that rises again."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from dlrun.errors import RunError
from dlrun.records import four_digits

FloatArray = npt.NDArray[np.float64]

RISING_SHARE = 0.2  # of the epochs raise the cost, and
WOBBLE = 0.35  # what the rises add up to is so much of what the falls do, and
AMPLITUDE = 0.02  # an epoch of the last half moves the cost by so much of its whole range: it overshoots
JUMP = 3.0  # or: at least two epochs, and JUMP_SHARE of all, raise it so many times, to the level of its first half
JUMP_SHARE = 0.03
FLAT = 2e-3  # of the range per epoch at most: a plateau, if
FLAT_SHARE, FLAT_EPOCHS = 0.1, 8  # it lasts so long, and the cost
THEN_FALLS = 0.15  # falls by so much of the range behind it
STILL_FALLING = 0.02  # of the whole fall in the last tenth of the epochs: not converged
NOTHING = 0.01  # of the first cost is the whole fall: nothing was learned
THROWN = 3.0  # times the cost of the best constant answer, after the first epoch: the first steps were too large
STUCK = 0.97  # of that cost, or more, at the end: nothing was learned of the rows
RISES_AGAIN = 0.1  # by so much above its lowest the dev cost ends


@dataclass(frozen=True)
class Finding:
    """One thing that the curve shows: a word for programs, a sentence for people."""

    what: str
    sentence: str


@dataclass(frozen=True)
class Curve:
    """Costs by epoch: `train` (E,) after each epoch, `dev` (E,) or empty, `learning_rate` (E,)."""

    train: FloatArray
    dev: FloatArray
    learning_rate: FloatArray


def read_curve(path: Path, *, replica: int = 0) -> Curve:
    """The curve of one replica in a `metrics.csv`. Raises `RunError` for a file that is not one."""
    found: dict[str, list[float]] = {"train": [], "dev": [], "rate": []}
    try:
        with path.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                if int(row["replica"]) != replica or int(row["epoch"]) < 1 or row["split"] not in found:
                    continue
                found[row["split"]].append(float(row["cost"]))
                if row["split"] == "train":
                    found["rate"].append(float(row["learning_rate"]))
    except FileNotFoundError:
        raise RunError(f"{path}: there is no such file; `dlrun train` writes it") from None
    except (KeyError, TypeError, ValueError) as error:
        raise RunError(f"{path}: damaged, or not the metrics of a training ({error})") from None
    return Curve(np.array(found["train"]), np.array(found["dev"]), np.array(found["rate"]))


def findings(curve: Curve, *, status: str = "done", reason: str = "", constant: float | None = None) -> list[Finding]:
    """What the curve shows, the gravest first; nothing of fewer than 5 epochs but a divergence.

    status    how the training ended: "done", "stopped", "settled" or "diverged"
    constant  the training cost of the best constant answer (the classes' shares, the mean), where no penalty is in
              the curve
    """
    if status == "diverged" or not np.isfinite(curve.train).all():
        at = f" ({reason})" if reason else ""
        return [Finding("diverged", f"The training diverged{at}: the learning rate is too large.")]
    cost = curve.train
    if len(cost) < 5:
        return []
    found = [_overshoot(curve) or _thrown_out(curve, constant)]
    if found[0] is None:
        found.append(_nothing_learned(cost) or _stuck(cost, constant))
        found.append(_plateau(cost))
    if status == "done":
        found.append(_unfinished(cost, overshoots=found[0] is not None))
        found.append(_rises_again(curve.dev))
    return [each for each in found if each is not None]


def _thrown_out(curve: Curve, constant: float | None) -> Finding | None:
    """A blow-up within the first epoch, which a later fall hides."""
    first = float(curve.train[0])
    if not constant or first < THROWN * constant:
        return None
    return Finding(
        "overshoots",
        f"After the first epoch the training cost was {four_digits(first)}, {first / constant:.2g} times that of the "
        f"best constant answer ({four_digits(constant)}): the first steps were too large. A smaller learning rate than "
        f"{curve.learning_rate[0]:g} is needed, or a warm-up.",
    )


def _stuck(cost: FloatArray, constant: float | None) -> Finding | None:
    """A cost that ends where a constant answer would be."""
    last = float(cost[-1])
    if not constant or last < STUCK * constant:
        return None
    return Finding(
        "stuck",
        f"The training cost ends at {four_digits(last)}, no better than the best constant answer's "
        f"({four_digits(constant)}): nothing was learned of the rows. Steps that are too large can do that, by units "
        "that answer 0 to every row.",
    )


def _range(cost: FloatArray) -> float:
    return float(cost.max() - cost.min()) or 1.0


def _overshoot(curve: Curve) -> Finding | None:
    """Up and down by much, to the end: the steps jump over the valley's floor."""
    cost = curve.train
    change = np.diff(cost)
    rises, falls = change[change > 0].sum(), -change[change < 0].sum()
    late = change[len(change) // 2 :]
    restless = float(np.abs(late).mean()) > AMPLITUDE * _range(cost)
    high = max(float(np.median(cost[: len(cost) // 2 + 1])), 0.0)
    jumps = int(((cost[1:] >= JUMP * np.maximum(cost[:-1], 0)) & (cost[1:] >= high) & (cost[1:] > 0)).sum())
    if cost[-1] > 1.05 * cost[0] and rises > falls:
        how = f"ends above its first value ({four_digits(cost[0])} to {four_digits(cost[-1])})"
    elif jumps >= max(2, JUMP_SHARE * len(cost)):
        how = f"rises to {JUMP:.0f} times its value or more in {jumps} of {len(change)} epochs"
    elif (change > 0).mean() >= RISING_SHARE and rises >= WOBBLE * falls and restless:
        how = f"rises in {int((change > 0).sum())} of {len(change)} epochs"
    else:
        return None
    rate = f"{curve.learning_rate[-1]:.3g}" if len(curve.learning_rate) else "?"
    return Finding(
        "overshoots",
        f"The training cost {how}: the steps overshoot, and the learning rate ({rate} at the end) is too large.",
    )


def _nothing_learned(cost: FloatArray) -> Finding | None:
    if (cost[0] - cost.min()) > NOTHING * abs(cost[0]):
        return None
    return Finding(
        "flat",
        f"The training cost stays at {four_digits(cost[-1])} from the first epoch on: it is at its lowest already, "
        "on a "
        "plateau, or the learning rate is far too small (or too large).",
    )


def _plateau(cost: FloatArray) -> Finding | None:
    """A long flat stretch with a fall behind it."""
    size = _range(cost)
    smooth = np.convolve(np.pad(cost, 1, mode="edge"), np.ones(3) / 3, mode="valid")
    flat = np.abs(np.diff(smooth)) <= FLAT * size
    least = max(FLAT_EPOCHS, int(FLAT_SHARE * len(cost)))
    start = 0
    best: tuple[int, int] | None = None
    for epoch, still in enumerate([*flat.tolist(), False]):
        if still:
            continue
        if epoch - start >= least and cost[epoch] - cost[epoch:].min() >= THEN_FALLS * size:
            best = max(best or (0, 0), (epoch - start, start))
        start = epoch + 1
    if best is None:
        return None
    length, start = best
    return Finding(
        "plateau",
        f"The training cost lay on a plateau of about {four_digits(cost[start])} "
        f"from epoch {start + 1} to {start + length + 1} "
        "before it went on falling: another initialization, optimizer (adam) or learning rate may shorten that.",
    )


def _unfinished(cost: FloatArray, *, overshoots: bool) -> Finding | None:
    """Measured against the whole fall, on means of the last two tenths, so that one noisy epoch decides nothing."""
    tenth = max(1, len(cost) // 10)
    if overshoots or len(cost) < 2 * tenth + 1:
        return None
    last, before = float(cost[-tenth:].mean()), float(cost[-2 * tenth : -tenth].mean())
    whole = float(cost[0] - cost.min())
    if before - last <= STILL_FALLING * whole or whole <= NOTHING * abs(cost[0]):
        return None
    return Finding(
        "unfinished",
        f"The training cost still falls (from {four_digits(before)} to {four_digits(last)} "
        f"over the last {tenth} epochs): "
        "it has not converged; train longer.",
    )


def _rises_again(dev: FloatArray) -> Finding | None:
    if len(dev) < 5 or not np.isfinite(dev).all():
        return None
    lowest = int(dev.argmin())
    if len(dev) - 1 - lowest < 0.2 * len(dev) or dev[-1] < (1 + RISES_AGAIN) * dev[lowest]:
        return None
    return Finding(
        "overfits",
        f"The dev cost was lowest after epoch {lowest + 1} ({four_digits(dev[lowest])}) "
        f"and has risen to {four_digits(dev[-1])}: "
        "early stopping would keep the better weights.",
    )
