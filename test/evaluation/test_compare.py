import numpy as np
import pytest

from liquid_control.evaluation.suite.statistics import (
    difference_interval,
    mean_interval,
    rate_interval,
)


def _rng(seed=0):
    return np.random.default_rng(seed)


def test_interval_of_one_seed_agrees_with_scipy():
    stats = pytest.importorskip("scipy.stats")
    values = _rng(1).gamma(2.0, 1.0, 40)
    theirs = stats.bootstrap(
        (values,), np.mean, n_resamples=4000, method="percentile", rng=_rng(2)
    ).confidence_interval
    ours = mean_interval(values[None])
    assert ours.mean == pytest.approx(values.mean())
    assert ours.low == pytest.approx(theirs.low, abs=0.04)
    assert ours.high == pytest.approx(theirs.high, abs=0.04)


def test_intervals_cover_the_truth_as_often_as_they_say():
    """Training seeds of spread 1 by flights of spread 2: the interval must know of both."""
    rng, hits, trials = _rng(4), 0, 150
    for trial in range(trials):
        values = 5 + rng.normal(0, 1, (8, 1)) + rng.normal(0, 2, (1, 50))
        interval = mean_interval(values, seed=trial)
        hits += interval.low <= 5 <= interval.high
    assert 0.85 <= hits / trials <= 1.0
    flights_only = mean_interval(values.mean(axis=0, keepdims=True))
    assert interval.high - interval.low > flights_only.high - flights_only.low


def test_pairing_finds_a_difference_smaller_than_the_spread_of_flights():
    rng = _rng(5)
    hard = rng.gamma(2, 1, (1, 50))  # some winds are harder for everybody
    a = hard + rng.normal(0, 0.05, (3, 50))
    b = hard + 0.1 + rng.normal(0, 0.05, (1, 50))
    paired = difference_interval(a, b)
    assert paired.sign == -1
    assert paired.low < -0.1 < paired.high
    assert paired.high - paired.low < 0.1 * (mean_interval(a).high - mean_interval(a).low)


def test_no_difference_is_not_found():
    values = _rng(6).gamma(2, 1, (1, 50))
    assert difference_interval(values, values).sign == 0


def test_crashed_flights_are_left_out_on_both_sides():
    a = np.array([[1.0, 2.0, np.nan, 4.0]])
    b = np.array([[1.5, 2.5, 99.0, 4.5]])
    result = difference_interval(a, b)
    assert (result.mean, result.low, result.high) == pytest.approx((-0.5, -0.5, -0.5))
    nothing = difference_interval(a, np.full((1, 4), np.nan))
    assert nothing.mean is None
    assert nothing.sign == 0
    assert mean_interval(np.full((2, 3), np.nan)).mean is None


def test_unpaired_flights_are_refused():
    with pytest.raises(ValueError, match="3 and 4"):
        difference_interval(np.zeros((1, 3)), np.zeros((1, 4)))


def test_wilson_interval_of_no_crash_in_a_thousand():
    interval = rate_interval(0, 1000)
    assert interval.mean == interval.low == 0
    assert interval.high == pytest.approx(3.84146 / 1003.84146, rel=1e-4)
    assert rate_interval(10, 10).high == 1
    with pytest.raises(ValueError, match="11 events in 10"):
        rate_interval(11, 10)
