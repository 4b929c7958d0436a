import numpy as np
import pytest
from scipy import stats

from liquid_control.evaluation.suite.estimates import Difference, Estimate
from liquid_control.evaluation.suite.family import Family
from liquid_control.evaluation.suite.statistics import (
    difference_interval,
    interquartile_interval,
    mean_interval,
    rate_interval,
)


def _rng(seed=0):
    return np.random.default_rng(seed)


def _ends(interval):
    return interval.mean, interval.low, interval.high


def test_signed_values_of_one_seed_have_students_interval():
    values = _rng(1).normal(0, 1, (1, 40))
    theirs = stats.ttest_1samp(values[0], 0).confidence_interval()
    assert _ends(mean_interval(values)) == pytest.approx((values.mean(), *theirs))
    a, b = _rng(2).normal(0, 1, (2, 1, 30))
    theirs = stats.ttest_rel(a[0], b[0]).confidence_interval()
    assert _ends(difference_interval(a, b))[1:] == pytest.approx(tuple(theirs))


def test_seeds_without_noise_have_welchs_interval():
    a, b = _rng(3).normal(0, 1, (6, 1)), _rng(4).normal(0, 3, (9, 1))
    theirs = stats.ttest_ind(a[:, 0], b[:, 0], equal_var=False)
    difference = Difference(*(Estimate(np.tile(x, (1, 5))) for x in (a, b)))
    assert difference.limits == pytest.approx(tuple(theirs.confidence_interval()))
    many = [np.tile(_rng(k).normal(0, k, (12, 1)), (1, 5)) for k in (5, 6)]
    theirs = stats.ttest_ind(many[0][:, 0], many[1][:, 0], equal_var=False)
    assert Difference(*map(Estimate, many)).p == pytest.approx(theirs.pvalue, rel=1e-6)


def test_positive_values_reach_further_up_than_down():
    interval = mean_interval(_rng(5).lognormal(0, 0.5, (10, 1)) * np.ones((1, 4)))
    assert interval.low > 0
    assert interval.high - interval.mean > interval.mean - interval.low


def test_the_interquartile_mean_is_yuens_and_forgets_a_run_that_failed():
    seeds = _rng(6).normal(0, 1, 12)
    theirs = stats.ttest_ind(seeds, np.zeros(12), equal_var=False, trim=0.25)
    ours = interquartile_interval(np.tile(seeds[:, None], (1, 3)))
    assert ours.mean == pytest.approx(stats.trim_mean(seeds, 0.25))
    assert _ends(ours)[1:] == pytest.approx(tuple(theirs.confidence_interval()))
    values = np.ones((10, 1)) + _rng(7).normal(0, 0.01, (10, 4))
    failed = np.vstack([values[:9], 30 * values[9:]])
    assert interquartile_interval(failed).mean == pytest.approx(1.0, abs=0.02)
    assert mean_interval(failed).mean > 3


def test_many_at_once_are_those_one_by_one():
    a, b = _rng(8).lognormal(0, 0.3, (2, 6, 5, 7))
    a[2, 1, 3] = a[3, :, 2] = np.nan
    both = Difference(Estimate(a), Estimate(b))
    for k in range(6):
        low, high = (end[k] for end in both.limits)
        assert _ends(difference_interval(a[k], b[k])) == pytest.approx((both.mean[k], low, high))


def test_training_seeds_widen_the_interval():
    values = 5 + _rng(9).normal(0, 1, (8, 1)) + _rng(10).normal(0, 0.1, (1, 50))
    flights_only = mean_interval(values[:1])
    assert mean_interval(values).high - mean_interval(values).low > 1
    assert flights_only.high - flights_only.low < 0.2


def test_pairing_finds_a_difference_smaller_than_the_spread_of_flights():
    rng = _rng(5)
    hard = rng.gamma(2, 1, (1, 50))  # some winds are harder for everybody
    a = hard + rng.normal(0, 0.05, (3, 50))
    b = hard + 0.1 + rng.normal(0, 0.05, (1, 50))
    paired = difference_interval(a, b)
    assert paired.low < -0.1 < paired.high < 0
    assert paired.high - paired.low < 0.1 * (mean_interval(a).high - mean_interval(a).low)


def test_no_difference_is_not_found():
    values = _rng(6).gamma(2, 1, (1, 50))
    assert _ends(difference_interval(values, values)) == (0, 0, 0)
    assert Difference(Estimate(values), Estimate(values)).p == 1


def test_crashed_flights_are_left_out_on_both_sides():
    a = np.array([[1.0, 2.0, np.nan, 4.0]])
    b = np.array([[1.5, 2.5, 99.0, 4.5]])
    assert _ends(difference_interval(a, b)) == pytest.approx((-0.5, -0.5, -0.5))
    nothing = difference_interval(a, np.full((1, 4), np.nan))
    assert _ends(nothing) == _ends(mean_interval(np.full((2, 3), np.nan))) == (None,) * 3


def test_a_single_flight_of_a_single_seed_has_no_interval():
    assert _ends(mean_interval(np.ones((1, 1)))) == (1, None, None)
    assert _ends(difference_interval(np.ones((1, 1)), np.zeros((1, 1)))) == (1, None, None)


def test_unpaired_flights_are_refused():
    with pytest.raises(ValueError, match="3 and 4"):
        difference_interval(np.zeros((1, 3)), np.zeros((1, 4)))


def _table(conditions, scatter, correlation, policies=4, seeds=10, shift=0.0):
    """Estimates of policies, the last of which is worse by a share."""
    rng = _rng(11)
    found = {}
    for k in range(policies):
        run, own = (rng.standard_normal((n, seeds, 1)) for n in (1, conditions))
        drawn = np.sqrt(correlation) * run + np.sqrt(1 - correlation) * own
        worse = 1 + shift * (k == policies - 1)
        found[str(k)] = Estimate(worse * np.exp(scatter * drawn) * np.ones((1, 1, 4)))
    return found


def test_the_level_of_a_family_follows_what_is_compared():
    alone = Family(_table(1, 0.3, 0.0, policies=2))
    assert alone.level == pytest.approx(0.95, abs=0.01)
    apart, alike = (Family(_table(36, 0.3, c)) for c in (0.0, 0.999))
    assert apart.size == alike.size == 6 * 36
    assert alone.level < alike.level < apart.level < 1 - 0.05 / apart.size / 2
    assert 1 - apart.level == pytest.approx(0.05 / apart.size, rel=0.8)  # Bonferroni's, nearly


def test_what_is_clear_is_clear_both_ways_and_in_its_interval():
    family = Family(_table(12, 0.1, 0.5, shift=1.0))
    worse, better = family.between("3", "0"), family.between("0", "3")
    assert (worse.clear == 1).all()
    assert (better.clear == -1).all()
    assert (worse.low > 0).all()
    np.testing.assert_allclose((better.low, better.high), (-worse.high, -worse.low))
    assert (worse.p_family <= 0.05).all()
    same = family.between("0", "1")
    assert (same.p_family > 0.05).all()
    assert (same.p_family >= same.p).all()
    assert not same.clear.any()


def test_wilson_interval_of_no_crash_in_a_thousand():
    interval = rate_interval(0, 1000)
    assert interval.mean == interval.low == 0
    assert interval.high == pytest.approx(3.84146 / 1003.84146, rel=1e-4)
    assert rate_interval(10, 10).high == 1
    with pytest.raises(ValueError, match="11 events in 10"):
        rate_interval(11, 10)
