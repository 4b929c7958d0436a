"""Means and their differences over training seeds and flights, with intervals that cover for few.

Results stand in a matrix ``(S, F)``: S training seeds of one kind of policy by F flights. All
policies fly the same F wind and noise seeds, so flights are crossed with training seeds, and a
difference between two policies is paired by flight. What is asked for is the mean over training
seeds and flights that were *not* drawn; it is uncertain in two ways, which are kept apart:

- *Training seeds*: the spread of the seeds' means, each over its flights, with S - 1 degrees of
  freedom. Errors are positive and skewed: now and then a training comes out several times worse.
  This part of the interval is therefore the mean times exp(± t s), with Student's t and for s the
  larger of two standard errors of a logarithm: of the mean by the delta method, and of the mean of
  a lognormal (D. R. Cox in C. E. Land, Technometrics 14(1), 1972; G. Y. Zou, C. Y. Huo, J. Taleban,
  Environmetrics 20(2), 2009). Values that are not all above zero get the usual mean ± t s.
- *Flights*: what is common to all seeds in a flight, by the two-way analysis of variance, with
  F - 1 degrees of freedom. In a difference it is that of the paired differences.

Many comparisons at once (`family`) need levels of 99.9 % and more, and there a lognormal mean
reaches further up: p-values have margins of the normal and the chi-square part of Zou's interval
where these are larger. Variances of few units are too rough for Welch's degrees of freedom there:
of fewer than ten seeds p-values have those of the policy that has the least, and of fewer than ten
flights the flights' part has its own. Nor is the noise of single flights taken off that part, since
what is left may come out as nothing by luck. A difference with p <= 0.05 has a 95 % interval
without zero, not always the reverse.

Margins of independent parts add in squares, each side for itself (the method of variance estimates
recovery: G. Y. Zou, A. Donner, Statistics in Medicine 27(10), 2008); their t has the degrees of
freedom of all parts together, as in Welch's test. With a single training seed only the flights
are left: the interval says nothing of another training run.

The interquartile mean is that of the seeds' means, a quarter cut off at either end, as advised by
R. Agarwal et al. (Deep reinforcement learning at the edge of the statistical precipice, NeurIPS
2021); its interval has the winsorised standard error of J. W. Tukey and D. H. McLaughlin (Sankhya A
25, 1963).

How often these intervals cover is measured by ``liquid-control bench intervals``. A value that a
flight does not give (it crashed) is NaN and left out; crash rates stand beside.
"""

from __future__ import annotations

import math
from functools import cached_property

import numpy as np

from liquid_control.evaluation.suite.margins import LEVEL, Part, freedom, quantile

TRIM = 0.25  # of the seeds, at either end of the interquartile mean
_TINY = 1e-12  # the least p that is told from 0
_HALVINGS = 40
_FEW = 10  # seeds, or flights: with fewer, p-values have the least degrees of freedom


class Estimate:
    """Means of ``values (..., S, F)`` with what is known of them; NaN where no flight has a value.

    Attributes:
        mean: of the seeds' means ``(...)``.
        by_seed: the mean of each seed over its flights, ``(..., S)``.
        by_flight: the mean of each flight over the seeds, ``(..., F)``.
        positive: whether all values are above zero, ``(...)``.
        seeds, flights: the two parts of the uncertainty.
        noise: what of the seeds' part is of single flights: its variance in the mean.
    """

    def __init__(self, values: np.ndarray):
        known = np.isfinite(values)
        self._filled = np.where(known, values, 0.0)
        self._known = known
        self.n_seeds = known.any(axis=-1).sum(axis=-1)
        self.n_flights = known.any(axis=-2).sum(axis=-1)
        self.by_seed = _mean(self._filled, known, -1)
        self.by_flight = _mean(self._filled, known, -2)
        self.mean = _mean(np.nan_to_num(self.by_seed), np.isfinite(self.by_seed), -1)
        self.positive = (known & (self._filled > 0) | ~known).all(axis=(-1, -2)) & (self.mean > 0)
        several = self.n_seeds > 1
        count = known.sum(axis=(-1, -2))
        free = np.maximum(count - self.n_seeds - self.n_flights + 1, 1)
        self.noise = np.where(several, self._residuals() / free / np.maximum(count, 1), 0.0)
        common = _variance(self.by_flight) / np.maximum(self.n_flights, 1) - self.noise
        (seeds, seeds_spread), (alone, flights_spread) = map(
            self._skewed, (self.by_seed, self.by_flight)
        )
        self.seeds = Part(
            np.sqrt(np.where(several, seeds, 0.0)),
            np.maximum(self.n_seeds - 1, 0),
            np.where(several, seeds_spread, 0.0),
        )
        self.flights = Part(
            np.sqrt(np.where(several, np.maximum(common, 0.0), alone)),
            np.maximum(self.n_flights - 1, 0),
            np.where(several, 0.0, flights_spread),
        )

    @property
    def judged(self) -> np.ndarray:
        """Where there is an interval: two seeds or two flights are the least."""
        return (self.n_seeds > 1) | (self.n_flights > 1)

    @cached_property
    def limits(self) -> tuple[np.ndarray, np.ndarray]:
        """Ends of the 95 % interval ``(...)``; NaN where there is none."""
        return _ends(self.mean, (self.seeds, self.flights), self.positive, self.judged)

    @cached_property
    def trimmed(self) -> tuple[np.ndarray, Part]:
        """The interquartile mean ``(...)`` of the seeds, of the flights where the seed is one."""
        several = self.n_seeds > 1
        seeds, seeds_part = _interquartile(self.by_seed)
        flights, flights_part = _interquartile(self.by_flight)
        se = np.where(several, seeds_part.se, flights_part.se)
        df = np.where(several, seeds_part.df, flights_part.df)
        return np.where(several, seeds, flights), Part(se, df)

    @cached_property
    def trimmed_limits(self) -> tuple[np.ndarray, np.ndarray]:
        """Ends of the interval of the interquartile mean."""
        mean, part = self.trimmed
        common = Part(np.where(self.n_seeds > 1, self.flights.se, 0.0), self.flights.df)
        judged = self.judged & (part.df > 0)
        return _ends(mean, (part, common), self.positive & (mean > 0), judged)

    def restricted(self, flights: np.ndarray) -> Estimate:
        """The same of the flights ``(..., F)`` that are true."""
        kept = self._known & flights[..., None, :]
        return Estimate(np.where(kept, self._filled, np.nan))

    @property
    def has_flight(self) -> np.ndarray:
        """Flights that any seed has, ``(..., F)``."""
        return self._known.any(axis=-2)

    def _residuals(self) -> np.ndarray:
        fitted = self.by_seed[..., :, None] + self.by_flight[..., None, :]
        left = self._filled - np.nan_to_num(fitted - self.mean[..., None, None])
        return (np.where(self._known, left, 0.0) ** 2).sum(axis=(-1, -2))

    def _skewed(self, units: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Variance of the mean of units ``(..., N)``, and of their logarithms.

        The first is the larger of the plain one and that of the mean of a lognormal (D. R. Cox in
        C. E. Land, Technometrics 14(1), 1972).
        """
        count = np.maximum(np.isfinite(units).sum(axis=-1), 1)
        plain = _variance(units) / count
        logs = np.log(np.where(self.positive[..., None] & np.isfinite(units), units, np.nan))
        spread = np.where(self.positive, _variance(logs), 0.0)
        cox = spread / count + spread**2 / (2 * np.maximum(count - 1, 1))
        return np.maximum(plain, np.nan_to_num(self.mean**2 * cox)), spread


class Difference:
    """Means of ``a`` minus means of ``b``, ``(...)`` each, paired by flight.

    A flight counts where both have a value: in every training seed's row it is left out of the
    one that lacks it, and out of both where one side lacks it in all rows.

    Raises:
        ValueError: for different numbers of flights.
    """

    def __init__(self, a: Estimate, b: Estimate):
        sizes = a.by_flight.shape[-1], b.by_flight.shape[-1]
        if sizes[0] != sizes[1]:
            raise ValueError(f"flights differ: {sizes[0]} and {sizes[1]}; expected paired flights")
        both = a.has_flight & b.has_flight
        a = a if (both == a.has_flight).all() else a.restricted(both)
        b = b if (both == b.has_flight).all() else b.restricted(both)
        self.a, self.b = a, b
        self.mean = a.mean - b.mean
        self.by_flight = a.by_flight - b.by_flight
        paired = _variance(self.by_flight) / np.maximum(a.n_flights, 1)
        rounding = 1e-9 * np.nan_to_num(np.abs(a.mean) + np.abs(b.mean))
        common = paired - a.noise - b.noise
        common = np.where(common > rounding**2, common, 0.0)
        self.flights = Part(np.sqrt(np.maximum(common, 0.0)), a.flights.df)
        self._paired_se = np.sqrt(np.where(paired > rounding**2, paired, 0.0))
        self.df = freedom(a.seeds, b.seeds, self.flights)
        self._rounding = rounding
        single = (a.n_seeds < 2) & (b.n_seeds < 2)
        self.judged = np.isfinite(self.mean) & (~single | (a.n_flights > 1))

    @cached_property
    def limits(self) -> tuple[np.ndarray, np.ndarray]:
        """Ends of the 95 % interval ``(...)``; NaN where there is none."""
        down, up = self._margins(1 - LEVEL)
        return (
            np.where(self.judged, self.mean - down, np.nan),
            np.where(self.judged, self.mean + up, np.nan),
        )

    @cached_property
    def p(self) -> np.ndarray:
        """The least ``alpha`` whose interval leaves zero out, ``(...)``; 1 where there is none.

        Its interval has the margins that hold far out in the tail, see `Part.margins`.
        """
        low, high = np.full(self.mean.shape, math.log(_TINY)), np.zeros(self.mean.shape)
        distance = np.abs(np.nan_to_num(self.mean))
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            down, up = self._margins(np.exp(middle), safe=True)
            outside = distance > np.where(self.mean > 0, down, up)
            low, high = np.where(outside, low, middle), np.where(outside, middle, high)
        told = self.judged & (distance > self._rounding)
        return np.where(told, np.exp(high), 1.0)

    @property
    def se(self) -> np.ndarray:
        """Standard error of all parts together, ``(...)``."""
        return np.sqrt(self.a.seeds.se**2 + self.b.seeds.se**2 + self.flights.se**2)

    @cached_property
    def _safe_df(self) -> np.ndarray:
        """Of few seeds the least: far in the tail the sum of two variances is too rough."""
        safe = self.df
        for side in (self.a, self.b):
            few = (side.n_seeds > 1) & (side.n_seeds < _FEW) & (side.seeds.se > 0)
            safe = np.where(few, np.minimum(safe, side.seeds.df), safe)
        return safe

    @cached_property
    def _safe_flights_df(self) -> np.ndarray:
        """Of the flights' part: of few flights their own, however many seeds there are beside."""
        few = self.a.n_flights < _FEW
        return np.where(few, np.minimum(self._safe_df, self.flights.df), self._safe_df)

    def _margins(
        self, alpha: float | np.ndarray, *, safe: bool = False
    ) -> tuple[np.ndarray, np.ndarray]:
        t = quantile(self._safe_df if safe else self.df, alpha)
        tail = alpha if safe else None
        a_down, a_up = self.a.seeds.margins(self.a.mean, self.a.positive, t, tail)
        b_down, b_up = self.b.seeds.margins(self.b.mean, self.b.positive, t, tail)
        both = self.flights.se * t
        if safe:  # a variance less the noise is too small too often
            both = self._paired_se * quantile(self._safe_flights_df, alpha)
        return np.sqrt(a_down**2 + b_up**2 + both**2), np.sqrt(a_up**2 + b_down**2 + both**2)


def _mean(filled: np.ndarray, known: np.ndarray, axis: int) -> np.ndarray:
    count = known.sum(axis=axis)
    total = np.where(known, filled, 0.0).sum(axis=axis)
    return np.divide(total, count, out=np.full(count.shape, np.nan), where=count > 0)


def _variance(units: np.ndarray) -> np.ndarray:
    """Of the known ones along the last axis, with N - 1; 0 of fewer than two."""
    known = np.isfinite(units)
    filled = np.where(known, units, 0.0)
    left = np.where(known, filled - np.nan_to_num(_mean(filled, known, -1))[..., None], 0.0)
    return (left**2).sum(axis=-1) / np.maximum(known.sum(axis=-1) - 1, 1)


def _interquartile(units: np.ndarray) -> tuple[np.ndarray, Part]:
    """Trimmed mean of the known units ``(..., N)`` with its winsorised standard error."""
    n = np.isfinite(units).sum(axis=-1)
    cut = (TRIM * n).astype(int)
    place = np.arange(units.shape[-1])
    ordered = np.sort(units, axis=-1)  # NaN last
    inner = (place >= cut[..., None]) & (place < (n - cut)[..., None])
    mean = _mean(np.nan_to_num(ordered), inner, -1)
    last = np.clip(n - cut - 1, 0, None)[..., None]
    nearest = np.clip(place, cut[..., None], last)
    winsorised = np.take_along_axis(ordered, nearest, axis=-1)
    spread = _variance(np.where(place < n[..., None], winsorised, np.nan))
    kept = n - 2 * cut
    se = np.sqrt(spread * np.maximum(n - 1, 0) / np.maximum(kept * (kept - 1), 1))
    return mean, Part(se, np.maximum(kept - 1, 0))


def _ends(mean, parts, positive, judged) -> tuple[np.ndarray, np.ndarray]:
    t = quantile(freedom(*parts), 1 - LEVEL)
    down, up = zip(*(part.margins(mean, positive, t) for part in parts), strict=True)
    low = mean - np.sqrt(sum(side**2 for side in down))
    high = mean + np.sqrt(sum(side**2 for side in up))
    return np.where(judged, low, np.nan), np.where(judged, high, np.nan)
