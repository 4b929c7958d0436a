"""A fixed rate: absolute deadlines, measured steps, and lateness that is reported, not hidden."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from rclpy.clock import Clock, JumpThreshold
from rclpy.duration import Duration


@dataclass(frozen=True, slots=True)
class Tick:
    """One tick as it happened."""

    dt: float  # s since the tick before, measured
    lateness: float  # s after its time
    missed: int  # ticks that were skipped because their time, too, had passed


class FixedRate:
    """Ticks at multiples of ``period`` ns; an overrun skips ticks and never bursts.

    Args:
        period: ns between ticks.
        now: the clock, ns.
        sleep_until: sleeps until that clock shows a time in ns; may return early.
    """

    def __init__(self, period: int, now: Callable[[], int], sleep_until: Callable[[int], None]):
        self._period, self._now, self._sleep_until = period, now, sleep_until
        self._last = now() - period
        self._next = self._last + period

    def wait(self) -> Tick:
        """Sleep until the next tick is due."""
        self._sleep_until(self._next)
        now = self._now()
        lateness = now - self._next
        if lateness < -self._period:  # the clock was set back: begin a new schedule
            self._last, self._next, lateness = now - self._period, now, 0
        missed = max(0, lateness // self._period)
        self._next += (missed + 1) * self._period
        dt, self._last = now - self._last, now
        return Tick(dt * 1e-9, max(0, lateness) * 1e-9, missed)


def sleep_until_steady(deadline: int) -> None:
    """Sleep until `time.monotonic_ns` shows ``deadline``."""
    left = deadline - time.monotonic_ns()
    if left > 0:
        time.sleep(left * 1e-9)


class RosSleeper:
    """Sleeps by a node's ROS clock, which follows /clock under ``use_sim_time``.

    `Clock.sleep_until` would do, but registers one more shutdown callback with every call.
    """

    def __init__(self, clock: Clock, stopped: threading.Event):
        self._clock, self._stopped = clock, stopped
        self._moved = threading.Condition()
        threshold = JumpThreshold(
            min_forward=Duration(nanoseconds=1),
            min_backward=Duration(nanoseconds=-1),
            on_clock_change=True,
        )
        self._handle = clock.create_jump_callback(threshold, post_callback=self._on_jump)

    def _on_jump(self, _) -> None:
        with self._moved:
            self._moved.notify_all()

    def now(self) -> int:
        """Time of the ROS clock, ns."""
        return self._clock.now().nanoseconds

    def sleep_until(self, deadline: int) -> None:
        """Sleep until the clock shows ``deadline``, or the thread should stop."""
        with self._moved:
            while self.now() < deadline and not self._stopped.is_set():
                self._moved.wait(0.1)
