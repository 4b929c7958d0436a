"""Input gate: which measurements are fit to fly on, and what to believe while one is missing.

Odometry that is late or missing is dead-reckoned on the IMU up to now: attitude from the gyro,
velocity from the accelerometer, position from the velocity.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from liquid_control.control.stamps import TIME_RESOLUTION, SensorClock
from liquid_control.frames import integrate_components, rotate_components
from liquid_control.parameters import InputGateParameters
from liquid_control.structs import GRAVITY, OdometrySample, SensorFrame, Setpoint

_HISTORY = 64  # control steps
_LONGEST_RECKONING = 1.0  # s that one step is dead-reckoned over

# What no vehicle of this project measures or is asked for: larger lengths are faults of the sender.
_MAX_POS = 1e4  # m from the origin of the world frame
_MAX_VEL = 1e3  # m/s
_MAX_ANG_VEL = 1e3  # rad/s
_MAX_FORCE = 1e4  # m/s²
_MAX_SETPOINT_VEL = 100.0  # m/s
_MAX_SETPOINT_ACC = 100.0  # m/s²

Floats = Sequence[float]  # plain: on three numbers they take a fraction of NumPy's time


@dataclass(slots=True)
class Estimate:
    """The newest accepted measurements; pose and velocity are those of now."""

    pos_world: Floats  # (3,) m
    quat_world_body: Floats  # (4,) xyzw
    vel_body: Floats  # (3,) m/s
    ang_vel_body: Floats  # (3,) rad/s, gyro
    specific_force_body: Floats  # (3,) m/s²
    imu_age: float  # s
    odometry_age: float  # s


class _Imu(NamedTuple):
    """An accepted `ImuSample` as plain floats."""

    ang_vel_body: Floats
    specific_force_body: Floats


def _excess(*checks: tuple[str, Floats, float, str]) -> str:
    """The first vector (name, components, limit, unit) that is not finite or too long; or ""."""
    for name, vector, limit, unit in checks:
        length = math.hypot(*vector)
        if not length <= limit:  # NaN is not, either
            if not all(map(math.isfinite, vector)):
                return "not finite"
            return f"{name} of {length:.3g} {unit}, limit {limit:g} {unit}"
    return ""


def setpoint_fault(setpoint: Setpoint) -> str:
    """Why a setpoint can't be flown to; "" if it can."""
    if not math.isfinite(setpoint.yaw):
        return "not finite"
    return _excess(
        ("position", setpoint.pos_world.tolist(), _MAX_POS, "m"),
        ("velocity", setpoint.vel_world.tolist(), _MAX_SETPOINT_VEL, "m/s"),
        ("acceleration", setpoint.acc_world.tolist(), _MAX_SETPOINT_ACC, "m/s^2"),
    )


class InputGate:
    """Accepts samples that are finite, in order and normalised; keeps the last good one.

    A sample that fails is dropped and named in `faults`; the age of the good one goes on. What is
    given out is finite, always. `clocks` names the sensors whose clock was found to have moved.
    """

    def __init__(self, parameters: InputGateParameters):
        self.parameters = parameters
        self.reset()

    def reset(self) -> None:
        """Forget all measurements."""
        self._imu: _Imu | None = None
        self._odometry: OdometrySample | None = None
        self._imu_clock, self._odometry_clock = SensorClock(), SensorClock()
        self._pos = self._quat = self._vel_body = ()
        # (dt, sample) of the newest steps since odometry came, to bring late ones up to now
        self._history: deque[tuple[float, _Imu]] = deque(maxlen=_HISTORY)
        self.faults: tuple[str, ...] = ()
        self.clocks: tuple[str, ...] = ()

    def update(self, frame: SensorFrame, dt: float) -> Estimate | None:
        """Take a frame, ``dt`` seconds after the one before; ``None`` until both sensors came."""
        faults: list[str] = []
        self.clocks = ()
        self._imu_clock.pass_time(dt)
        self._odometry_clock.pass_time(dt)
        dt = min(dt, _LONGEST_RECKONING)
        self._take_imu(frame, faults)
        if self._imu is not None and self._odometry is not None:
            self._history.append((dt, self._imu))
        self._take_odometry(frame, dt, faults)
        self.faults = tuple(faults)
        if self._imu is None or self._odometry is None:
            return None
        return Estimate(
            self._pos,
            self._quat,
            self._vel_body,
            self._imu.ang_vel_body,
            self._imu.specific_force_body,
            self._imu_clock.age,
            self._odometry_clock.age,
        )

    def _take_imu(self, frame: SensorFrame, faults: list[str]) -> None:
        sample = frame.imu
        if sample is None:
            return
        ang_vel, force = sample.ang_vel_body.tolist(), sample.specific_force_body.tolist()
        fault = _excess(
            ("body rate", ang_vel, _MAX_ANG_VEL, "rad/s"),
            ("specific force", force, _MAX_FORCE, "m/s^2"),
        ) or self._check_stamp("imu", self._imu_clock, sample.stamp, frame.imu_age)
        if fault:
            faults.append(f"imu: {fault}")
        else:
            self._imu = _Imu(ang_vel, force)

    def _take_odometry(self, frame: SensorFrame, dt: float, faults: list[str]) -> None:
        sample, last = frame.odometry, self._odometry
        if sample is not None and sample is not last and self._accept(sample, frame, faults):
            self._odometry = sample
            self._catch_up(frame.odometry_age)
        elif self._imu is not None and last is not None:
            self._dead_reckon(dt, self._imu)
            if _excess(("", self._pos, _MAX_POS, ""), ("", self._vel_body, _MAX_VEL, "")):
                self._odometry = None  # reckoned for too long, on too bad an IMU

    def _accept(self, sample: OdometrySample, frame: SensorFrame, faults: list[str]) -> bool:
        """Take the pose and velocity of a sample that is newer and has no fault."""
        if sample.stamp == self._odometry_clock.stamp:
            return False
        pos, quat = sample.pos_world.tolist(), sample.quat_world_body.tolist()
        vel = sample.vel_body.tolist()
        norm = math.hypot(*quat)
        fault = _excess(
            ("position", pos, _MAX_POS, "m"),
            ("velocity", vel, _MAX_VEL, "m/s"),
            ("body rate", sample.ang_vel_body.tolist(), _MAX_ANG_VEL, "rad/s"),
        )
        if not fault and not abs(norm - 1) <= self.parameters.max_quat_error:
            fault = f"quaternion of norm {norm:.3f}, expected 1"
        fault = fault or self._check_stamp(
            "odometry", self._odometry_clock, sample.stamp, frame.odometry_age
        )
        if fault:
            faults.append(f"odometry: {fault}")
            return False
        self._pos, self._quat, self._vel_body = pos, [q / norm for q in quat], vel
        return True

    def _check_stamp(self, sensor: str, clock: SensorClock, stamp: int, age: float) -> str:
        """Why a sample can't be taken; the steps before it count no more where its clock moved."""
        fault = clock.take(stamp, age, self.parameters)
        if clock.moved:
            self.clocks += (f"{sensor}: clock moved by {clock.moved:+.3f} s",)
            self._history.clear()
        return fault

    def _catch_up(self, age: float) -> None:
        """Dead-reckon over the last ``age`` seconds."""
        late = []
        for dt, imu in reversed(self._history):
            if age <= TIME_RESOLUTION:
                break
            late.append((min(dt, age), imu))
            age -= dt
        for dt, imu in reversed(late):
            self._dead_reckon(dt, imu)

    def _dead_reckon(self, dt: float, imu: _Imu) -> None:
        qx, qy, qz, qw = self._quat
        vx, vy, vz = self._vel_body
        wx, wy, wz = imu.ang_vel_body
        fx, fy, fz = imu.specific_force_body
        px, py, pz = self._pos
        ux, uy, uz = rotate_components(qx, qy, qz, qw, vx, vy, vz)
        self._pos = (px + ux * dt, py + uy * dt, pz + uz * dt)
        gx, gy, gz = rotate_components(-qx, -qy, -qz, qw, 0.0, 0.0, -GRAVITY)
        # v̇ = f + g − ω × v, all in the body frame
        self._vel_body = (
            vx + (fx + gx - (wy * vz - wz * vy)) * dt,
            vy + (fy + gy - (wz * vx - wx * vz)) * dt,
            vz + (fz + gz - (wx * vy - wy * vx)) * dt,
        )
        self._quat = integrate_components(self._quat, imu.ang_vel_body, dt)
