"""Input gate: which measurements are fit to fly on, and what to believe while one is missing.

Odometry that is late or missing is dead-reckoned on the IMU up to now: attitude from the gyro,
velocity from the accelerometer, position from the velocity.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

from liquid_control.frames import quat_integrate, quat_normalize, rotate, rotate_inverse
from liquid_control.parameters import InputGateParameters
from liquid_control.structs import GRAVITY, ImuSample, OdometrySample, SensorFrame

_HISTORY = 64  # control steps
_TIME_RESOLUTION = 1e-6  # s
_GRAVITY_WORLD = np.array([0.0, 0.0, -GRAVITY])


@dataclass(slots=True)
class Estimate:
    """The newest accepted measurements; pose and velocity are those of now."""

    pos_world: np.ndarray  # (3,) m
    quat_world_body: np.ndarray  # (4,) xyzw
    vel_body: np.ndarray  # (3,) m/s
    ang_vel_body: np.ndarray  # (3,) rad/s, gyro
    specific_force_body: np.ndarray  # (3,) m/s²
    imu_age: float  # s
    odometry_age: float  # s


def _finite(*arrays: np.ndarray) -> bool:
    return bool(np.isfinite(np.concatenate(arrays)).all())


class InputGate:
    """Accepts samples that are finite, in order and normalised; keeps the last good one.

    A sample that fails is dropped and named in `faults`; the age of the good one goes on.
    """

    def __init__(self, parameters: InputGateParameters):
        self.parameters = parameters
        self.reset()

    def reset(self) -> None:
        """Forget all measurements."""
        self._imu: ImuSample | None = None
        self._odometry: OdometrySample | None = None
        self._imu_age = self._odometry_age = np.inf
        self._pos = self._quat = self._vel_body = None
        # (dt, sample) of the newest steps since odometry came, to bring late ones up to now
        self._history: deque[tuple[float, ImuSample]] = deque(maxlen=_HISTORY)
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
        if not _finite(sample.ang_vel_body, sample.specific_force_body):
            faults.append("imu: not finite")
        elif last is not None and sample.stamp < last.stamp:
            faults.append(f"imu: stamp goes back by {(last.stamp - sample.stamp) * 1e-9:.3f} s")
        else:
            self._imu, self._imu_age = sample, frame.imu_age

    def _take_odometry(self, frame: SensorFrame, dt: float, faults: list[str]) -> None:
        sample, last = frame.odometry, self._odometry
        self._odometry_age += dt
        fault = None if sample is None else self._odometry_fault(sample, last)
        if fault:
            faults.append(fault)
        if sample is not None and not fault and (last is None or sample.stamp > last.stamp):
            self._odometry, self._odometry_age = sample, frame.odometry_age
            self._pos = sample.pos_world
            self._quat = quat_normalize(sample.quat_world_body)
            self._vel_body = sample.vel_body
            self._catch_up(frame.odometry_age)
        elif self._imu is not None and self._odometry is not None:
            self._dead_reckon(dt, self._imu)

    def _odometry_fault(self, sample: OdometrySample, last: OdometrySample | None) -> str | None:
        if not _finite(
            sample.pos_world, sample.quat_world_body, sample.vel_body, sample.ang_vel_body
        ):
            return "odometry: not finite"
        norm = float(np.linalg.norm(sample.quat_world_body))
        if abs(norm - 1) > self.parameters.max_quat_error:
            return f"odometry: quaternion of norm {norm:.3f}, expected 1"
        if last is not None and sample.stamp < last.stamp:
            return f"odometry: stamp goes back by {(last.stamp - sample.stamp) * 1e-9:.3f} s"
        return None

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

    def _dead_reckon(self, dt: float, imu: ImuSample) -> None:
        self._pos = self._pos + rotate(self._quat, self._vel_body) * dt
        gravity_body = rotate_inverse(self._quat, _GRAVITY_WORLD)
        # v̇ = f + g − ω × v, all in the body frame
        acc_body = imu.specific_force_body + gravity_body
        self._vel_body = (
            self._vel_body + (acc_body - np.cross(imu.ang_vel_body, self._vel_body)) * dt
        )
        self._quat = quat_integrate(self._quat, imu.ang_vel_body, dt)
