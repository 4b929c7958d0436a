import pytest

from liquid_control.control.rate import FixedRate

PERIOD = 10_000_000


class FakeClock:
    """Sleeps exactly; `busy` is work between ticks."""

    def __init__(self):
        self.time = 1_000

    def now(self):
        return self.time

    def sleep_until(self, deadline):
        self.time = max(self.time, deadline)


def test_ticks_keep_to_multiples_of_the_period():
    clock = FakeClock()
    rate = FixedRate(PERIOD, clock.now, clock.sleep_until)
    for k in range(5):
        tick = rate.wait()
        assert clock.time == 1_000 + k * PERIOD
        assert (tick.dt, tick.lateness, tick.missed) == (PERIOD * 1e-9, 0, 0)
        clock.time += 3_000_000


def test_late_tick_is_reported_and_the_next_is_on_time():
    clock = FakeClock()
    rate = FixedRate(PERIOD, clock.now, clock.sleep_until)
    rate.wait()
    clock.time += 14_000_000
    tick = rate.wait()
    assert tick.lateness == pytest.approx(4e-3)
    assert tick.dt == pytest.approx(14e-3)
    assert tick.missed == 0
    assert rate.wait().dt == pytest.approx(6e-3)  # back on the grid


def test_overrun_skips_and_never_bursts():
    clock = FakeClock()
    rate = FixedRate(PERIOD, clock.now, clock.sleep_until)
    rate.wait()
    clock.time += 37_000_000
    tick = rate.wait()
    assert tick.missed == 2  # the ticks of 20 and 30 ms, of which one is this
    assert tick.dt == pytest.approx(37e-3)
    tick = rate.wait()
    assert clock.time == 1_000 + 4 * PERIOD
    assert tick.missed == 0


def test_clock_that_is_set_back_begins_a_new_schedule():
    clock = FakeClock()
    clock.time = 100 * PERIOD

    def wake_early(deadline):
        pass

    rate = FixedRate(PERIOD, clock.now, wake_early)
    rate.wait()
    clock.time = 0
    tick = rate.wait()
    assert (tick.dt, tick.lateness) == (PERIOD * 1e-9, 0)
    clock.time = PERIOD
    assert rate.wait().dt == pytest.approx(PERIOD * 1e-9)
