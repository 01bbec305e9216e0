"""The standard error of the out-of-bag error, by the infinitesimal jackknife after bootstrap.

Efron and Tibshirani 1997, section on standard errors, give it for 0/1 and other losses from the same B
samples. Written with D_u, the change of Err¹ when unit u (a row, or a group) gets a little more weight:

    D_u = (S_u − m_u·Ē)/n + e·cov_b(N_bu, r_b),    SE² = Σ_u D_u²

    S_u  sum of the rows' out-of-bag losses Eᵢ in u; m_u its rows; Ē the mean loss of all rows
    N_bu how often sample b drew u;  e = (1 − 1/G)^(−G) for a stratum of G units
    r_b  = 1/n Σᵢ I_bi (Q_bi − Eᵢ), I_bi = 1 where b left row i out, Q_bi its loss there

Ē is that of all rows also where samples are drawn by strata: the samples hold the shares of the classes still, but
the data did not, and a model that errs on one class alone has an error that varies with its share.

The paper has cov(N_bu, 1/n Σᵢ I_bi Q_bi) and a factor 2 + 1/(n−1) on the first term. The covariance of
N_bu with 1/n Σᵢ I_bi Eᵢ is known in closed form, −(n/(n−1))·(E_u − Ē)/(n·e); taking it out leaves the
form above, with the same expectation and far less noise at a B of a few hundred. What noise is left
adds e²·var(N_u)·var(r)/B to each D_u² on average; it is taken off (as Wager, Hastie and Efron 2014 do
for bagging), down to the first term alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import numpy as np
import numpy.typing as npt

from dlrun.errors import DataError
from dlrun.resampling.assignment import codes_of, majority_stratum
from dlrun.resampling.intervals import FloatArray


@dataclass(frozen=True, eq=False)
class BagErrors:
    """Out-of-bag losses: by row (n,), by sample (B,), over all; and the samples' deviations r_b (B,)."""

    row_losses: FloatArray
    sample_errors: FloatArray
    error: float
    deviations: FloatArray

    @classmethod
    def of(cls, losses: FloatArray, counts: npt.NDArray[np.integer]) -> BagErrors:
        """From the samples' losses (B, n) for all rows and their draws (B, n).

        A row that no sample left out has NaN, and so has a sample that left no row out.
        """
        out = counts == 0
        times, sizes = out.sum(axis=0), out.sum(axis=1)
        if not times.any():
            raise DataError("no sample left a row out, so nothing is out of bag; give more samples or more rows")
        left = np.where(out, losses, 0.0)
        row_losses = np.where(times > 0, left.sum(axis=0) / np.maximum(times, 1), np.nan)
        sample_errors = np.where(sizes > 0, left.sum(axis=1) / np.maximum(sizes, 1), np.nan)
        deviations = np.where(out, losses - row_losses, 0.0).mean(axis=1)
        return cls(row_losses, sample_errors, float(np.nanmean(row_losses)), deviations)


def standard_error(
    bag: BagErrors,
    counts: npt.NDArray[np.integer],
    *,
    strata: npt.NDArray[np.int64] | None = None,
    groups: npt.NDArray[np.int64] | None = None,
) -> float | None:
    """SE of `bag.error` on the scale of the mean loss; None for fewer than two samples.

    strata, groups: those that the samples were drawn with.
    """
    samples, n = counts.shape
    if samples < 2:
        return None
    unit = np.arange(n) if groups is None else codes_of(groups, n)
    units = int(unit.max()) + 1
    stratum = majority_stratum(unit, codes_of(strata, n))
    known = np.isfinite(bag.row_losses)
    rows = np.bincount(unit, weights=known.astype(np.float64), minlength=units)
    sums = np.bincount(unit, weights=np.where(known, bag.row_losses, 0.0), minlength=units)
    own = (sums - rows * bag.error) / known.sum()  # (G,)

    size = np.bincount(stratum)[stratum].astype(np.float64)  # units in the stratum of u
    inverse = np.where(size > 1, (1 - 1 / np.maximum(size, 2)) ** -size, 0.0)  # one alone is in every sample
    _, first = np.unique(unit, return_index=True)
    drawn = counts[:, first].astype(np.float64)  # (B, G): all rows of a group are drawn together
    deviations = bag.deviations - bag.deviations.mean()
    through_others = inverse * ((drawn - drawn.mean(axis=0)).T @ deviations) / samples
    noise = float((inverse**2 * (1 - 1 / size)).sum() * deviations.var() / samples)
    total = float(np.square(own + through_others).sum())
    return sqrt(max(total - noise, float(np.square(own).sum())))
