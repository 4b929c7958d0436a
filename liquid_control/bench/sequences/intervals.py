"""95 % intervals of a mean: over training seeds, and over seeds and rollouts together."""

import numpy as np

LEVEL = 0.95


def seeds_interval(score_S) -> tuple[float, float] | None:
    """Student's t interval of the mean over seeds; None for a single one."""
    score_S = np.asarray(score_S, dtype=float)
    if len(score_S) < 2:
        return None
    return _interval(score_S.mean(), score_S.var(ddof=1) / len(score_S), len(score_S) - 1)


def crossed_interval(score_SG) -> tuple[float, float] | None:
    """Interval of the mean over S seeds crossed with G rollouts that all of them were judged on.

    What other seeds *and* other rollouts would give: the variance of the mean in the two-way layout
    of random effects, (MS_seeds + MS_rollouts - MS_rest)/(S G), with Satterthwaite's degrees of
    freedom (F. E. Satterthwaite, Biometrics Bulletin 2, 1946); at least that of either factor by
    itself. None with fewer than two of either.
    """
    score_SG = np.asarray(score_SG, dtype=float)
    if score_SG.ndim != 2 or min(score_SG.shape) < 2:
        return None
    count_S, count_G = score_SG.shape
    mean = score_SG.mean()
    seeds_S = score_SG.mean(axis=1) - mean
    rollouts_G = score_SG.mean(axis=0) - mean
    rest = score_SG - mean - seeds_S[:, None] - rollouts_G[None, :]
    free = np.array([count_S - 1, count_G - 1, (count_S - 1) * (count_G - 1)])
    squares = count_G * (seeds_S**2).sum(), count_S * (rollouts_G**2).sum(), (rest**2).sum()
    parts = np.array(squares) / free / score_SG.size * (1, 1, -1)
    least = int(np.argmax(parts[:2]))
    if parts.sum() <= parts[least]:
        return _interval(mean, parts[least], free[least])
    return _interval(mean, parts.sum(), parts.sum() ** 2 / (parts**2 / free).sum())


def _interval(mean: float, variance: float, free: float) -> tuple[float, float]:
    from scipy.stats import t  # comes with scikit-learn

    half = t.ppf(0.5 + LEVEL / 2, free) * variance**0.5
    return float(mean - half), float(mean + half)
