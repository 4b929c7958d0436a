"""Hovering in wind for anybody's reinforcement learning: Gymnasium over the batched dynamics.

    gymnasium.make("LiquidControl/QuadHover-v0")
    gymnasium.make_vec("LiquidControl/QuadHover-v0", num_envs=256)

Observation (float32): `OBSERVATION_LAYOUT`. Action in [−1, 1]: collective thrust from 0 to twice
the weight, body rates as shares of the autopilot's limits. Reward per step: 1 at the setpoint and
at rest, falling with distance, speed and rates; an episode ends at the ground or 3 m away, and is
truncated after 10 s.
"""

from __future__ import annotations

import math
from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from liquid_control.frames import matrix_from_quat, quat_from_rotation_vector
from liquid_control.sim import register_envs
from liquid_control.sim.wind import formulas
from liquid_control.structs import GRAVITY, Layout, Slot
from liquid_control.vehicles.catalogue import load_vehicle
from liquid_control.vehicles.quadrotor.autopilot import rotor_speed_command
from liquid_control.vehicles.quadrotor.dynamics import QuadrotorState, hover_state, step
from liquid_control.vehicles.quadrotor.params import QuadrotorParams, RateLoopParams

CONTROL_RATE, PHYSICS_RATE = 100, 500  # Hz
EPISODE_STEPS = 10 * CONTROL_RATE
SETPOINT = (0.0, 0.0, 1.5)  # m
MAX_DISTANCE = 3.0  # m
START_POS, START_VEL, START_TILT = 0.5, 0.5, 0.5  # half widths in m, m/s, rad

OBSERVATION_LAYOUT = Layout(
    (
        Slot("pos_error", 3, "m", "world"),
        Slot("vel", 3, "m/s", "world"),
        Slot("rotation", 9, "1", "world"),  # rows of R_world_body
        Slot("ang_vel", 3, "rad/s", "body"),
        Slot("action", 4, "1", "body"),  # the last one
    )
)
OBSERVATION_SPACE = Box(-np.inf, np.inf, (OBSERVATION_LAYOUT.size,), np.float32)
ACTION_SPACE = Box(-1.0, 1.0, (4,), np.float32)


class QuadHoverVectorEnv(VectorEnv):
    """``num_envs`` vehicles in one call, each with its own wind and its own vehicle of the kind.

    An episode that has ended starts anew in the next step (Gymnasium's NEXT_STEP mode).
    """

    metadata = {"render_modes": [], "autoreset_mode": AutoresetMode.NEXT_STEP}  # noqa: RUF012

    def __init__(
        self,
        num_envs: int = 1,
        *,
        vehicle: str = "crazyflie",
        spread: float = 1.0,
        mean_wind: float = 2.0,
        turbulence: float = 1.0,
        gust: float = 4.0,
        render_mode: str | None = None,
    ):
        """Args:
        vehicle: a file of ``config/vehicle``.
        spread: vehicles differ by this share of the tolerances of their kind.
        mean_wind: largest steady wind, m/s, from any side.
        turbulence: 1 σ per axis, m/s.
        gust: amplitude of one 1-cosine gust per episode, m/s.
        render_mode: None only; film a flight with `World` and its camera.
        """
        if render_mode is not None:
            raise ValueError(f"render_mode: expected None, got {render_mode!r}")
        self.render_mode = None
        self.num_envs = num_envs
        self.single_observation_space, self.single_action_space = OBSERVATION_SPACE, ACTION_SPACE
        self.observation_space = batch_space(OBSERVATION_SPACE, num_envs)
        self.action_space = batch_space(ACTION_SPACE, num_envs)
        self._config = load_vehicle(vehicle)
        self._nominal = QuadrotorParams.from_vehicle(self._config)
        self._loop = RateLoopParams.from_vehicle(self._config)
        self._spread = spread
        self._wind_sizes = (mean_wind, turbulence, gust)
        self._max_rate = np.array(self._config.autopilot.max_rate)[:, None]
        self._setpoint = np.array(SETPOINT)[:, None]
        n = num_envs
        self._mass, self._drag = np.ones(n), np.ones(n)
        self._efficiency = np.ones((4, n))
        self._mean, self._gust, self._axis = np.zeros((3, n)), np.zeros((3, n)), np.zeros((2, n))
        self._gust_start, self._turbulence_states = np.zeros(n), np.zeros((formulas.NOISE_SIZE, n))
        self._filters = formulas.turbulence_coefficients(
            (turbulence,) * 3, (1.0, 1.0, 1.0), 1 / CONTROL_RATE
        )
        self._action = np.zeros((4, n))
        self._steps = np.zeros(n, dtype=int)
        self._ended = np.zeros(n, dtype=bool)
        level = np.zeros((4, n))
        level[3] = 1.0
        self._state = hover_state(self._nominal, np.zeros((3, n)), level)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Start all episodes anew."""
        super().reset(seed=seed)
        self._start(np.ones(self.num_envs, dtype=bool))
        return self._observe(), {}

    def _start(self, which: np.ndarray) -> None:
        """New vehicles, winds and states where ``which`` (num_envs,) is true."""
        rng, n = self.np_random, int(which.sum())
        tolerances = self._config.tolerances

        def factor(half_width: float, *shape: int) -> np.ndarray:
            return 1 + self._spread * half_width * rng.uniform(-1, 1, shape)

        self._mass[which], self._drag[which] = (
            factor(tolerances.mass, n),
            factor(tolerances.drag, n),
        )
        self._efficiency[:, which] = factor(tolerances.thrust, 4, n)
        mean, _, gust = self._wind_sizes
        heading, gust_heading = rng.uniform(0, 2 * math.pi, (2, n))
        self._axis[:, which] = axis = np.stack([np.cos(heading), np.sin(heading)])
        self._mean[:2, which] = axis * rng.uniform(0, mean, n)
        self._gust[:2, which] = gust * np.stack([np.cos(gust_heading), np.sin(gust_heading)])
        self._gust_start[which] = rng.uniform(0, EPISODE_STEPS / CONTROL_RATE, n)
        noise = rng.standard_normal((formulas.NOISE_SIZE, n))
        self._turbulence_states[:, which] = formulas.turbulence_start(noise)

        tilt = rng.uniform(-1, 1, (3, n)) * START_TILT
        fresh = hover_state(
            self._params(which),
            self._setpoint + START_POS * rng.uniform(-1, 1, (3, n)),
            quat_from_rotation_vector(tilt),
        )._replace(vel_world=START_VEL * rng.uniform(-1, 1, (3, n)))
        for whole, part in zip(self._state, fresh, strict=True):
            whole[:, which] = part
        self._action[:, which] = 0.0
        self._steps[which] = 0
        self._ended[which] = False

    def _params(self, which: np.ndarray | slice) -> QuadrotorParams:
        nominal, drag = self._nominal, self._drag[which]
        return nominal._replace(
            mass=nominal.mass * self._mass[which],
            efficiency=tuple(self._efficiency[:, which]),
            drag_linear=tuple(c * drag for c in nominal.drag_linear),
            drag_quadratic=tuple(c * drag for c in nominal.drag_quadratic),
            drag_rotor=tuple(c * drag for c in nominal.drag_rotor),
        )

    def step(
        self, actions: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """One control period of all vehicles; ``actions`` (num_envs, 4) in [−1, 1]."""
        restarted = self._ended.copy()
        if restarted.any():
            self._start(restarted)
        running = ~restarted
        self._action[:, running] = np.clip(actions, -1, 1).T[:, running]
        self._advance(running)
        self._steps[running] += 1

        error = self._state.pos_world - self._setpoint
        distance = np.linalg.norm(error, axis=0)
        low = self._state.pos_world[2] < 0.5 * self._config.collision_size[2]
        terminated = running & (low | (distance > MAX_DISTANCE))
        truncated = running & ~terminated & (self._steps >= EPISODE_STEPS)
        self._ended = terminated | truncated
        speed = np.linalg.norm(self._state.vel_world, axis=0)
        turning = np.linalg.norm(self._state.ang_vel_body, axis=0)
        reward = np.exp(-2 * distance) / (1 + 0.1 * speed + 0.05 * turning)
        return self._observe(), np.where(running, reward, 0.0), terminated, truncated, {}

    def _advance(self, running: np.ndarray) -> None:
        """Wind and physics of one control period; vehicles that just restarted stay put."""
        noise = self.np_random.standard_normal((formulas.NOISE_SIZE, self.num_envs))
        one = np.ones(self.num_envs)
        params = formulas.WindParams(
            self._mean, self._axis, self._filters, self._gust, self._gust_start, 0.5 * one, 0 * one
        )
        time = self._steps / CONTROL_RATE
        self._turbulence_states, velocity = formulas.wind_step(
            self._turbulence_states, noise, time, params
        )
        thrust = GRAVITY * (1 + self._action[0])
        rates = self._max_rate * self._action[1:]
        vehicle = self._params(slice(None))
        state = self._state
        for _ in range(PHYSICS_RATE // CONTROL_RATE):
            speeds = rotor_speed_command(thrust, rates, state.ang_vel_body, self._loop)
            state = step(state, speeds, velocity, vehicle, 1 / PHYSICS_RATE)
        self._state = QuadrotorState(
            *(np.where(running, new, old) for new, old in zip(state, self._state, strict=True))
        )

    def _observe(self) -> np.ndarray:
        state = self._state
        rotation = matrix_from_quat(state.quat_world_body).reshape(9, self.num_envs)
        parts = (
            state.pos_world - self._setpoint,
            state.vel_world,
            rotation,
            state.ang_vel_body,
            self._action,
        )
        return np.concatenate(parts).T.astype(np.float32)


class QuadHoverEnv(gymnasium.Env):
    """One vehicle: the vector environment with a batch of one. Arguments as there."""

    metadata = {"render_modes": []}  # noqa: RUF012

    def __init__(self, **options: Any):
        self._vector = QuadHoverVectorEnv(1, **options)
        self.render_mode = None
        self.observation_space, self.action_space = OBSERVATION_SPACE, ACTION_SPACE

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Start an episode."""
        super().reset(seed=seed)
        observation, info = self._vector.reset(seed=seed)
        return observation[0], info

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """One control period."""
        observation, reward, terminated, truncated, info = self._vector.step(action[None])
        return observation[0], float(reward[0]), bool(terminated[0]), bool(truncated[0]), info


register_envs()
