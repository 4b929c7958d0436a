"""Who flies: the policy, the backup controller, a halt, or nobody.

| situation | mode |
|---|---|
| all well | POLICY |
| policy failed, envelope left, step too long; until `recovery_time` has passed without | BACKUP |
| a sensor too old that the rules watch (odometry): the backup halts, i.e. descends | HALT |
| one too old that they need (IMU), or none yet: the autopilot's own failsafe acts | SILENT |
| not armed: commands don't act, so the neutral one is sent and nobody learns from it | STANDBY |
| the loop: the backup gives no finite command, or a step has no length in time | SILENT |
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from enum import Enum

from liquid_control.control.gate import Estimate
from liquid_control.control.rules import Rules
from liquid_control.control.strangers import ANYTHING, words
from liquid_control.parameters import EnvelopeParameters

_WORDS = {"imu": "IMU"}  # for people, where the name of a sensor is no word


class Mode(str, Enum):
    """Who commands the vehicle."""

    POLICY = "policy"
    BACKUP = "backup"
    HALT = "halt"
    SILENT = "silent"
    STANDBY = "standby"


class Supervisor:
    """Chooses the mode of each step; a fault acts at once, recovery takes `recovery_time`."""

    def __init__(self, rules: Rules, envelope: EnvelopeParameters, sensors: Iterable[str]):
        self.rules, self.envelope, self.sensors = rules, envelope, tuple(sensors)
        self.reset()

    def reset(self) -> None:
        """As after start: nothing has failed."""
        self._since_fault = math.inf
        self._last_fault = ""

    def report_fault(self, reason: str) -> None:
        """Something of the policy failed in this step."""
        self._since_fault = 0.0
        self._last_fault = reason

    def choose(self, estimate: Estimate | None, dt: float, armed: bool = True) -> tuple[Mode, str]:
        """Mode and reason (empty in POLICY) for this step, ``dt`` seconds after the last."""
        rules, envelope = self.rules, self.envelope
        self._since_fault += dt
        if estimate is None:
            awaited = " and ".join(_WORDS.get(sensor, sensor) for sensor in self.sensors)
            return Mode.SILENT, f"waiting for {awaited}"
        if stale := _stale(estimate.ages, rules.needs):
            return Mode.SILENT, stale
        if not armed:
            return Mode.STANDBY, "not armed"
        if stale := _stale(estimate.ages, rules.watches):
            return Mode.HALT, stale
        if dt > envelope.max_dt:
            self.report_fault(f"step of {dt * 1e3:.0f} ms, limit {envelope.max_dt * 1e3:.0f} ms")
        try:
            left = rules.left_envelope(estimate)
            if not isinstance(left, str):
                raise TypeError(f"expected words, got {left!r}")
        except ANYTHING as error:  # rules of somebody's vehicle; the backup flies on
            left = f"the envelope can't be told: {type(error).__name__}: {words(error)}"
        if left:
            self.report_fault(left)
        if self._since_fault < envelope.recovery_time or self._since_fault == 0.0:
            return Mode.BACKUP, self._last_fault
        return Mode.POLICY, ""


def _stale(ages: Mapping[str, float], limits: Mapping[str, float]) -> str:
    """The first sensor that is older than its limit, in words; "" if none is."""
    for sensor, limit in limits.items():
        if ages[sensor] > limit:
            word = _WORDS.get(sensor, sensor)
            return f"{word} {ages[sensor] * 1e3:.0f} ms old, limit {limit * 1e3:.0f} ms"
    return ""
