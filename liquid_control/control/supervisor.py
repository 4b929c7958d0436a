"""Who flies: the policy, the backup controller, a descent, or nobody.

| situation | mode |
|---|---|
| all well | POLICY |
| policy failed, envelope left, step too long; until `recovery_time` has passed without | BACKUP |
| odometry too old: level and descend on the IMU | DESCEND |
| IMU too old, or no measurement yet: send nothing, the autopilot's own failsafe acts | SILENT |
| the loop: the backup gives no finite command, or a step has no length in time | SILENT |
"""

from __future__ import annotations

import math
from enum import Enum

from liquid_control.control.gate import Estimate
from liquid_control.parameters import ControllerParameters


class Mode(str, Enum):
    """Who commands the vehicle."""

    POLICY = "policy"
    BACKUP = "backup"
    DESCEND = "descend"
    SILENT = "silent"


class Supervisor:
    """Chooses the mode of each step; a fault acts at once, recovery takes `recovery_time`."""

    def __init__(self, parameters: ControllerParameters):
        self.parameters = parameters
        self.reset()

    def reset(self) -> None:
        """As after start: nothing has failed."""
        self._since_fault = math.inf
        self._last_fault = ""

    def report_fault(self, reason: str) -> None:
        """Something of the policy failed in this step."""
        self._since_fault = 0.0
        self._last_fault = reason

    def choose(self, estimate: Estimate | None, cos_tilt: float, dt: float) -> tuple[Mode, str]:
        """Mode and reason (empty in POLICY) for this step, ``dt`` seconds after the last."""
        gate, envelope = self.parameters.input_gate, self.parameters.envelope
        self._since_fault += dt
        if estimate is None:
            return Mode.SILENT, "waiting for IMU and odometry"
        if estimate.imu_age > gate.max_imu_age:
            return Mode.SILENT, (
                f"IMU {estimate.imu_age * 1e3:.0f} ms old, limit {gate.max_imu_age * 1e3:.0f} ms"
            )
        if estimate.odometry_age > gate.max_odometry_age:
            return Mode.DESCEND, (
                f"odometry {estimate.odometry_age * 1e3:.0f} ms old, "
                f"limit {gate.max_odometry_age * 1e3:.0f} ms"
            )
        if dt > envelope.max_dt:
            self.report_fault(f"step of {dt * 1e3:.0f} ms, limit {envelope.max_dt * 1e3:.0f} ms")
        ang_vel = math.hypot(*estimate.ang_vel_body)
        if ang_vel > envelope.max_ang_vel:
            self.report_fault(f"body rate {ang_vel:.1f} rad/s, limit {envelope.max_ang_vel:.1f}")
        if envelope.max_tilt < math.pi and cos_tilt < math.cos(envelope.max_tilt):
            tilt = math.acos(min(max(cos_tilt, -1.0), 1.0))
            self.report_fault(f"tilt {tilt:.2f} rad, limit {envelope.max_tilt:.2f}")
        if self._since_fault < envelope.recovery_time or self._since_fault == 0.0:
            return Mode.BACKUP, self._last_fault
        return Mode.POLICY, ""
