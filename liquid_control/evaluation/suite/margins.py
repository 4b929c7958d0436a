"""Margins of a mean: how far an interval reaches, of skewed and positive values further up.

The formulas and their sources are in `estimates`, which puts the parts together.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from liquid_control.config import missing_packages

try:
    from scipy import special
except ModuleNotFoundError:
    raise missing_packages("report", ["scipy"]) from None

LEVEL = 0.95  # of an interval
_LARGE = 50.0  # of a logarithm; exp of it is finite
_CHI_SQUARE = (special.gammaincinv, special.gammainccinv)  # quantiles, of half the variable


@dataclass(frozen=True)
class Part:
    """One independent part of what is uncertain of means ``(...)``: standard error and freedom."""

    se: np.ndarray  # 0 where it adds nothing
    df: np.ndarray  # degrees of freedom
    spread: np.ndarray | float = 0.0  # variance of the logarithms of the df + 1 units

    def margins(
        self,
        mean: np.ndarray,
        positive: np.ndarray,
        t: np.ndarray,
        alpha: np.ndarray | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """How far ``t`` standard errors reach down and up from the mean.

        With ``alpha``, the chance to miss on either side together, they are those of the mean of a
        lognormal where these are larger, which hold far out in the tail, too.
        """
        reach = self.se * t
        low = high = np.where(positive, reach / np.where(positive, mean, 1.0), 0.0)
        if alpha is not None and np.any(self.spread):
            df, half = np.maximum(self.df, 1), alpha / 2
            least, most = (2 * inverse(df / 2, half) / df for inverse in _CHI_SQUARE)
            center, variance = t * np.sqrt(self.spread / (df + 1)), self.spread / 2
            low = np.maximum(low, np.hypot(center, variance * np.clip(1 - 1 / most, 0, 1)))
            high = np.maximum(high, np.hypot(center, variance * np.clip(1 / least - 1, 0, _LARGE)))
        down = np.where(positive, -mean * np.expm1(-low), reach)
        up = np.where(positive, mean * np.expm1(np.minimum(high, _LARGE)), reach)
        return down, up


def freedom(*parts: Part) -> np.ndarray:
    """Of the variance that the parts have together (F. E. Satterthwaite, Biometrics 2(6), 1946)."""
    total = sum(part.se**2 for part in parts)
    least = sum(part.se**4 / np.maximum(part.df, 1) for part in parts)
    largest = np.max([part.df for part in parts], axis=0)
    return np.where(least > 0, total**2 / np.where(least > 0, least, 1.0), largest)


def quantile(df: np.ndarray, alpha: np.ndarray | float) -> np.ndarray:
    """Student's t that is exceeded on either side with probability ``alpha / 2``; 0 without df."""
    return np.where(df > 0, -special.stdtrit(np.maximum(df, 1), np.divide(alpha, 2)), 0.0)
