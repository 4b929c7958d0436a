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

from liquid_control.config import ConfigError
from liquid_control.control.observation import Observer
from liquid_control.control.rules import Rules
from liquid_control.frames import Array
from liquid_control.sim import NAME
from liquid_control.sim.flight import resolve
from liquid_control.sim.scenario import WorldConfig
from liquid_control.structs import Layout
from liquid_control.vehicles.kind import VehicleConfig
from liquid_control.vehicles.quadrotor.config import QuadrotorConfig

WORLD = "hover_gusts"
_OF_ODOMETRY = ("pos_error", "vel_error", "acc_setpoint", "up", "heading")
MAX_WORLD_SEED = 2**31
RENDER_MODES = ["rgb_array"]
PICTURE = (480, 360)  # px


def observer_for(rules: Rules, slots: Iterable[str] | None) -> Observer:
    """The observer of the named slots; ``None`` for all that the vehicle offers.

    Raises:
        ValueError: for an unknown name, and for none at all.
    """
    if slots is None:
        return rules.observer
    observer = rules.observer.select(slots)
    if not observer.layout.size:
        raise ValueError(f"slots: expected some of {list(rules.observer.layout.names)}, got none")
    return observer


def seeing_slots(rules: Rules) -> tuple[str, ...]:
    """What a policy that steers by camera is told besides the image: what neither odometry nor the
    setpoint says, as neither would be there."""
    rows = (*rules.observer.rows, *rules.observer.on_request)
    names = (row.slot.name for row in rows if not row.simulated)
    return tuple(name for name in names if name not in _OF_ODOMETRY)


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


def checked_action(action: Any, shape: tuple[int, ...], environment: str) -> np.ndarray:
    """The action as an array ``shape``; its last axis is one environment's.

    Raises:
        ValueError: for another shape, and for what is no finite number, naming the environment and
            what came.
    """
    expected = f"expected finite numbers in [-1, 1] of shape {shape}"
    try:
        values = np.asarray(action, dtype=float)
    except (TypeError, ValueError):  # also for rows of different lengths
        raise ValueError(f"{environment}: action {action!r}: {expected}") from None
    if values.shape != shape:
        raise ValueError(f"{environment}: action of shape {values.shape}: {expected}")
    for index in np.argwhere(~np.isfinite(values).all(axis=-1)):
        one = f"environment {index[0]} of {environment}" if len(index) else environment
        raise ValueError(f"{one}: action {values[tuple(index)].tolist()}: {expected}")
    return values


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


def resolve_quadrotor(
    world: str | Path | WorldConfig, vehicle: str | Path | VehicleConfig | None
) -> tuple[WorldConfig, VehicleConfig]:
    """A world and its vehicle, or another one, by name or as they are.

    Raises:
        ConfigError: for what is no quadrotor.
    """
    scenario, vehicle = resolve(world, vehicle)
    if not isinstance(vehicle, QuadrotorConfig):
        raise ConfigError(
            f"{NAME} in {scenario.name}: expected a quadrotor, got the vehicle {vehicle.name!r} of "
            f"kind {vehicle.kind!r}"
        )
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
