"""What the Gymnasium environments of one vehicle and of a batch have in common: spaces and reward.

Observation: the slots that the vehicle offers to every controller, or some of them, SI units.
Action: one number in [−1, 1] for each value of the command; 0 is the neutral command, 1 the largest
one, and what comes out is held within limits and slew rate as by the output gate of the loop.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium.spaces import Box

from liquid_control.control.observation import Observer
from liquid_control.control.rules import Rules
from liquid_control.frames import Array
from liquid_control.sim.scenario import WorldConfig, load_world
from liquid_control.structs import Layout
from liquid_control.vehicles.catalogue import load_vehicle
from liquid_control.vehicles.kind import VehicleConfig

WORLD = "hover_gusts"
MAX_WORLD_SEED = 2**31
RENDER_MODES = ["rgb_array"]
PICTURE = (480, 360)  # px


def observer_for(rules: Rules, slots: Iterable[str] | None) -> Observer:
    """The observer of the named slots; ``None`` for all that the vehicle offers."""
    return rules.observer if slots is None else rules.observer.select(slots)


def observation_space(layout: Layout) -> Box:
    """The observation space of one environment, SI units, float32."""
    return Box(-np.inf, np.inf, (layout.size,), np.float32)


def action_space(rules: Rules) -> Box:
    """The action space of one environment, one number in [-1, 1] a value."""
    return Box(-1.0, 1.0, (rules.command.layout.size,), np.float32)


class ActionMap:
    """Between actions in [−1, 1] and commands in SI units; arrays ``(..., C)``."""

    def __init__(self, rules: Rules):
        self.neutral = np.array(rules.command.neutral)
        self.scale = np.array(rules.high) - self.neutral  # SI per unit of action
        self._low, self._high = np.array(rules.low), np.array(rules.high)
        self._slew = np.array(rules.slew)

    def command(self, action: np.ndarray) -> np.ndarray:
        """What an action asks for."""
        return self.neutral + self.scale * np.clip(action, -1.0, 1.0)

    def limited(self, command: np.ndarray, previous: np.ndarray, dt: float) -> np.ndarray:
        """What is sent of it ``dt`` s after ``previous``, as the loop's output gate has it."""
        step = self._slew * dt
        return np.clip(np.clip(command, previous - step, previous + step), self._low, self._high)


def check_action(action: np.ndarray, environment: str) -> None:
    """Refuse what is no finite number.

    Raises:
        ValueError: naming the environment and the action.
    """
    if not np.isfinite(action).all():
        raise ValueError(
            f"{environment}: action {np.asarray(action).tolist()}: expected finite numbers in "
            "[-1, 1]"
        )


def reward(distance: Array, speed: Array, turning: Array, heading_cosine: Array) -> Array:
    """Of one control step, in (0, 1], all from the true motion; 1 at rest on the setpoint.

        exp(−2 d) / (1 + 0.1 v + 0.05 ω + 0.5 (1 − cos ψ))

    Args:
        distance: d, from the setpoint, m.
        speed: v, relative to the setpoint's velocity, m/s.
        turning: ω, length of the body rates, rad/s.
        heading_cosine: of the error ψ of the heading.
    """
    return np.exp(-2 * distance) / (1 + 0.1 * speed + 0.05 * turning + 0.5 * (1 - heading_cosine))


def heading_cosine(quat_world_body: Array, yaw: Array) -> Array:
    """Cosine between the body's x axis and the wanted heading ``yaw``, from above."""
    x, y, z, w = quat_world_body
    forward_x, forward_y = 1 - 2 * (y * y + z * z), 2 * (x * y + z * w)
    level = np.maximum(np.hypot(forward_x, forward_y), 1e-9)
    return (forward_x * np.cos(yaw) + forward_y * np.sin(yaw)) / level


def resolve(
    world: str | Path | WorldConfig, vehicle: str | Path | VehicleConfig | None
) -> tuple[WorldConfig, VehicleConfig]:
    """A world and its vehicle, or another one, by name or as they are."""
    scenario = world if isinstance(world, WorldConfig) else load_world(world)
    if not isinstance(vehicle, VehicleConfig):
        vehicle = load_vehicle(vehicle or scenario.vehicle)
    return scenario, vehicle


def check_render_mode(render_mode: str | None) -> None:
    """`ValueError` for a mode in which nothing can be drawn."""
    if render_mode is not None and render_mode not in RENDER_MODES:
        raise ValueError(
            f"render_mode: expected None or one of {RENDER_MODES}, got {render_mode!r}"
        )


def motion_reward(state: Any, reference: Any) -> Array:
    """Of a true motion and a setpoint, for one vehicle or a batch."""

    def length(v: Array) -> Array:
        return np.sqrt((np.asarray(v) ** 2).sum(axis=0))

    return reward(
        length(state.pos_world - reference[0]),
        length(state.vel_world - reference[1]),
        length(state.ang_vel_body),
        heading_cosine(state.quat_world_body, reference[3]),
    )
