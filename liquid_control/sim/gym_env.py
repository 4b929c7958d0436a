"""The worlds for anybody's reinforcement learning, as Gymnasium environments.

    import liquid_control.sim.gym_env
    gymnasium.make("LiquidControl/QuadHover-v0", world="hover_gusts")
    gymnasium.make_vec("LiquidControl/QuadHover-v0", num_envs=256, world="hover_gusts")

The first flies one vehicle in the world as everything else does: PyBullet, its sensors, wind, task
and faults, and the `ControlLoop` with its gate, limits and backup. Use it to judge, and for worlds
that the second can't do. The second steps all of its vehicles in one call of the batched dynamics
(`sim.batch_world`). Use it to learn. Both have the same observation slots, action and reward, see
`sim.learning`; an observation's slots are in ``env.unwrapped.observation_layout``.

An episode ends (terminated) with a crash, by the limits of the world's arena, and is cut off
(truncated) after the world's duration.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from gymnasium.error import ResetNeeded
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from liquid_control.control.observation import at_rest
from liquid_control.flight_log import FlightLog
from liquid_control.frames import Array
from liquid_control.runtime.catalogue import make_parameters, make_rules
from liquid_control.sim import NAME, register_envs
from liquid_control.sim.batch_world import BatchWorld
from liquid_control.sim.chase import ChaseView
from liquid_control.sim.flight import prepare
from liquid_control.sim.learning import (
    ActionMap,
    action_space,
    check_action,
    heading_cosine,
    observation_space,
    observer_for,
    reward,
)
from liquid_control.sim.scenario import WorldConfig, load_world
from liquid_control.structs import Layout
from liquid_control.vehicles.catalogue import load_vehicle
from liquid_control.vehicles.kind import VehicleConfig

WORLD = "hover_gusts"
MAX_WORLD_SEED = 2**31
RENDER_MODES = ["rgb_array"]
PICTURE = (480, 360)  # px


def _resolve(
    world: str | Path | WorldConfig, vehicle: str | Path | VehicleConfig | None
) -> tuple[WorldConfig, VehicleConfig]:
    scenario = world if isinstance(world, WorldConfig) else load_world(world)
    if not isinstance(vehicle, VehicleConfig):
        vehicle = load_vehicle(vehicle or scenario.vehicle)
    return scenario, vehicle


def _check_render_mode(render_mode: str | None) -> None:
    if render_mode is not None and render_mode not in RENDER_MODES:
        raise ValueError(
            f"render_mode: expected None or one of {RENDER_MODES}, got {render_mode!r}"
        )


def _reward(state: Any, reference: Any) -> Array:
    """Of a true motion and a setpoint, for one vehicle or a batch."""

    def length(v: Array) -> Array:
        return np.sqrt((np.asarray(v) ** 2).sum(axis=0))

    return reward(
        length(state.pos_world - reference[0]),
        length(state.vel_world - reference[1]),
        length(state.ang_vel_body),
        heading_cosine(state.quat_world_body, reference[3]),
    )


class _Played:
    """The controller of a loop whose commands come from outside: those of a learner.

    Attributes:
        commands: one for each control period so far, also where the loop's backup flies.
        now: the period that the loop is in.
    """

    def __init__(self, observation_layout: Layout, command_layout: Layout):
        self.observation_layout, self.command_layout = observation_layout, command_layout
        self.commands: list[np.ndarray] = []
        self.now = 0
        self.neurons = np.empty(0)

    def reset(self) -> None:
        """Nothing to forget: which command it is follows from the period."""

    def warm_up(self) -> None:
        """Nothing to warm up."""

    def step(self, observation: np.ndarray, dt: float) -> np.ndarray:
        """The command of this period."""
        return self.commands[self.now]


class QuadHoverEnv(gymnasium.Env):
    """One vehicle in a `World`, behind the loop that flies it everywhere.

    ``info`` has the world's ``seed``, the true ``position_error`` in m, the supervisor's ``mode``
    of the step (where it is not "policy", the loop's backup flew in place of the learner, or
    nobody) with its ``reason``, and the ``crash_reason``, "" for none. All figures of an episode:
    ``evaluation.metrics.flight_metrics(env.unwrapped.flight_log())``.
    """

    metadata = {"render_modes": RENDER_MODES, "render_fps": 50}  # noqa: RUF012

    def __init__(
        self,
        world: str | Path | WorldConfig = WORLD,
        *,
        vehicle: str | Path | VehicleConfig | None = None,
        slots: Iterable[str] | None = None,
        render_mode: str | None = None,
        **parameters: Any,
    ):
        """Read and check everything; nothing is simulated before `reset`.

        Args:
            world: name or path of a world file, or a world that has been read.
            vehicle: in place of the world's.
            slots: names of the observation slots, in the wanted order; ``None`` for all.
            render_mode: None, or "rgb_array": the vehicle seen from behind.
            **parameters: of the controller, in place of the defaults.
        """
        _check_render_mode(render_mode)
        self.render_mode = render_mode
        scenario, vehicle = _resolve(world, vehicle)
        rules = make_rules(vehicle, make_parameters(vehicle))
        observer = observer_for(rules, slots)
        self.observation_layout = observer.layout
        self.observation_space = observation_space(observer.layout)
        self.action_space = action_space(rules)
        self._layouts = (observer.layout, rules.command.layout)
        self._prepare = partial(prepare, scenario, vehicle=vehicle, name="learner", **parameters)
        self._played = _Played(*self._layouts)
        self._flight = self._prepare(self._played)
        self._at_rest = observer(at_rest(rules.command)).astype(np.float32)
        names = rules.observer.layout.component_names
        self._pick = [names.index(name) for name in observer.layout.component_names]
        self.action_map = ActionMap(rules)
        self.vehicle, self.control_period = vehicle, 1 / scenario.control_rate
        self._steps = round(scenario.duration * scenario.control_rate)
        self._world = None
        self._view: ChaseView | None = None
        self._sensed = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Start an episode: with ``seed``, that of the world as in ``fly --seed``; without, with
        one that the environment's generator picks."""
        super().reset(seed=seed)
        world_seed = int(self.np_random.integers(MAX_WORLD_SEED)) if seed is None else seed
        if self._world is None:
            self._world = self._flight.world(world_seed)
        self._world.seed = world_seed
        frame = self._world.reset()
        self._played.commands.clear()
        self._flight.loop.reset()
        self._sense(frame)
        return self._observation(), self._info("policy", "")

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """One control period.

        Raises:
            ValueError: for an action that is not finite.
            ResetNeeded: after the end of an episode.
        """
        if self._sensed is None:
            raise ResetNeeded("the episode is over: call reset()")
        check_action(action, f"{NAME} in {self._flight.scenario.name}")
        self._played.commands.append(self.action_map.command(np.asarray(action, dtype=float)))
        self._played.now = len(self._played.commands) - 1
        done = self._flight.loop.act(self._sensed)
        frame = self._world.step(done.command)
        self._sense(frame)
        observation, world = self._observation(), self._world
        setpoint = world.setpoint()
        reference = (setpoint.pos_world, setpoint.vel_world, setpoint.acc_world, setpoint.yaw)
        terminated = world.crashed
        truncated = not terminated and len(self._played.commands) >= self._steps
        if terminated or truncated:
            self._sensed = None
        value = 0.0 if terminated else float(_reward(world.state, reference))
        return observation, value, terminated, truncated, self._info(done.mode.value, done.reason)

    def _sense(self, frame) -> None:
        setpoint = self._world.setpoint()
        self._sensed = self._flight.loop.observe(frame, setpoint, self.control_period)

    def _observation(self) -> np.ndarray:
        whole = self._sensed.observation
        if whole is None:  # before the first sample of a sensor, and nothing flies yet
            return self._at_rest.copy()
        return whole[self._pick].astype(np.float32)

    def _info(self, mode: str, reason: str) -> dict[str, Any]:
        world = self._world
        error = np.linalg.norm(world.setpoint().pos_world - world.state.pos_world)
        return {
            "seed": world.seed,
            "time": world.time_ns * 1e-9,
            "position_error": float(error),
            "mode": mode,
            "reason": reason,
            "crash_reason": world.crash_reason,
        }

    def flight_log(self) -> FlightLog:
        """The episode so far as the log that metrics and reports take, flown again from its seed
        with the actions that were given: the same flight, bit for bit."""
        if not self._played.commands:
            raise ResetNeeded("no step was flown yet")
        again = _Played(*self._layouts)
        again.commands = self._played.commands.copy()

        def on_step(world, step) -> None:
            again.now += 1

        flight = self._prepare(again)
        with flight.world(self._world.seed) as world:
            duration = len(again.commands) * self.control_period
            return flight.fly(world, duration=duration, on_step=on_step)

    def render(self) -> np.ndarray | None:
        """The vehicle and its setpoint from behind, RGB (height, width, 3) uint8."""
        if self.render_mode is None or self._world is None:
            return None
        if self._view is None:
            scenario = self._flight.scenario
            self._view = ChaseView(self._flight.vehicle, scenario.obstacles, PICTURE)
        world = self._world
        return self._view.picture(*world.truth[:2], world.setpoint().pos_world)

    def close(self) -> None:
        """Release the world and the view."""
        for part in (self._world, self._view):
            if part is not None:
                part.close()
        self._world = self._view = self._sensed = None


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
        _check_render_mode(render_mode)
        self.render_mode = render_mode
        self.num_envs = num_envs
        scenario, vehicle = _resolve(world, vehicle)
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
            ValueError: for an action that is not finite, naming its environment.
        """
        actions = np.asarray(actions, dtype=float)
        for i in np.flatnonzero(~np.isfinite(actions).all(axis=1)):
            check_action(actions[i], f"environment {i} of {self.num_envs}")
        world = self._world
        wanted = self.action_map.command(actions)
        self._command = self.action_map.limited(wanted, self._command, self.control_period)
        # the error of the metrics is that of the row before the world moves on
        settled = world.tick > self._settled
        self._square += settled * world.distance() ** 2
        world.step(self._command.T, self.np_random)

        rewards = _reward(world.state, world.reference())
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


register_envs()
