"""Input gate: which measurements are fit to fly on, and what to believe while one is missing.

Odometry that is late or missing is dead-reckoned on the IMU up to now: attitude from the gyro,
velocity from the accelerometer, position from the velocity.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from liquid_control.control.stamps import TIME_RESOLUTION, SensorClock
from liquid_control.frames import integrate_components, rotate_components
from liquid_control.parameters import InputGateParameters
from liquid_control.structs import (
    GRAVITY,
    ImageSample,
    ImuSample,
    OdometrySample,
    Reading,
    SensorFrame,
    Setpoint,
)

_UNKNOWN = (math.nan,) * 3
_HISTORY = 512  # control steps
_LONGEST_RECKONING = 1.0  # s that one step is dead-reckoned over

# What no vehicle of this project measures or is asked for: larger lengths are faults of the sender.
_POS = ("position", 1e4, "m")  # from the origin of the world frame
_VEL = ("velocity", 1e3, "m/s")
_ANG_VEL = ("body rate", 1e3, "rad/s")
_FORCE = ("specific force", 1e4, "m/s^2")
_SETPOINT_VEL = ("velocity", 100.0, "m/s")
_SETPOINT_ACC = ("acceleration", 100.0, "m/s^2")

Floats = Sequence[float]  # plain: on three numbers they take a fraction of NumPy's time


@dataclass(slots=True)
class Estimate:
    """The newest accepted measurements; pose and velocity are those of now.

    What no sensor of the vehicle measures is NaN; without an IMU the odometry gives the rates.
    """

    pos_world: Floats  # (3,) m
    quat_world_body: Floats  # (4,) xyzw
    vel_body: Floats  # (3,) m/s
    ang_vel_body: Floats  # (3,) rad/s, gyro
    specific_force_body: Floats  # (3,) m/s²
    ages: Mapping[str, float]  # s, of the newest good sample of each sensor; inf before the first


class _Imu(NamedTuple):
    """An accepted `ImuSample` as plain floats."""

    ang_vel_body: Floats
    specific_force_body: Floats


def _excess(vector: Floats, what: tuple[str, float, str]) -> str:
    """Why a vector can't be ``what`` (name, limit, unit), not finite or too long; "" if it can."""
    name, limit, unit = what
    length = math.hypot(*vector)
    if length <= limit:  # NaN is not
        return ""
    if not all(map(math.isfinite, vector)):
        return "not finite"
    return f"{name} of {length:.3g} {unit}, limit {limit:g} {unit}"


class Target(NamedTuple):
    """A `Setpoint` as plain floats, which its sender can't change any more."""

    pos_world: Floats
    vel_world: Floats
    acc_world: Floats
    yaw: float

    @classmethod
    def of(cls, setpoint: Setpoint) -> Target:
        """The setpoint as it is now."""
        return cls(
            setpoint.pos_world.tolist(),
            setpoint.vel_world.tolist(),
            setpoint.acc_world.tolist(),
            float(setpoint.yaw),
        )

    @property
    def fault(self) -> str:
        """Why it can't be flown to; "" if it can."""
        if not math.isfinite(self.yaw):
            return "not finite"
        return (
            _excess(self.pos_world, _POS)
            or _excess(self.vel_world, _SETPOINT_VEL)
            or _excess(self.acc_world, _SETPOINT_ACC)
        )


class InputGate:
    """Accepts samples that are finite, in order and normalised; keeps the last good one.

    A sample that fails is dropped and named in `faults`; the age of the good one goes on. What is
    given out is finite, always. `clocks` names the sensors whose clock was found to have moved.

    Args:
        parameters: limits of what is accepted.
        sensors: names of the sensors that the vehicle flies on; there is no estimate before each
            of them has come. Others are not looked at.
    """

    def __init__(
        self, parameters: InputGateParameters, sensors: Collection[str] = ("imu", "odometry")
    ):
        self.parameters = parameters
        # in this order: the odometry is dead-reckoned on the IMU of its step
        rank = ("imu", "odometry").index
        known = [s for s in sensors if s in ("imu", "odometry")]
        self.sensors = (*sorted(known, key=rank), *(s for s in sensors if s not in known))
        self.reset()

    def reset(self) -> None:
        """Forget all measurements, as before the first of a flight."""
        self._imu: _Imu | None = None
        self._odometry: OdometrySample | None = None
        self._clocks = {sensor: SensorClock() for sensor in self.sensors}
        self.image: ImageSample | None = None  # the newest good one
        self._pos = self._vel_body = _UNKNOWN
        self._quat = (*_UNKNOWN, math.nan)
        # (dt, sample) of the newest steps since odometry came, to bring late ones up to now
        self._history: deque[tuple[float, _Imu]] = deque(maxlen=_HISTORY)
        self.faults: tuple[str, ...] = ()
        self.clocks: tuple[str, ...] = ()

    def update(self, frame: SensorFrame, dt: float) -> Estimate | None:
        """Take a frame, ``dt`` seconds after the one before; ``None`` until all sensors came."""
        faults: list[str] = []
        self.clocks = ()
        for clock in self._clocks.values():
            clock.pass_time(dt)
        dt = min(dt, _LONGEST_RECKONING)
        for sensor in self.sensors:
            if sensor == "imu":
                self._take_imu(frame.imu, faults)
                if self._imu is not None and self._odometry is not None:
                    self._history.append((dt, self._imu))
            elif sensor == "odometry":
                self._take_odometry(frame.odometry, dt, faults)
            elif (reading := frame.reading(sensor)) is not None:
                self._take_other(sensor, reading, faults)
        self.faults = tuple(faults)
        if self._is_waiting():
            return None
        imu = self._imu
        if imu is None:
            rates = _UNKNOWN if self._odometry is None else self._odometry.ang_vel_body.tolist()
            imu = _Imu(rates, _UNKNOWN)
        return Estimate(
            self._pos,
            self._quat,
            self._vel_body,
            imu.ang_vel_body,
            imu.specific_force_body,
            {sensor: clock.age for sensor, clock in self._clocks.items()},
        )

    def _is_waiting(self) -> bool:
        """Whether a sensor has not come yet, or its samples could not be gone on from."""
        if self._odometry is None and "odometry" in self._clocks:
            return True
        return None in [clock.stamp for clock in self._clocks.values()]

    def _take_imu(self, reading: Reading[ImuSample] | None, faults: list[str]) -> None:
        if reading is None:
            return
        sample = reading.sample
        ang_vel, force = sample.ang_vel_body.tolist(), sample.specific_force_body.tolist()
        fault = (
            _excess(ang_vel, _ANG_VEL)
            or _excess(force, _FORCE)
            or self._check_stamp("imu", sample.stamp, reading.age)
        )
        if fault:
            faults.append(f"imu: {fault}")
        else:
            self._imu = _Imu(ang_vel, force)

    def _take_other(self, sensor: str, reading: Reading, faults: list[str]) -> None:
        """Of a sensor whose values are its user's: only its time is checked."""
        fault = self._check_stamp(sensor, reading.sample.stamp, reading.age)
        if fault:
            faults.append(f"{sensor}: {fault}")
        elif sensor == "image":
            self.image = reading.sample

    def _take_odometry(
        self, reading: Reading[OdometrySample] | None, dt: float, faults: list[str]
    ) -> None:
        sample, last = None if reading is None else reading.sample, self._odometry
        if sample is not None and self._accept(reading, faults):
            self._odometry = sample
            self._catch_up(reading.age)
        elif self._imu is not None and last is not None:
            self._dead_reckon(dt, self._imu)
            if _excess(self._pos, _POS) or _excess(self._vel_body, _VEL):
                self._odometry = None  # reckoned for too long, on too bad an IMU

    def _accept(self, reading: Reading[OdometrySample], faults: list[str]) -> bool:
        """Take the pose and velocity of a sample that is newer and has no fault."""
        sample = reading.sample
        if sample.stamp == self._clocks["odometry"].stamp:
            return False
        pos, quat = sample.pos_world.tolist(), sample.quat_world_body.tolist()
        vel = sample.vel_body.tolist()
        norm = math.hypot(*quat)
        fault = (
            _excess(pos, _POS)
            or _excess(vel, _VEL)
            or _excess(sample.ang_vel_body.tolist(), _ANG_VEL)
        )
        if not fault and not abs(norm - 1) <= self.parameters.max_quat_error:
            fault = f"quaternion of norm {norm:.3f}, expected 1"
        fault = fault or self._check_stamp("odometry", sample.stamp, reading.age)
        if fault:
            faults.append(f"odometry: {fault}")
            return False
        self._pos, self._quat, self._vel_body = pos, [q / norm for q in quat], vel
        return True

    def _check_stamp(self, sensor: str, stamp: int, age: float) -> str:
        """Why a sample can't be taken; the steps before it count no more where its clock moved."""
        clock = self._clocks[sensor]
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
