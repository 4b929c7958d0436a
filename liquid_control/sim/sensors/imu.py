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
from collections.abc import Sequence

import numpy as np

from liquid_control.config import PositiveFloat, StrictModel
from liquid_control.frames import Array, rotate_components
from liquid_control.sim.quantities import Noise, Position, key
from liquid_control.structs import GRAVITY

NOISE_BLOCK = 256  # samples of noise drawn at once
FLICKER_TO_MARKOV = 0.664 / 0.618


class ImuConfig(StrictModel):
    """Kalibr's IMU YAML (its four densities and the rate) and what Kalibr leaves out."""

    source: str = key("where the values are from")
    update_rate: PositiveFloat = key("multiple of the control rate, divides the physics rate", "Hz")
    accelerometer_noise_density: Noise = key("white noise", "m/s²/√Hz")
    accelerometer_random_walk: Noise = key("of the bias", "m/s³/√Hz")
    gyroscope_noise_density: Noise = key("white noise", "rad/s/√Hz")
    gyroscope_random_walk: Noise = key("of the bias", "rad/s²/√Hz")
    accelerometer_bias_instability: Noise = key("flicker floor of the Allan plot", "m/s²")
    gyroscope_bias_instability: Noise = key("flicker floor of the Allan plot", "rad/s")
    bias_correlation_time: PositiveFloat = key("of the bias instability", "s")
    accelerometer_turn_on_bias: Noise = key("1 σ over flights", "m/s²")
    gyroscope_turn_on_bias: Noise = key("1 σ over flights", "rad/s")
    scale_error: Noise = key("1 σ over flights")
    misalignment: Noise = key("1 σ over flights", "rad")
    accelerometer_range: PositiveFloat = key("beyond it a reading is clipped", "m/s²")
    gyroscope_range: PositiveFloat = key("beyond it a reading is clipped", "rad/s")
    lever_arm: Position = key("from the centre of mass, body", "m")
    vibration: Noise = key("amplitude at the speed of a rotor, for each of them", "m/s²/(rad/s)²")


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


def strapdown(
    quat_before: tuple[float, float, float, float],
    vel_before: tuple[float, float, float],
    rates_before: tuple[float, float, float],
    quat: tuple[float, float, float, float],
    vel: tuple[float, float, float],
    ang_vel_world: tuple[float, float, float],
    dt: float,
    shake: float,
    noise: tuple[float, float, float, float, float, float],
    errors: np.ndarray,
):
    """Reading of one step of an external engine, for one vehicle.

    The specific force is the mean of the step, from the change of velocity, so that contact forces
    are in it. ``errors`` is from `Imu`: two matrices and the lever arm. Returns specific force,
    rates as measured, and the true rates.
    """
    x, y, z, w = quat
    gx, gy, gz = ang_vel_world
    rates = rotate_components(-x, -y, -z, w, gx, gy, gz)
    wx, wy, wz = rates
    bx, by, bz = rates_before
    x, y, z, w = quat_before
    vx, vy, vz = vel
    ux, uy, uz = vel_before
    truth = rotate_components(
        -x, -y, -z, w, (vx - ux) / dt, (vy - uy) / dt, (vz - uz) / dt + GRAVITY
    )
    ang_acc = ((wx - bx) / dt, (wy - by) / dt, (wz - bz) / dt)
    fx, fy, fz = at_lever_arm(truth, rates, ang_acc, (errors[18], errors[19], errors[20]))
    fx, fy, fz = fx + shake, fy + shake, fz + shake
    n0, n1, n2, n3, n4, n5 = noise
    e = errors
    force = (
        e[0] * fx + e[1] * fy + e[2] * fz + n0,
        e[3] * fx + e[4] * fy + e[5] * fz + n1,
        e[6] * fx + e[7] * fy + e[8] * fz + n2,
    )
    measured = (
        e[9] * wx + e[10] * wy + e[11] * wz + n3,
        e[12] * wx + e[13] * wy + e[14] * wz + n4,
        e[15] * wx + e[16] * wy + e[17] * wz + n5,
    )
    return force, measured, rates


class Imu:
    """One IMU of one flight; scale, misalignment and biases are drawn when it is built."""

    def __init__(self, config: ImuConfig, rng: np.random.Generator, strapdown=strapdown):
        """``strapdown`` may be a compiled form of the function of that name."""
        self._strapdown = strapdown
        self._noise = ImuNoise(config, rng)
        self._block = iter(())
        errors = config.misalignment * rng.standard_normal((2, 3, 3))
        for matrix in errors:
            np.fill_diagonal(matrix, config.scale_error * rng.standard_normal(3))
        self._errors = np.concatenate([(errors + np.eye(3)).ravel(), config.lever_arm])
        self._ranges = (config.accelerometer_range, config.gyroscope_range)
        self._vibration = config.vibration
        self._dt = 1.0 / config.update_rate
        self._phases = rng.uniform(0.0, 2 * math.pi, 4).tolist()

    def measure(self, before, quat, vel, ang_vel_world, dt: float, rotor_speeds):
        """One sample of a physics step of ``dt`` s, from plain tuples of floats.

        ``before`` is (quaternion, velocity, body rates) at the start of the step, the rest holds
        at its end. Returns the measured specific force ``(3,)`` in m/s², the measured rates
        ``(3,)`` in rad/s, and the true rates as a tuple.
        """
        noise = next(self._block, None)
        if noise is None:
            self._block = iter([tuple(row) for row in self._noise.block().tolist()])
            noise = next(self._block)
        shake = self._shake(rotor_speeds) if self._vibration else 0.0
        force, measured, rates = self._strapdown(
            *before, quat, vel, ang_vel_world, dt, shake, noise, self._errors
        )
        return (
            self._saturated(force, self._ranges[0]),
            self._saturated(measured, self._ranges[1]),
            rates,
        )

    @staticmethod
    def _saturated(values: tuple[float, float, float], limit: float) -> np.ndarray:
        if max(values) > limit or min(values) < -limit:
            values = tuple(min(max(v, -limit), limit) for v in values)
        return np.array(values)

    def _shake(self, rotor_speeds: Sequence[float]) -> float:
        """Imbalance of the rotors: a sine at each rotor's speed, aliased by the sampling."""
        dt, sine, phases, shake = self._dt, math.sin, self._phases, 0.0
        for k, speed in enumerate(rotor_speeds):
            phases[k] = phase = phases[k] + speed * dt
            shake += speed * speed * sine(phase)
        return self._vibration * shake
