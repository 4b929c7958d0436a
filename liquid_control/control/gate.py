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

from liquid_control.frames import integrate_components, rotate_components
from liquid_control.parameters import InputGateParameters
from liquid_control.structs import GRAVITY, OdometrySample, SensorFrame

_HISTORY = 64  # control steps
_TIME_RESOLUTION = 1e-6  # s

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

    stamp: int  # ns
    ang_vel_body: Floats
    specific_force_body: Floats


def _finite(*vectors: Floats) -> bool:
    return math.isfinite(sum(map(sum, vectors)))


class InputGate:
    """Accepts samples that are finite, in order and normalised; keeps the last good one.

    A sample that fails is dropped and named in `faults`; the age of the good one goes on.
    """

    def __init__(self, parameters: InputGateParameters):
        self.parameters = parameters
        self.reset()

    def reset(self) -> None:
        """Forget all measurements."""
        self._imu: _Imu | None = None
        self._odometry: OdometrySample | None = None
        self._imu_age = self._odometry_age = math.inf
        self._pos = self._quat = self._vel_body = ()
        # (dt, sample) of the newest steps since odometry came, to bring late ones up to now
        self._history: deque[tuple[float, _Imu]] = deque(maxlen=_HISTORY)
        self.faults: tuple[str, ...] = ()

    def update(self, frame: SensorFrame, dt: float) -> Estimate | None:
        """Take a frame, ``dt`` seconds after the one before; ``None`` until both sensors came."""
        faults: list[str] = []
        self._take_imu(frame, dt, faults)
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
            self._imu_age,
            self._odometry_age,
        )

    def _take_imu(self, frame: SensorFrame, dt: float, faults: list[str]) -> None:
        sample, last = frame.imu, self._imu
        self._imu_age += dt
        if sample is None:
            return
        ang_vel, force = sample.ang_vel_body.tolist(), sample.specific_force_body.tolist()
        if not _finite(ang_vel, force):
            faults.append("imu: not finite")
        elif last is not None and sample.stamp < last.stamp:
            faults.append(f"imu: stamp goes back by {(last.stamp - sample.stamp) * 1e-9:.3f} s")
        else:
            self._imu, self._imu_age = _Imu(sample.stamp, ang_vel, force), frame.imu_age

    def _take_odometry(self, frame: SensorFrame, dt: float, faults: list[str]) -> None:
        sample, last = frame.odometry, self._odometry
        self._odometry_age += dt
        if sample is not None and sample is not last and self._accept(sample, last, faults):
            self._odometry, self._odometry_age = sample, frame.odometry_age
            self._catch_up(frame.odometry_age)
        elif self._imu is not None and last is not None:
            self._dead_reckon(dt, self._imu)

    def _accept(
        self, sample: OdometrySample, last: OdometrySample | None, faults: list[str]
    ) -> bool:
        """Take the pose and velocity of a sample that is newer and has no fault."""
        pos, quat = sample.pos_world.tolist(), sample.quat_world_body.tolist()
        vel = sample.vel_body.tolist()
        if not _finite(pos, quat, vel, sample.ang_vel_body.tolist()):
            faults.append("odometry: not finite")
            return False
        norm = math.hypot(*quat)
        if abs(norm - 1) > self.parameters.max_quat_error:
            faults.append(f"odometry: quaternion of norm {norm:.3f}, expected 1")
            return False
        if last is not None and sample.stamp < last.stamp:
            late = (last.stamp - sample.stamp) * 1e-9
            faults.append(f"odometry: stamp goes back by {late:.3f} s")
            return False
        if last is not None and sample.stamp == last.stamp:
            return False
        self._pos, self._quat, self._vel_body = pos, [q / norm for q in quat], vel
        return True

    def _catch_up(self, age: float) -> None:
        """Dead-reckon over the last ``age`` seconds."""
        late = []
        for dt, imu in reversed(self._history):
            if age <= _TIME_RESOLUTION:
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
