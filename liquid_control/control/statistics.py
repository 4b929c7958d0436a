"""What a running control loop is like: counts, latencies, what was refused. Needs no ROS.

The controller node shows it on ``/diagnostics``; whoever runs a `ControlLoop` elsewhere can use it
the same way: `record` after each step, `values` whenever somebody looks.
"""

from __future__ import annotations

import threading
from collections import deque

import numpy as np

from liquid_control import wire
from liquid_control.control.rate import Tick
from liquid_control.control.steps import LoopStep, fault_of
from liquid_control.structs import SensorFrame


class LoopStatistics:
    """Counts and times the steps of a loop; written by its thread, read by another.

    Args:
        window: the newest steps that percentiles are over.

    Attributes:
        step: the newest; ``None`` before the first.
        stamp: ns, what it answered.
    """

    def __init__(self, window: int = 1000):
        self._lock = threading.Lock()
        self._times: dict[str, deque[float]] = {
            name: deque(maxlen=window) for name in ("step_us", "policy_us", "lateness_us")
        }
        self._refused: dict[str, int] = {}
        self._last_refused = ""
        self._new_clocks, self._last_clock = 0, ""
        self._frame: SensorFrame | None = None
        self.step: LoopStep | None = None
        self.stamp = 0
        self.steps = self.late = self.silent = 0
        self._first_fault = ""

    def refuse(self, reason: str) -> None:
        """Count a message or measurement that was not used; the reason without its figures."""
        with self._lock:
            kind = reason.split(":")[0]
            self._refused[kind] = self._refused.get(kind, 0) + 1
            self._last_refused = reason

    def follow_clock(self, reason: str) -> None:
        """Count a clock that was found to have moved, and is followed."""
        with self._lock:
            self._new_clocks, self._last_clock = self._new_clocks + 1, reason

    def record(
        self, stamp: int, frame: SensorFrame, step: LoopStep, tick: Tick, step_time: float
    ) -> bool:
        """Take in one step of ``step_time`` s; True if its mode is not that of the step before."""
        for fault in step.faults:
            self.refuse(fault)
        for clock in step.clocks:
            self.follow_clock(clock)
        with self._lock:
            switched = self.step is None or self.step.mode is not step.mode
            self.stamp, self.step, self._frame = stamp, step, frame
            self._first_fault = self._first_fault or fault_of(step)
            self.steps += 1
            self.late += tick.missed > 0
            self.silent += step.command is None
            self._times["step_us"].append(step_time)
            self._times["lateness_us"].append(tick.lateness)
            if np.isfinite(step.policy_time):
                self._times["policy_us"].append(step.policy_time)
        return switched

    def values(self) -> dict[str, object]:
        """Everything by name, for people: counts, percentiles in µs, refusals, the newest step."""
        with self._lock:
            values: dict[str, object] = {
                "steps": self.steps,
                "late_ticks": self.late,
                "silent_steps": self.silent,
            }
            for name, times in self._times.items():
                if times:
                    p50, p99 = np.percentile(times, (50, 99)) * 1e6
                    values |= {f"{name}_p50": f"{p50:.1f}", f"{name}_p99": f"{p99:.1f}"}
            values |= {f"refused {kind}": count for kind, count in self._refused.items()}
            if self._refused:
                values["last refused"] = self._last_refused
            if self._new_clocks:
                values |= {"new clocks": self._new_clocks, "last new clock": self._last_clock}
            if self._first_fault:
                values[wire.FIRST_FAULT] = self._first_fault
            if self.step is not None:
                values |= {"mode": self.step.mode.value, "reason": self.step.reason}
                values |= _ages(self._frame)
        return values


def _ages(frame: SensorFrame) -> dict[str, str]:
    readings = {"imu": frame.imu, "odometry": frame.odometry, "image": frame.image, **frame.others}
    return {
        f"{sensor}_age_ms": f"{reading.age * 1e3:.1f}"
        for sensor, reading in readings.items()
        if reading is not None
    }
