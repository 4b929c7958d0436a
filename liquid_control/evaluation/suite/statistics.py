"""Single figures with their intervals, as they stand in results: means, differences, shares.

How the intervals come about is in `estimates`; which differences are called clear, in `family`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from liquid_control.evaluation.suite.estimates import Difference, Estimate
from liquid_control.evaluation.suite.margins import LEVEL


@dataclass(frozen=True)
class Interval:
    """An estimate and its confidence interval; ``None`` where the flights give none."""

    mean: float | None
    low: float | None
    high: float | None


UNKNOWN = Interval(None, None, None)


def mean_interval(values: np.ndarray) -> Interval:
    """Mean of ``values (S, F)`` over training seeds and flights.

    Use it for a single figure; `Estimate` takes many at once.
    """
    estimate = Estimate(values)
    return as_interval(estimate.mean, *estimate.limits)


def interquartile_interval(values: np.ndarray) -> Interval:
    """Interquartile mean of ``values (S, F)`` over training seeds, over flights where S is 1."""
    estimate = Estimate(values)
    return as_interval(estimate.trimmed[0], *estimate.trimmed_limits)


def difference_interval(a: np.ndarray, b: np.ndarray) -> Interval:
    """Mean of ``a (S, F)`` minus mean of ``b (S', F)``, paired by flight; see `Difference`."""
    difference = Difference(Estimate(a), Estimate(b))
    return as_interval(difference.mean, *difference.limits)


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


def as_interval(mean: float, low: float, high: float) -> Interval:
    """An interval of plain numbers, with ``None`` in place of NaN."""
    return Interval(*(float(x) if np.isfinite(x) else None for x in (mean, low, high)))
