"""What the nodes say of themselves on /diagnostics."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue

from liquid_control.control.loop import LoopStep
from liquid_control.control.supervisor import Mode
from liquid_control.nodes.conversions import header_to_msg
from liquid_control.nodes.rate import Tick
from liquid_control.structs import SensorFrame
from liquid_control.wire import ACTIVE, CONTROL_LOOP, FLIGHT, OVER, STATE, StatusName

_LEVEL = {
    Mode.POLICY: DiagnosticStatus.OK,
    Mode.BACKUP: DiagnosticStatus.WARN,
    Mode.DESCEND: DiagnosticStatus.ERROR,
    Mode.SILENT: DiagnosticStatus.ERROR,
}


def status_to_msg(
    stamp: int, name: StatusName, level: bytes, message: str, values: dict[str, object]
) -> DiagnosticArray:
    """One status with its values as text."""
    pairs = [KeyValue(key=key, value=str(value)) for key, value in values.items()]
    status = DiagnosticStatus(level=level, name=str(name), message=message, values=pairs)
    return DiagnosticArray(header=header_to_msg(stamp, ""), status=[status])


# All vehicles speak on one topic: only the words of a node's own namespace are for it.


def is_active_controller(message: DiagnosticArray, namespace: str) -> bool:
    """Whether this is the word of the namespace's controller that it is ready to step."""
    return _says(message, namespace, CONTROL_LOOP, ACTIVE)


def is_from_simulator(message: DiagnosticArray, namespace: str) -> bool:
    """Whether the namespace's simulator speaks."""
    return _says(message, namespace, FLIGHT)


def is_flight_over(message: DiagnosticArray, namespace: str) -> bool:
    """Whether this is the last word of the namespace's simulator."""
    return _says(message, namespace, FLIGHT, OVER)


def _says(message: DiagnosticArray, namespace: str, about: str, state: str | None = None) -> bool:
    for status in message.status:
        name = StatusName.parse(status.name)
        if name.about == about and name.namespace == namespace:
            values = {pair.key: pair.value for pair in status.values}
            if state is None or values.get(STATE) == state:
                return True
    return False


@dataclass(frozen=True, slots=True)
class _Moment:
    stamp: int
    step: LoopStep
    frame: SensorFrame


def _moment_values(moment: _Moment) -> dict[str, object]:
    step, frame = moment.step, moment.frame
    readings = {"imu": frame.imu, "odometry": frame.odometry, "image": frame.image, **frame.others}
    ages = {
        f"{sensor}_age_ms": f"{reading.age * 1e3:.1f}"
        for sensor, reading in readings.items()
        if reading is not None
    }
    return {"mode": step.mode.value, "reason": step.reason, **ages}


class LoopDiagnostics:
    """Counts and times the steps of a control loop; written by its thread, read by another."""

    def __init__(self, name: StatusName, fixed: dict[str, object], window: int = 1000):
        self._name, self._fixed = name, fixed
        self._lock = threading.Lock()
        self._step_times: deque[float] = deque(maxlen=window)
        self._policy_times: deque[float] = deque(maxlen=window)
        self._lateness: deque[float] = deque(maxlen=window)
        self._refused: dict[str, int] = {}
        self._new_clocks, self._last_clock = 0, ""
        self._moment: _Moment | None = None
        self.steps = self.late = self.silent = 0

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
            switched = self._moment is None or self._moment.step.mode is not step.mode
            self._moment = _Moment(stamp, step, frame)
            self.steps += 1
            self.late += tick.missed > 0
            self.silent += step.command is None
            self._step_times.append(step_time)
            self._lateness.append(tick.lateness)
            if np.isfinite(step.policy_time):
                self._policy_times.append(step.policy_time)
        return switched

    def to_msg(self, state: str, conflict: str = "") -> DiagnosticArray:
        """The newest state, with percentiles over the last steps.

        Args:
            state: ACTIVE or INACTIVE.
            conflict: what makes it an error, whatever the loop does; "" if nothing.
        """
        with self._lock:
            moment = self._moment
            values: dict[str, object] = {STATE: state, **self._fixed}
            values |= {"steps": self.steps, "late_ticks": self.late, "silent_steps": self.silent}
            for name, times in (
                ("step_us", self._step_times),
                ("policy_us", self._policy_times),
                ("lateness_us", self._lateness),
            ):
                if times:
                    p50, p99 = np.percentile(times, (50, 99)) * 1e6
                    values |= {f"{name}_p50": f"{p50:.1f}", f"{name}_p99": f"{p99:.1f}"}
            values |= {f"refused {kind}": count for kind, count in self._refused.items()}
            if self._refused:
                values["last refused"] = self._last_refused
            if self._new_clocks:
                values |= {"new clocks": self._new_clocks, "last new clock": self._last_clock}
        stamp, level, message = 0, DiagnosticStatus.STALE, f"{state}, no step yet"
        if moment is not None:
            step = moment.step
            values |= _moment_values(moment)
            stamp, level = moment.stamp, _LEVEL[step.mode]
            message = f"{step.mode.value}: {step.reason}" if step.reason else step.mode.value
        if conflict:
            level, message = DiagnosticStatus.ERROR, f"{conflict}; {message}"
        return status_to_msg(stamp, self._name, level, message, values)
