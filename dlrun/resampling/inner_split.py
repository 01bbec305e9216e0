"""The rows that early stopping watches, taken out of a training part."""

from __future__ import annotations

import numpy as np

from dlrun.errors import ConfigError, DataError
from dlrun.resampling.assignment import (
    IntArray,
    codes_of,
    draw_groups,
    draw_rows,
    round_half_up,
)
from dlrun.rng import generator


def inner_split(
    train: IntArray,
    *,
    share: float,
    seed: int,
    replica: int,
    strata: IntArray | None = None,
    groups: IntArray | None = None,
) -> tuple[IntArray, IntArray]:
    """Divide a training part (m,) into rows to fit on and dev rows: (fit, dev), both sorted.

    The draw is made among the *unique* rows of `train`: in a bootstrap sample a row may be there
    three times, and a copy on either side would let the weights learn what early stopping measures.
    `fit` keeps all copies of its rows; `dev` holds each of its rows once. `share` is the dev share of
    the unique rows. Strata and groups are codes of *all* rows (n,), and are treated as in `holdout`.

    Raises ConfigError for a share outside (0, 1); DataError where a part would be empty.
    """
    if not 0 < share < 1:
        raise ConfigError(f"dev share: {share} is no share of the training rows; give a number between 0 and 1")
    unique = np.unique(train)
    count = round_half_up(len(unique) * share)
    if count < 1 or count >= len(unique):
        raise DataError(
            f"early stopping needs rows of its own: a share of {share:.6g} of {len(unique)} different "
            f"training rows leaves {count} to watch and {len(unique) - count} to fit; give another share"
        )
    rng = generator(seed, replica, "split early stopping")
    stratum = codes_of(None if strata is None else strata[unique], len(unique))
    if groups is None:
        is_dev = draw_rows(stratum, count, rng)
    else:
        group = codes_of(groups[unique], len(unique))
        if group.max() == 0:
            raise DataError(
                "early stopping needs rows of its own, but the training part is one group, and groups "
                "are never cut; give more groups, or train without early stopping"
            )
        is_dev = draw_groups(group, stratum, count, rng)
    dev = unique[is_dev]
    return np.sort(train[~np.isin(train, dev)]), dev
