"""IMU and pose source of a world for a batch, as what they add to the truth.

The flying loop dead-reckons between samples of the odometry, over lost ones, and from a late one up
to now. The batch takes the reckoning as exact: what it knows has the errors of the newest sample.
"""

from __future__ import annotations

import math

import numpy as np

from liquid_control.frames import rotate_inverse
from liquid_control.sim.batched import SensorErrors
from liquid_control.sim.sensors.imu import FLICKER_TO_MARKOV, ImuConfig, at_lever_arm
from liquid_control.sim.sensors.odometry import OdometryConfig
from liquid_control.structs import GRAVITY
from liquid_control.vehicles.quadrotor.dynamics import QuadrotorState


def _pair(accelerometer: float, gyro: float) -> np.ndarray:
    return np.repeat([accelerometer, gyro], 3)[:, None]


class BatchImu:
    """One IMU of each environment; one sample per control period, the newest of a faster IMU."""

    def __init__(self, config: ImuConfig, control_rate: float, size: int):
        c = self._config = config
        self._size = size
        self._samples = round(c.update_rate / control_rate)
        dt = 1 / c.update_rate
        self._white = _pair(c.accelerometer_noise_density, c.gyroscope_noise_density) / dt**0.5
        walk = _pair(c.accelerometer_random_walk, c.gyroscope_random_walk) * dt**0.5
        self._walk_step = walk * self._samples**0.5
        self._flicker = FLICKER_TO_MARKOV * _pair(
            c.accelerometer_bias_instability, c.gyroscope_bias_instability
        )
        self._keep = math.exp(-1 / (control_rate * c.bias_correlation_time))
        self._turn_on = _pair(c.accelerometer_turn_on_bias, c.gyroscope_turn_on_bias)
        self._walk, self._instability = np.zeros((6, size)), np.zeros((6, size))
        self._matrices = np.zeros((2, 3, 3, size))  # scale errors and misalignment
        self._phases = np.zeros((4, size))
        self._period = 1 / control_rate

    def restart(self, which: np.ndarray, rng: np.random.Generator) -> None:
        """Another IMU for the episodes ``which`` (B) is true for."""
        size = int(which.sum())
        self._walk[:, which] = self._turn_on * rng.standard_normal((6, size))
        self._instability[:, which] = self._flicker * rng.standard_normal((6, size))
        errors = self._config.misalignment * rng.standard_normal((2, 3, 3, size))
        for axis in range(3):
            errors[:, axis, axis] = self._config.scale_error * rng.standard_normal((2, size))
        self._matrices[..., which] = errors
        self._phases[:, which] = rng.uniform(0, 2 * math.pi, (4, size))

    def errors(
        self,
        vehicle: QuadrotorState,
        force: np.ndarray,
        ang_acc: np.ndarray,
        rng: np.random.Generator,
    ) -> tuple[np.ndarray, np.ndarray]:
        """What accelerometer and gyro add to the true specific force ``(3, B)`` at the centre of
        mass, m/s², and to the true rates; ``ang_acc`` ``(3, B)`` in rad/s²."""
        c = self._config
        rates = vehicle.ang_vel_body
        there = np.stack(at_lever_arm(tuple(force), tuple(rates), tuple(ang_acc), c.lever_arm))
        if c.vibration:
            speeds = vehicle.rotor_speed
            self._phases += speeds * self._period
            there = there + c.vibration * (speeds**2 * np.sin(self._phases)).sum(axis=0)
        noise, walk, flicker = rng.standard_normal((3, 6, self._size))
        self._walk += self._walk_step * walk
        fresh = self._flicker * math.sqrt(1 - self._keep**2)
        self._instability = self._keep * self._instability + fresh * flicker
        added = self._white * noise + self._walk + self._instability
        skewed = np.einsum("sijb,sjb->sib", self._matrices, np.stack([there, rates]))
        measured_force = there + skewed[0] + added[:3]
        measured_rates = rates + skewed[1] + added[3:]
        return (
            np.clip(measured_force, -c.accelerometer_range, c.accelerometer_range) - force,
            np.clip(measured_rates, -c.gyroscope_range, c.gyroscope_range) - rates,
        )


class BatchOdometry:
    """One pose source of each environment."""

    def __init__(self, config: OdometryConfig, control_rate: float, size: int):
        c = config
        self._stride = round(control_rate / c.update_rate)
        self._scale = np.repeat(
            [c.position_noise, c.altitude_noise, c.velocity_noise, c.attitude_noise], [2, 1, 3, 3]
        )[:, None]
        self._dropout, self._drift_size = c.dropout, np.array(c.drifts)[:, None]
        self._keep = math.exp(-1 / (c.update_rate * c.drift_time))
        self._drift, self._origin = np.zeros((3, size)), np.zeros((3, size))
        self._tick = np.zeros(size, dtype=int)
        self._newest = np.zeros((9, size))

    def restart(self, which: np.ndarray, rng: np.random.Generator) -> None:
        """Another source for the episodes ``which`` (B) is true for."""
        begin = self._drift_size * rng.standard_normal((3, int(which.sum())))
        self._drift[:, which] = self._origin[:, which] = begin
        self._tick[which] = 0

    def errors(self, rng: np.random.Generator) -> np.ndarray:
        """Of position, velocity and attitude ``(9, B)``, once per control period."""
        size = len(self._tick)
        due = self._tick % self._stride == 0
        # the first sample always comes, or there would be nothing to go on from
        came = due & ((rng.random(size) >= self._dropout) | (self._tick == 0))
        fresh = self._scale * rng.standard_normal((9, size))
        walk = math.sqrt(1 - self._keep**2) * self._drift_size * rng.standard_normal((3, size))
        self._drift = np.where(due, self._keep * self._drift + walk, self._drift)
        fresh[:3] += self._drift - self._origin
        self._newest = np.where(came, fresh, self._newest)
        self._tick += 1
        return self._newest


class BatchSensors:
    """All sensors of a batch; call `errors` once per control period."""

    def __init__(self, imu: ImuConfig, odometry: OdometryConfig, control_rate: float, size: int):
        self._imu = BatchImu(imu, control_rate, size)
        self._odometry = BatchOdometry(odometry, control_rate, size)

    def restart(self, which: np.ndarray, rng: np.random.Generator) -> None:
        """Other sensors for the episodes ``which`` (B) is true for."""
        self._imu.restart(which, rng)
        self._odometry.restart(which, rng)

    def errors(self, vehicle, force, ang_acc, rng: np.random.Generator) -> SensorErrors:
        """See `BatchImu.errors`; biases are part of the gyro's and accelerometer's errors."""
        accelerometer, gyro = self._imu.errors(vehicle, force, ang_acc, rng)
        pos, vel, attitude = self._odometry.errors(rng).reshape(3, 3, -1)
        return SensorErrors(pos, vel, attitude, gyro, accelerometer, 0.0, 0.0)


def force_at_rest(quat_world_body: np.ndarray) -> np.ndarray:
    """Specific force ``(3, B)`` in m/s² of what does not accelerate."""
    up = np.zeros((3, quat_world_body.shape[1]))
    up[2] = GRAVITY
    return rotate_inverse(quat_world_body, up)
