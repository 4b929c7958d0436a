"""Which differences are clear, of many that are looked at together.

In a table of 36 conditions and several policies some interval of 95 % leaves zero out by chance
alone. "Clearly" is therefore kept for what holds in the whole table: the chance that any
difference is called clear where there is none is at most 5 % (family-wise error). All differences
of a metric are one family, each policy with each other one in each condition.

Conditions are correlated: a good training run is good in most. The family's level is that of its
largest statistic (max-t: T. Hothorn, F. Bretz, P. Westfall, Biometrical Journal 50(3), 2008): with
normal draws for each training seed, the same in all conditions and against all policies, and for
each flight, the same for all policies, differences are drawn as they would scatter around zero, and
the level of a single interval is set to what the largest of them exceeds in 5 % of the draws. For
differences that have nothing to do with each other this is Bonferroni's level, nearly; for equal
ones it is 5 %.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy import special

from liquid_control.evaluation.suite.estimates import Difference, Estimate
from liquid_control.evaluation.suite.margins import LEVEL

DRAWS = 4000
ERROR = 1 - LEVEL  # of the whole family


@dataclass(frozen=True)
class Between:
    """Differences of two policies in each condition, ``(C,)`` each.

    Attributes:
        mean, low, high: and the 95 % interval of each alone.
        p: of each alone, as its interval has it.
        p_family: the chance that the largest of the family is as large, without any difference.
        clear: -1 or +1 where the interval of the family's level is below or above zero, else 0.
    """

    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray
    p: np.ndarray
    p_family: np.ndarray
    clear: np.ndarray


class Family:
    """All differences of one metric between policies, over the same conditions.

    Args:
        estimates: of each policy, over conditions: ``Estimate`` of values ``(C, S, F)``.

    Attributes:
        size: differences that have an interval.
        level: of a single difference's interval that is needed to call it clear, 0.95 to 1.
    """

    def __init__(self, estimates: Mapping[str, Estimate], seed: int = 0):
        self._differences = {
            (a, b): Difference(estimates[a], estimates[b]) for a, b in combinations(estimates, 2)
        }
        self.size = int(sum(d.judged.sum() for d in self._differences.values()))
        self._found: dict[tuple[str, str], Between] = {}
        self._largest = np.sort(self._draw(estimates, np.random.default_rng(seed)))
        self._alpha = 2 * special.ndtr(-np.quantile(self._largest, LEVEL)) if self.size else ERROR

    @property
    def level(self) -> float:
        """Of a single interval that is needed to call its difference clear."""
        return float(1 - self._alpha)

    def between(self, a: str, b: str) -> Between:
        """Means of ``a`` minus means of ``b``."""
        if (a, b) in self._found:
            return self._found[a, b]
        sign, (low, high) = 1, (0, 1)
        if (a, b) not in self._differences:
            sign, (low, high) = -1, (1, 0)
        found = self._differences[(a, b) if sign > 0 else (b, a)]
        mean, ends = sign * found.mean, found.limits
        z = -special.ndtri(np.clip(found.p / 2, 1e-300, 0.5))
        beyond = DRAWS - np.searchsorted(self._largest, z)
        self._found[a, b] = Between(
            mean=mean,
            low=sign * ends[low],
            high=sign * ends[high],
            p=found.p,
            p_family=np.where(found.judged, (beyond + 1) / (DRAWS + 1), 1.0),
            clear=np.where(found.p <= self._alpha, np.sign(np.nan_to_num(mean)), 0).astype(int),
        )
        return self._found[a, b]

    def _draw(self, estimates: Mapping[str, Estimate], rng: np.random.Generator) -> np.ndarray:
        """The largest of all standardised differences around zero, ``(DRAWS,)``."""
        seeds = {
            name: _scatter(
                _logs(e), e.seeds.se, rng.standard_normal((e.by_seed.shape[-1], DRAWS)), rng
            )
            for name, e in estimates.items()
        }
        shapes = {e.by_flight.shape[-1] for e in estimates.values()}
        flights = {n: rng.standard_normal((n, DRAWS)) for n in shapes}
        largest = np.zeros(DRAWS)
        for (a, b), difference in self._differences.items():
            paired = difference.by_flight
            common = _scatter(paired, difference.flights.se, flights[paired.shape[-1]], rng)
            se = difference.se
            usable = difference.judged & (se > 0)
            if usable.any():
                drawn = (seeds[a] - seeds[b] + common)[usable] / se[usable, None]
                np.maximum(largest, np.abs(drawn).max(axis=0), out=largest)
        return largest


def _logs(estimate: Estimate) -> np.ndarray:
    """The seeds' means, as logarithms where they are positive: one bad run says not everything."""
    positive = estimate.positive[..., None] & np.isfinite(estimate.by_seed)
    return np.where(positive, np.log(np.where(positive, estimate.by_seed, 1.0)), estimate.by_seed)


def _scatter(
    units: np.ndarray, se: np.ndarray, normal: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Draws ``(C, DRAWS)`` with standard deviation ``se``, correlated as ``units (C, N)`` are.

    A few units look more correlated than they are, so part of each draw is its own condition's.
    """
    known = np.isfinite(units)
    count = np.maximum(known.sum(axis=-1, keepdims=True), 1)
    filled = np.where(known, units, 0.0)
    left = np.where(known, filled - filled.sum(axis=-1, keepdims=True) / count, 0.0)
    norm = np.sqrt((left**2).sum(axis=-1, keepdims=True))
    direction = np.divide(left, norm, out=np.zeros_like(left), where=norm > 0)
    if not se.any():
        return np.zeros((len(units), normal.shape[1]))
    share = _trusted(direction)
    own = rng.standard_normal((len(units), normal.shape[1]))
    return (np.sqrt(share) * (direction @ normal) + np.sqrt(1 - share) * own) * se[:, None]


def _trusted(direction: np.ndarray) -> float:
    """How much of the correlations ``direction @ direction.T`` is more than N units show by chance.

    Squared correlations of N units with nothing in common are 1 / (N - 1) in the mean; shrinking as
    in J. Schäfer and K. Strimmer (Statistical Applications in Genetics and Molecular Biology 4(1),
    2005).
    """
    used = direction[(direction != 0).any(axis=-1)]
    if len(used) < 2 or direction.shape[-1] < 3:
        return 0.0
    squares = (used @ used.T) ** 2
    mean = (squares.sum() - np.trace(squares)) / (len(used) * (len(used) - 1))
    chance = 1 / (direction.shape[-1] - 1)
    return float(np.clip((mean - chance) / (mean * (1 - chance)), 0.0, 1.0)) if mean > 0 else 0.0
