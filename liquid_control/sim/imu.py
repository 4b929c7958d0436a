"""A strap-down IMU: what the accelerometer and gyro of a real vehicle add to the truth.

    measured = (1 + S)(truth) + turn-on bias + bias walk + bias instability + white noise, clipped

S holds scale errors and misalignment. With densities as in an Allan plot and in Kalibr's YAML,
sampled at rate f: white noise has the standard deviation density · √f, the bias walks by
random_walk / √f per sample (IEEE Std 952, annex C). The bias instability B is a first-order
Gauss–Markov process of standard deviation 1.07 B, whose Allan deviation peaks (at 1.89 correlation
times, 0.618 σ) at the flicker floor of the same B (0.664 B). At rest and level the accelerometer
reads (0, 0, +g).
"""

from __future__ import annotations

import math

import numpy as np

from liquid_control.config import NonNegativeFloat, PositiveFloat, StrictModel
from liquid_control.frames import Array

NOISE_BLOCK = 256  # samples of noise drawn at once
FLICKER_TO_MARKOV = 0.664 / 0.618


class ImuConfig(StrictModel):
    """Kalibr's IMU YAML (its four densities and the rate) and what Kalibr leaves out."""

    source: str
    update_rate: PositiveFloat  # Hz
    accelerometer_noise_density: NonNegativeFloat  # m/s²/√Hz
    accelerometer_random_walk: NonNegativeFloat  # m/s³/√Hz
    gyroscope_noise_density: NonNegativeFloat  # rad/s/√Hz
    gyroscope_random_walk: NonNegativeFloat  # rad/s²/√Hz
    accelerometer_bias_instability: NonNegativeFloat  # m/s²
    gyroscope_bias_instability: NonNegativeFloat  # rad/s
    bias_correlation_time: PositiveFloat  # s, of the bias instability
    accelerometer_turn_on_bias: NonNegativeFloat  # m/s², 1 σ over flights
    gyroscope_turn_on_bias: NonNegativeFloat  # rad/s, 1 σ over flights
    scale_error: NonNegativeFloat  # 1 σ over flights
    misalignment: NonNegativeFloat  # rad, 1 σ over flights
    accelerometer_range: PositiveFloat  # m/s²
    gyroscope_range: PositiveFloat  # rad/s
    lever_arm: tuple[float, float, float]  # m, from the centre of mass, body frame
    vibration: NonNegativeFloat  # m/s² per (rad/s)² and rotor, amplitude at the rotor's speed


class ImuNoise:
    """Additive errors of one IMU or a batch: bias and noise of (accelerometer, gyro).

    `block` gives the next ``NOISE_BLOCK`` samples at ``update_rate``, ``(n, 6, *batch)``.
    """

    def __init__(self, config: ImuConfig, rng: np.random.Generator, batch: tuple[int, ...] = ()):
        dt = 1.0 / config.update_rate
        axes = (6, *(1 for _ in batch))

        def per_axis(accelerometer: float, gyroscope: float) -> np.ndarray:
            return np.repeat([accelerometer, gyroscope], 3).reshape(axes)

        self._rng = rng
        self._shape = (6, *batch)
        self._white = per_axis(
            config.accelerometer_noise_density, config.gyroscope_noise_density
        ) / math.sqrt(dt)
        self._walk_step = per_axis(
            config.accelerometer_random_walk, config.gyroscope_random_walk
        ) * math.sqrt(dt)
        instability = FLICKER_TO_MARKOV * per_axis(
            config.accelerometer_bias_instability, config.gyroscope_bias_instability
        )
        self._decay = math.exp(-dt / config.bias_correlation_time)
        self._instability_step = instability * math.sqrt(1 - self._decay**2)
        turn_on = per_axis(config.accelerometer_turn_on_bias, config.gyroscope_turn_on_bias)
        self._walk = turn_on * rng.standard_normal(self._shape)
        self._instability = instability * rng.standard_normal(self._shape)

    def block(self, size: int = NOISE_BLOCK) -> np.ndarray:
        """The next ``size`` samples, ``(size, 6, *batch)``."""
        white, walk, markov = self._rng.standard_normal((3, size, *self._shape))
        walk = self._walk + np.cumsum(walk * self._walk_step, axis=0)
        self._walk = walk[-1]
        markov *= self._instability_step
        state = self._instability
        for k in range(size):
            state = self._decay * state + markov[k]
            markov[k] = state
        self._instability = state
        return white * self._white + walk + markov


def at_lever_arm(
    specific_force: tuple[Array, Array, Array],
    ang_vel: tuple[Array, Array, Array],
    ang_acc: tuple[Array, Array, Array],
    arm: tuple[float, float, float],
) -> tuple[Array, Array, Array]:
    """Specific force at ``arm`` m from the centre of mass, body frame: f + α × r + ω × (ω × r)."""
    fx, fy, fz = specific_force
    wx, wy, wz = ang_vel
    ax, ay, az = ang_acc
    rx, ry, rz = arm
    cx, cy, cz = wy * rz - wz * ry, wz * rx - wx * rz, wx * ry - wy * rx
    return (
        fx + ay * rz - az * ry + wy * cz - wz * cy,
        fy + az * rx - ax * rz + wz * cx - wx * cz,
        fz + ax * ry - ay * rx + wx * cy - wy * cx,
    )


class Imu:
    """One IMU of one flight; scale, misalignment and biases are drawn when it is built."""

    def __init__(self, config: ImuConfig, rng: np.random.Generator):
        self._noise = ImuNoise(config, rng)
        self._block = iter(())
        errors = config.misalignment * rng.standard_normal((2, 3, 3))
        for matrix in errors:
            np.fill_diagonal(matrix, config.scale_error * rng.standard_normal(3))
        self._matrices = (errors + np.eye(3)).ravel().tolist()
        self._ranges = (config.accelerometer_range, config.gyroscope_range)
        self._arm = config.lever_arm
        self._vibration = config.vibration
        self._dt = 1.0 / config.update_rate
        self._phases = rng.uniform(0.0, 2 * math.pi, 4).tolist()

    def measure(
        self,
        specific_force: tuple[float, float, float],
        ang_vel: tuple[float, float, float],
        ang_acc: tuple[float, float, float],
        rotor_speeds: tuple[float, float, float, float],
    ) -> tuple[np.ndarray, np.ndarray]:
        """One sample from the truth at the centre of mass, body frame.

        Returns the measured specific force ``(3,)`` in m/s² and rates ``(3,)`` in rad/s.
        """
        noise = next(self._block, None)
        if noise is None:
            self._block = iter(self._noise.block().tolist())
            noise = next(self._block)
        fx, fy, fz = at_lever_arm(specific_force, ang_vel, ang_acc, self._arm)
        if self._vibration:
            shake = self._shake(rotor_speeds)
            fx, fy, fz = fx + shake, fy + shake, fz + shake
        a0, a1, a2, a3, a4, a5, a6, a7, a8, g0, g1, g2, g3, g4, g5, g6, g7, g8 = self._matrices
        wx, wy, wz = ang_vel
        n0, n1, n2, n3, n4, n5 = noise
        force = [
            a0 * fx + a1 * fy + a2 * fz + n0,
            a3 * fx + a4 * fy + a5 * fz + n1,
            a6 * fx + a7 * fy + a8 * fz + n2,
        ]
        rates = [
            g0 * wx + g1 * wy + g2 * wz + n3,
            g3 * wx + g4 * wy + g5 * wz + n4,
            g6 * wx + g7 * wy + g8 * wz + n5,
        ]
        return self._saturated(force, self._ranges[0]), self._saturated(rates, self._ranges[1])

    @staticmethod
    def _saturated(values: list[float], limit: float) -> np.ndarray:
        if max(values) > limit or min(values) < -limit:
            values = [min(max(v, -limit), limit) for v in values]
        return np.array(values)

    def _shake(self, rotor_speeds: tuple[float, float, float, float]) -> float:
        """Imbalance of the rotors: a sine at each rotor's speed, aliased by the sampling."""
        total = 0.0
        for i, speed in enumerate(rotor_speeds):
            self._phases[i] = (self._phases[i] + speed * self._dt) % (2 * math.pi)
            total += self._vibration * speed * speed * math.sin(self._phases[i])
        return total
