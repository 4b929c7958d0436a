"""Sleeping by a node's ROS clock, which may be that of a simulation."""

from __future__ import annotations

import threading

from rclpy.clock import Clock, JumpThreshold
from rclpy.duration import Duration


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
