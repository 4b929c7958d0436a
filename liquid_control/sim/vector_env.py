"""Many vehicles in one call of the batched dynamics, as a Gymnasium vector environment."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from liquid_control.runtime.catalogue import make_parameters, make_rules
from liquid_control.sim import NAME
from liquid_control.sim.batch_world import BatchWorld
from liquid_control.sim.chase import ChaseView
from liquid_control.sim.learning import (
    PICTURE,
    RENDER_MODES,
    WORLD,
    ActionMap,
    action_space,
    check_render_mode,
    checked_action,
    motion_reward,
    observation_space,
    observer_for,
    resolve_quadrotor,
)
from liquid_control.sim.scenario import WorldConfig
from liquid_control.vehicles.kind import VehicleConfig


class QuadHoverVectorEnv(VectorEnv):
    """``num_envs`` vehicles in one call, each with its own start, vehicle, wind and sensors.

    An episode that has ended starts anew in the same call (Gymnasium's SAME_STEP mode): what is
    returned is the new episode's first observation, and ``info["final_obs"]`` is the last of the
    old one where ``info["_final_obs"]`` is true. ``info`` also has the true ``position_error`` (m)
    at the end of the step, and of ended episodes the ``rmse`` (m) of the errors after the world's
    settling time, as in the metrics (NaN where it ended before), their ``length`` in steps and the
    ``crash_reason``.
    """

    metadata = {  # noqa: RUF012
        "render_modes": RENDER_MODES,
        "render_fps": 50,
        "autoreset_mode": AutoresetMode.SAME_STEP,
    }

    def __init__(
        self,
        num_envs: int = 1,
        world: str | Path | WorldConfig = WORLD,
        *,
        vehicle: str | Path | VehicleConfig | None = None,
        slots: Iterable[str] | None = None,
        render_mode: str | None = None,
        **parameters: Any,
    ):
        """Read and check everything; for the arguments see `QuadHoverEnv`.

        Raises:
            ConfigError: for a world that asks for what the batched dynamics can't do, by key.
        """
        check_render_mode(render_mode)
        self.render_mode = render_mode
        self.num_envs = num_envs
        scenario, vehicle = resolve_quadrotor(world, vehicle)
        chosen = make_parameters(vehicle, **parameters)
        rules = make_rules(vehicle, chosen)
        self._observer = observer_for(rules, slots)
        self.observation_layout = self._observer.layout
        self.single_observation_space = observation_space(self.observation_layout)
        self.single_action_space = action_space(rules)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._world = BatchWorld(scenario, vehicle, num_envs)
        self.action_map = ActionMap(rules)
        self._max_pos_error = chosen.max_pos_error
        self.vehicle, self.control_period = vehicle, 1 / scenario.control_rate
        self._settled = scenario.success.settle_time * scenario.control_rate  # ticks
        self._command = np.tile(self.action_map.neutral, (num_envs, 1))
        self._square = np.zeros(num_envs)  # of the error after settling, summed, m²
        self._view: ChaseView | None = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Start all episodes anew."""
        super().reset(seed=seed)
        self._restart(np.ones(self.num_envs, dtype=bool))
        return self._observe(), {"position_error": self._world.distance()}

    def _restart(self, which: np.ndarray) -> None:
        self._world.restart(which, self.np_random)
        self._command[which] = self.action_map.neutral
        self._square[which] = 0.0

    def _observe(self) -> np.ndarray:
        situation = self._world.situation(self._command.T, self._max_pos_error, self.np_random)
        return self._observer(situation).T.astype(np.float32)

    def step(
        self, actions: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """One control period of all vehicles; ``actions`` (num_envs, C) in [−1, 1].

        Raises:
            ValueError: for actions of another shape, and for one that is not finite, naming its
                environment.
        """
        world = self._world
        place = f"{self.num_envs} {NAME} in {world.scenario.name}"
        actions = checked_action(actions, self.action_space.shape, place)
        wanted = self.action_map.command(actions)
        self._command = self.action_map.limited(wanted, self._command, self.control_period)
        # the error of the metrics is that of the row before the world moves on
        settled = world.tick > self._settled
        self._square += settled * world.distance() ** 2
        world.step(self._command.T, self.np_random)

        rewards = motion_reward(world.state, world.reference())
        reasons = np.array(world.crash_reasons(), dtype=object)
        terminated = reasons != ""
        truncated = ~terminated & (world.tick >= world.steps)
        info: dict[str, Any] = {"position_error": world.distance()}
        observation = self._observe()
        ended = terminated | truncated
        if ended.any():
            counted = np.maximum(world.tick - np.floor(self._settled) - 1, 0)
            with np.errstate(invalid="ignore"):
                rmse = np.sqrt(np.where(counted > 0, self._square / counted, np.nan))
            info["rmse"], info["_rmse"] = np.where(ended, rmse, np.nan), ended
            info["length"], info["_length"] = world.tick * ended, ended
            info["crash_reason"], info["_crash_reason"] = reasons, terminated
            info["final_obs"], info["_final_obs"] = observation, ended
            self._restart(ended)
            fresh = self._observe()
            observation = np.where(ended[:, None], fresh, observation)
        return observation, np.where(terminated, 0.0, rewards), terminated, truncated, info

    def render(self) -> tuple[np.ndarray, ...] | None:
        """Each vehicle and its setpoint from behind, RGB (height, width, 3) uint8."""
        if self.render_mode is None:
            return None
        world = self._world
        if self._view is None:
            self._view = ChaseView(world.vehicle, (), PICTURE)
        state, setpoint = world.state, world.reference().pos
        return tuple(
            self._view.picture(state.pos_world[:, i], state.quat_world_body[:, i], setpoint[:, i])
            for i in range(self.num_envs)
        )

    def close_extras(self, **kwargs: Any) -> None:
        """Release the view, if anything was drawn."""
        if self._view is not None:
            self._view.close()
            self._view = None
