"""An episode: a world and the loop that flies in it, whose commands come from a learner.

What the Gymnasium environments of one vehicle have in common, whatever they show of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import gymnasium
import numpy as np
from gymnasium.error import ResetNeeded

from liquid_control.control.observation import at_rest
from liquid_control.control.steps import Sensed
from liquid_control.flight_log import FlightLog
from liquid_control.importing import import_object
from liquid_control.runtime.catalogue import make_parameters, make_rules
from liquid_control.sim.chase import ChaseView
from liquid_control.sim.flight import prepare
from liquid_control.sim.learning import (
    MAX_WORLD_SEED,
    PICTURE,
    RENDER_MODES,
    ActionMap,
    action_space,
    checked_action,
    motion_reward,
    observation_space,
    observer_for,
)
from liquid_control.sim.rollout import FlightRecorder
from liquid_control.sim.scenario import WorldConfig
from liquid_control.sim.world import World
from liquid_control.structs import ImageSample, Layout
from liquid_control.vehicles.kind import VehicleConfig

_SUCCESS = "liquid_control.evaluation.judge:success"  # as `fly` and the suites judge
Step = tuple[float, bool, bool, dict[str, Any]]  # reward, terminated, truncated, info


class _Played:
    """The controller of a loop whose commands come from outside: those of a learner."""

    def __init__(self, observation: Layout, command: Layout, command_kind: str, sees: bool):
        self.observation_layout, self.command_layout = observation, command
        self.command_kind, self.sees = command_kind, sees
        self.command = np.empty(0)  # of this period, also where the loop's backup flies
        self.neurons = np.empty(0)

    def reset(self) -> None:
        """Nothing to forget."""

    def warm_up(self) -> None:
        """Nothing to warm up."""

    def look(self, image: ImageSample) -> None:
        """The learner has the image from its environment."""

    def step(self, observation: np.ndarray, dt: float) -> np.ndarray:
        """The command of this period."""
        return self.command


class Episode:
    """One vehicle in a `World`, behind the loop that flies it everywhere, step by step.

    Everything is read and checked when it is made; nothing is simulated before `reset`.

    Args:
        environment: its name, in errors.
        slots: of the observation, in the wanted order; ``None`` for all.
        command: name of the kind that the actions stand for; "" for the vehicle's first.
        sees: whether the learner steers by camera, so that nobody flies before the first image.
        parameters: of the controller, in place of the defaults.
    """

    def __init__(
        self,
        environment: str,
        scenario: WorldConfig,
        vehicle: VehicleConfig,
        slots: Iterable[str] | None,
        *,
        command: str = "",
        sees: bool = False,
        **parameters: Any,
    ):
        self._place = f"{environment} in {scenario.name}"
        rules = make_rules(vehicle, make_parameters(vehicle), command=command)
        observer = observer_for(rules, slots)
        self.layout, self.vehicle = observer.layout, vehicle
        self.state_space, self.action_space = (
            observation_space(observer.layout),
            action_space(rules),
        )
        self.action_map = ActionMap(rules)
        self._played = _Played(observer.layout, rules.command.layout, rules.command.name, sees)
        self._flight = prepare(
            scenario, self._played, vehicle=vehicle, name="learner", **parameters
        )
        self.control_period = 1 / scenario.control_rate
        self._at_rest = observer(at_rest(rules.command)).astype(np.float32)
        names = rules.observer.offering(observer.layout.names).layout.component_names
        self._pick = [names.index(name) for name in observer.layout.component_names]
        self._steps = round(scenario.duration * scenario.control_rate)
        self._success = import_object(_SUCCESS)
        self._world: World | None = None
        self._view: ChaseView | None = None
        self._sensed: Sensed | None = None  # None after the end

    def reset(self, seed: int | None, rng: np.random.Generator) -> dict[str, Any]:
        """Start: with ``seed``, that of the world; without, with one that ``rng`` picks."""
        seed = int(rng.integers(MAX_WORLD_SEED)) if seed is None else seed
        if self._world is None:
            self._world = self._flight.world(seed)
        self._world.seed = seed
        frame = self._world.reset()
        self._flight.loop.reset()
        self._recorder = FlightRecorder(self._world, self._flight.loop)
        self._sense(frame)
        return self._info("policy", "")

    def step(self, action: Any) -> Step:
        """One control period.

        Raises:
            ValueError: for an action of another shape or one that is not finite.
            ResetNeeded: after the end of an episode.
        """
        if self._sensed is None:
            raise ResetNeeded("the episode is over: call reset()")
        action = checked_action(action, self.action_space.shape, self._place)
        self._played.command = self.action_map.command(action)
        world = self._world
        done = self._flight.loop.act(self._sensed)
        self._recorder.add(self._frame, self._setpoint, done)
        self._sense(world.step(done.command))
        setpoint = self._setpoint
        reference = (setpoint.pos_world, setpoint.vel_world, setpoint.acc_world, setpoint.yaw)
        terminated = world.crashed
        truncated = not terminated and len(self._recorder) >= self._steps
        info = self._info(done.mode.value, done.reason)
        if terminated or truncated:
            info["success"] = self._success(self.flight_log(), self._flight.scenario.success)
            self._sensed = None
        value = 0.0 if terminated else float(motion_reward(world.state, reference))
        return value, terminated, truncated, info

    def _sense(self, frame) -> None:
        self._frame, self._setpoint = frame, self._world.setpoint()
        self._last = self._flight.loop.observe(frame, self._setpoint, self.control_period)
        self._sensed = self._last

    @property
    def state(self) -> np.ndarray:
        """The observation slots now, float32; at rest before the first sample of a sensor."""
        whole = self._last.observation
        if whole is None:
            return self._at_rest.copy()
        return whole[self._pick].astype(np.float32)

    @property
    def image(self) -> ImageSample | None:
        """The newest image that the loop took, ``None`` before the first."""
        return self._last.image

    def _info(self, mode: str, reason: str) -> dict[str, Any]:
        world = self._world
        error = np.linalg.norm(self._setpoint.pos_world - world.state.pos_world)
        return {
            "seed": world.seed,
            "time": world.time_ns * 1e-9,
            "position_error": float(error),
            "mode": mode,
            "reason": reason,
            "crash_reason": world.crash_reason,
        }

    def flight_log(self) -> FlightLog:
        """The episode so far as the log that metrics and reports take."""
        if self._world is None or not len(self._recorder):
            raise ResetNeeded("no step was flown yet")
        return self._recorder.log(self._flight.policy)

    def picture(self) -> np.ndarray | None:
        """The vehicle and its setpoint from behind, RGB (height, width, 3) uint8."""
        world = self._world
        if world is None:
            return None
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


class EpisodeEnv(gymnasium.Env):
    """What the environments of one vehicle share: all but what they show of their `Episode`."""

    metadata = {"render_modes": RENDER_MODES, "render_fps": 50}  # noqa: RUF012

    def _adopt(self, episode: Episode, vehicle: VehicleConfig) -> None:
        """Take the episode that the environment is about, of this vehicle."""
        self._episode = episode
        self.observation_layout = episode.layout
        self.action_space, self.action_map = episode.action_space, episode.action_map
        self.vehicle, self.control_period = vehicle, episode.control_period

    def flight_log(self) -> FlightLog:
        """The episode so far as the log that metrics and reports take."""
        return self._episode.flight_log()

    def render(self) -> np.ndarray | None:
        """The vehicle and its setpoint from behind, RGB (height, width, 3) uint8."""
        return None if self.render_mode is None else self._episode.picture()

    def close(self) -> None:
        """Release the world and the view."""
        self._episode.close()
