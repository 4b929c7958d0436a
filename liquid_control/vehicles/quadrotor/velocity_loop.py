"""The velocity loop of an autopilot: from a velocity in the heading frame to thrust and body rates.

    a = k_p e + k_i ∫e dt            e = R_z(yaw) v_wanted - v_estimated, world frame
    thrust = (a + g) · z_body,   rates = k_tilt · (angle) z_body × (a + g) / |...| + r · up
    r = yaw rate + k_yaw ∫(yaw rate - measured) dt

as in PX4's multicopter position controller (its velocity part) and tilt-prioritised attitude loop.
What the rates meet is the rate loop of `physics`. The estimate is the autopilot's own, of GPS or
optical flow: the truth with an Ornstein-Uhlenbeck error.
"""

from __future__ import annotations

import math

import numpy as np

from liquid_control.structs import GRAVITY, VELOCITY
from liquid_control.vehicles.quadrotor.config import VelocityLoopConfig

MAX_INTEGRAL = 5.0  # m/s², of each axis; half of the weight
MAX_TURN = 4.0  # rad/s, of the integral; unequal rotors ask for up to 3
LEAST_LIFT = 0.3  # of gravity, vertical, whatever the climb that is wanted
_DRAWS = 256  # of the estimate's error at a time: one by one they cost as much as the loop

Vector = tuple[float, float, float]


class VelocityLoop:
    """The loop of one flight, stepped at the rate of the autopilot's IMU.

    Args:
        config: of the vehicle file.
        rng: of the error of the estimate.
    """

    def __init__(self, config: VelocityLoopConfig, rng: np.random.Generator):
        self._config, self._rng = config, rng
        self._gains = (config.gain, config.gain, config.climb_gain)
        self._integral_gains = (
            *(config.integral_gain, config.integral_gain),
            config.climb_integral_gain,
        )
        self._drawn: list[float] = []
        self._error = tuple((config.error * rng.standard_normal(3)).tolist())
        self._integral: Vector = (0.0, 0.0, 0.0)
        self._turn = 0.0  # rad/s, integral
        self.wanted = VELOCITY.neutral  # m/s in the heading frame, and the yaw rate

    def step(
        self, quat: tuple, vel_world: Vector, ang_vel_world: Vector, dt: float
    ) -> tuple[float, float, float, float]:
        """Thrust / mass in m/s² and body rates in rad/s, for the true attitude (xyzw), velocity
        (m/s) and rates (rad/s), world, ``dt`` s after the step before."""
        config = self._config
        x, y, z, w = quat
        # columns of the rotation matrix: body x and z in the world; rows for the way back
        forward_x, forward_y = 1 - 2 * (y * y + z * z), 2 * (x * y + z * w)
        along = math.hypot(forward_x, forward_y) or 1.0
        cos, sin = forward_x / along, forward_y / along
        ahead, left, up, turn = self.wanted
        wanted = (cos * ahead - sin * left, sin * ahead + cos * left, up)
        held = self._turn + config.yaw_integral_gain * (turn - ang_vel_world[2]) * dt
        self._turn = min(max(held, -MAX_TURN), MAX_TURN)
        turn += self._turn
        self._wander(dt)
        acceleration, integral = [], []
        for want, vel, error, gain, integral_gain, held in zip(
            wanted,
            vel_world,
            self._error,
            self._gains,
            self._integral_gains,
            self._integral,
            strict=True,
        ):
            missing = want - (vel + error)
            held += integral_gain * missing * dt
            held = min(max(held, -MAX_INTEGRAL), MAX_INTEGRAL)
            integral.append(held)
            acceleration.append(gain * missing + held)
        self._integral = tuple(integral)
        ax, ay, az = acceleration
        lift = max(az + GRAVITY, LEAST_LIFT * GRAVITY)
        most = lift * math.tan(config.max_tilt)
        sideways = math.hypot(ax, ay)
        if sideways > most:
            ax, ay = ax * most / sideways, ay * most / sideways
        # the wanted force, and up, in the body frame
        zx, zy, zz = 2 * (x * z + y * w), 2 * (y * z - x * w), 1 - 2 * (x * x + y * y)
        yx, yy, yz = 2 * (x * y - z * w), 1 - 2 * (x * x + z * z), 2 * (y * z + x * w)
        forward_z = 2 * (x * z - y * w)
        fx = forward_x * ax + forward_y * ay + forward_z * lift
        fy = yx * ax + yy * ay + yz * lift
        fz = zx * ax + zy * ay + zz * lift
        across = math.hypot(fx, fy)
        rate = config.tilt_gain * math.atan2(across, fz) / across if across > 1e-9 else 0.0
        return (
            max(fz, 0.0),
            -rate * fy + turn * forward_z,
            rate * fx + turn * yz,
            turn * zz,
        )

    def _wander(self, dt: float) -> None:
        """The error of the estimate ``dt`` s later, exactly."""
        config = self._config
        if not config.error:
            return
        keep = math.exp(-dt / config.error_time)
        fresh = config.error * math.sqrt(1 - keep * keep)
        if len(self._drawn) < 3:
            self._drawn = self._rng.standard_normal(3 * _DRAWS).tolist()
        pop = self._drawn.pop
        self._error = tuple(keep * error + fresh * pop() for error in self._error)
