"""Statistics of a comparison: bootstrap intervals of means and of paired differences.

Results stand in a matrix ``(S, F)``: S training seeds of one kind of policy by F flights. All
policies fly the same F wind and noise seeds, so flights are crossed with training seeds, and
differences between policies are paired by flight. Both factors are resampled, independently
(pigeonhole bootstrap: A. B. Owen, The pigeonhole bootstrap, Annals of Applied Statistics 1(2),
2007), and intervals are percentiles of the resampled means. With a single training seed this is
the ordinary bootstrap over flights; it says nothing about other training seeds then.

The draws depend on nothing but a seed and the number of training seeds and flights: a figure is the
same whatever else is computed, and each draw is made once.

A value that a flight does not give (it crashed) is NaN and left out; crash rates stand beside.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist

import numpy as np

RESAMPLES = 4000
LEVEL = 0.95


@dataclass(frozen=True)
class Interval:
    """An estimate and its confidence interval; ``None`` where no flight gives a value."""

    mean: float | None
    low: float | None
    high: float | None

    @property
    def sign(self) -> int:
        """+1 or -1 where the whole interval is on one side of zero, else 0."""
        if self.mean is None or self.low <= 0 <= self.high:
            return 0
        return 1 if self.low > 0 else -1


UNKNOWN = Interval(None, None, None)
_FLIGHTS, _ROWS_A, _ROWS_B = range(3)  # what is drawn, independently of the others


def mean_interval(values: np.ndarray, seed: int = 0) -> Interval:
    """Mean of ``values (S, F)`` over training seeds and flights."""
    if not np.isfinite(values).any():
        return UNKNOWN
    return _interval(np.nanmean(values), _means(values, _ROWS_A, seed))


def difference_interval(a: np.ndarray, b: np.ndarray, seed: int = 0) -> Interval:
    """Mean of ``a (S, F)`` minus mean of ``b (S', F)``, paired by flight.

    A flight counts where both have a value: in every training seed's row it is left out of the
    one that lacks it, and out of both where one side lacks it in all rows.

    Raises:
        ValueError: for different numbers of flights.
    """
    if a.shape[1] != b.shape[1]:
        raise ValueError(f"flights differ: {a.shape[1]} and {b.shape[1]}; expected paired flights")
    both = np.isfinite(a).any(axis=0) & np.isfinite(b).any(axis=0)
    if not both.any():
        return UNKNOWN
    a, b = np.where(both, a, np.nan), np.where(both, b, np.nan)
    resampled = _means(a, _ROWS_A, seed) - _means(b, _ROWS_B, seed)
    return _interval(np.nanmean(a) - np.nanmean(b), resampled)


def rate_interval(events: int, trials: int) -> Interval:
    """Share of ``events`` with the score interval (E. B. Wilson, JASA 22, 1927)."""
    if not 0 <= events <= trials or trials < 1:
        raise ValueError(f"{events} events in {trials} trials, expected 0 <= events <= trials")
    z = NormalDist().inv_cdf(0.5 + LEVEL / 2)
    share = events / trials
    center = share + z * z / (2 * trials)
    half = z * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials**2))
    scale = 1 + z * z / trials
    # At the ends center and half are equal but for rounding.
    low = (center - half) / scale if events else 0.0
    high = (center + half) / scale if events < trials else 1.0
    return Interval(share, low, high)


@lru_cache(maxsize=32)
def _counts(size: int, role: int, seed: int) -> np.ndarray:
    """How often each of ``size`` items is drawn, ``(RESAMPLES, size)``."""
    rng = np.random.default_rng([seed, role, size])
    return rng.multinomial(size, np.full(size, 1 / size), RESAMPLES).astype(float)


def _means(values: np.ndarray, rows_role: int, seed: int) -> np.ndarray:
    """Means ``(RESAMPLES,)`` of resampled rows and columns; NaN where nothing was drawn."""
    known = np.isfinite(values)
    rows = _counts(len(values), rows_role, seed)
    flights = _counts(values.shape[1], _FLIGHTS, seed)
    total = ((rows @ np.where(known, values, 0.0)) * flights).sum(axis=1)
    count = ((rows @ known.astype(float)) * flights).sum(axis=1)
    return np.divide(total, count, out=np.full(RESAMPLES, np.nan), where=count > 0)


def _interval(mean: float, resampled: np.ndarray) -> Interval:
    tail = 50 * (1 - LEVEL)
    low, high = np.nanpercentile(resampled, [tail, 100 - tail])
    return Interval(float(mean), float(low), float(high))
