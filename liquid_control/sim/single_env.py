"""One vehicle in a `World` as a Gymnasium environment, behind the loop that flies it everywhere."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from gymnasium.error import ResetNeeded

from liquid_control.control.observation import at_rest
from liquid_control.flight_log import FlightLog
from liquid_control.runtime.catalogue import make_parameters, make_rules
from liquid_control.sim import NAME
from liquid_control.sim.chase import ChaseView
from liquid_control.sim.flight import prepare
from liquid_control.sim.learning import (
    MAX_WORLD_SEED,
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
from liquid_control.structs import Layout
from liquid_control.vehicles.kind import VehicleConfig


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
        check_render_mode(render_mode)
        self.render_mode = render_mode
        scenario, vehicle = resolve_quadrotor(world, vehicle)
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
        names = rules.observer.offering(observer.layout.names).layout.component_names
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
            ValueError: for an action of another shape or one that is not finite.
            ResetNeeded: after the end of an episode.
        """
        if self._sensed is None:
            raise ResetNeeded("the episode is over: call reset()")
        place = f"{NAME} in {self._flight.scenario.name}"
        action = checked_action(action, self.action_space.shape, place)
        self._played.commands.append(self.action_map.command(action))
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
        value = 0.0 if terminated else float(motion_reward(world.state, reference))
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
        world = self._world
        if self._view is not None and world.scene != self._viewed:  # another seed's
            self._view.close()
            self._view = None
        if self._view is None:
            self._viewed = world.scene
            self._view = ChaseView(self._flight.vehicle, self._viewed, PICTURE)
        return self._view.picture(*world.truth[:2], world.setpoint().pos_world)

    def close(self) -> None:
        """Release the world and the view."""
        for part in (self._world, self._view):
            if part is not None:
                part.close()
        self._world = self._view = self._sensed = None
