"""Made-up results with a known truth, and how often their intervals find it.

A policy's results are ``(..., S, F)``: S training seeds by F flights, as in
`evaluation.suite.estimates`. The true mean over all training seeds and flights is 1.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np
from scipy import stats

from liquid_control.bench.intervals.sizes import IntervalSizes, Shape
from liquid_control.evaluation.suite.estimates import TRIM, Difference, Estimate
from liquid_control.evaluation.suite.family import Family
from liquid_control.evaluation.suite.margins import LEVEL

_LESS = 0.8  # the true mean of the second policy
_MANY = 400_000  # seeds whose interquartile mean counts as the true one
_RESAMPLES = 999
_BATCH = 100  # resamples that memory has room for


def lognormal(rng: np.random.Generator, spread: float, shape: tuple[int, ...]) -> np.ndarray:
    """Positive numbers of mean 1 and a standard deviation ``spread`` of their logarithm."""
    return np.exp(spread * rng.standard_normal(shape) - spread**2 / 2)


def seed_means(rng: np.random.Generator, shape: Shape, size: tuple[int, ...]) -> np.ndarray:
    """Mean errors of training seeds, 1 in the mean."""
    failed = rng.random(size) < shape.failing
    scale = 1 + shape.failing * (shape.times - 1)
    return lognormal(rng, shape.spread, size) * np.where(failed, shape.times, 1.0) / scale


def coverage(sizes: IntervalSizes, shape: Shape, seeds: int, seed: int = 0) -> dict[str, float]:
    """Shares of the intervals that hold the truth, of ``sizes.repetitions``.

    Returns:
        ``mean``, ``iqm`` and ``difference`` (of two policies that scatter alike, paired by flight);
        ``percentile`` and ``BCa``: bootstraps of seeds' means that no flights disturb; ``others``:
        of the first training seed alone, whose interval is over flights.
    """
    rng = np.random.default_rng([seed, seeds])
    size = (sizes.repetitions, seeds, sizes.flights)
    hard = rng.standard_normal((sizes.repetitions, 1, sizes.flights))
    apart = rng.standard_normal(hard.shape)
    mixed = np.sqrt(sizes.common) * hard + np.sqrt(1 - sizes.common) * apart
    values = []
    for hardness in (hard, mixed):
        flights = np.exp(sizes.flight_spread * hardness - sizes.flight_spread**2 / 2)
        of_seeds = seed_means(rng, shape, (*size[:2], 1))
        values.append(of_seeds * flights * lognormal(rng, sizes.noise, size))
    bare = seed_means(rng, shape, size[:2])
    first, second = Estimate(values[0]), Estimate(_LESS * values[1])
    middle = stats.trim_mean(seed_means(rng, shape, (_MANY,)), TRIM)
    return {
        "mean": _share(first.limits, 1.0),
        "iqm": _share(first.trimmed_limits, middle),
        "difference": _share(Difference(first, second).limits, 1 - _LESS),
        "percentile": _share(_bootstrap(bare, "percentile", rng), 1.0),
        "BCa": _share(_bootstrap(bare, "BCa", rng), 1.0),
        "others": _share(Estimate(values[0][:, :1]).limits, 1.0),
    }


def false_alarms(
    sizes: IntervalSizes, spreads: list[float], correlation: float, seeds: int, seed: int = 0
) -> dict[str, float]:
    """Tables of policies that are equal in the mean, ``sizes.family.repetitions``.

    Returns:
        ``tables``: the share in which any difference is called clear, ``alone``: the mean number of
        differences a table whose own 95 % interval leaves zero out.
    """
    of = sizes.family
    rng = np.random.default_rng([seed, seeds])
    tables = alone = 0
    for _ in range(of.repetitions):
        flights = lognormal(rng, sizes.flight_spread, (of.conditions, 1, of.flights))
        estimates = {}
        for k in range(of.policies):
            run, own = (rng.standard_normal((n, seeds, 1)) for n in (1, of.conditions))
            spread = spreads[k % len(spreads)]
            drawn = np.sqrt(correlation) * run + np.sqrt(1 - correlation) * own
            noise = lognormal(rng, sizes.noise, (of.conditions, seeds, of.flights))
            hardness = flights * lognormal(rng, of.suits, flights.shape)
            estimates[str(k)] = Estimate(np.exp(spread * drawn - spread**2 / 2) * hardness * noise)
        family = Family(estimates)
        found = [family.between(a, b) for a, b in combinations(estimates, 2)]
        tables += any(between.clear.any() for between in found)
        alone += sum(((b.low > 0) | (b.high < 0)).sum() for b in found)
    return {"tables": tables / of.repetitions, "alone": alone / of.repetitions}


def _share(limits: tuple[np.ndarray, np.ndarray], truth: float) -> float:
    low, high = limits
    return float(((low <= truth) & (truth <= high)).mean())


def _bootstrap(means: np.ndarray, method: str, rng: np.random.Generator) -> tuple:
    interval = stats.bootstrap(
        (means,), np.mean, axis=-1, confidence_level=LEVEL, n_resamples=_RESAMPLES, batch=_BATCH,
        method=method, random_state=rng,
    ).confidence_interval  # fmt: skip
    return interval.low, interval.high
