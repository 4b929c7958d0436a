"""What a controller sees: named slots, all in the body frame, so that yaw does not matter.

The same functions serve the flying loop, on floats, and training, on torch tensors ``(B,)``.
The directions ``up`` and ``heading`` together are the attitude relative to the wanted heading:
they are smooth everywhere, unlike angles.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np

from liquid_control.frames import Array, namespace, rotate_components, stack
from liquid_control.structs import GRAVITY, Layout, Slot


class Situation(NamedTuple):
    """All that an observation may draw on: component-first arrays, or tuples of floats."""

    pos_world: Array  # (3, *batch) m
    quat_world_body: Array  # (4, *batch) xyzw
    vel_body: Array  # (3, *batch) m/s
    ang_vel_body: Array  # (3, *batch) rad/s
    specific_force_body: Array  # (3, *batch) m/s²
    setpoint_pos_world: Array  # (3, *batch) m
    setpoint_vel_world: Array  # (3, *batch) m/s
    setpoint_acc_world: Array  # (3, *batch) m/s²
    setpoint_yaw: Array  # (*batch) rad
    previous_command: Array  # (4, *batch), COMMAND_LAYOUT


def _to_body(s: Situation, x: Array, y: Array, z: Array):
    qx, qy, qz, qw = s.quat_world_body
    return rotate_components(-qx, -qy, -qz, qw, x, y, z)


def _pos_error(s: Situation):
    x, y, z = s.pos_world
    wanted_x, wanted_y, wanted_z = s.setpoint_pos_world
    return _to_body(s, wanted_x - x, wanted_y - y, wanted_z - z)


def _vel_error(s: Situation):
    x, y, z = s.vel_body
    wanted_x, wanted_y, wanted_z = _to_body(s, *s.setpoint_vel_world)
    return wanted_x - x, wanted_y - y, wanted_z - z


def _acc_setpoint(s: Situation):
    return _to_body(s, *s.setpoint_acc_world)


def _up(s: Situation):
    x, y, z, w = s.quat_world_body
    return 2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)


def _heading(s: Situation):
    xp, yaw = namespace(s.setpoint_yaw), s.setpoint_yaw
    return _to_body(s, xp.cos(yaw), xp.sin(yaw), yaw * 0)


# slot, and the function that gives its components
_SLOTS: tuple[tuple[Slot, Callable[[Situation], Iterable[Array]]], ...] = (
    (Slot("pos_error", 3, "m", "body"), _pos_error),
    (Slot("vel_error", 3, "m/s", "body"), _vel_error),
    (Slot("acc_setpoint", 3, "m/s^2", "body"), _acc_setpoint),
    (Slot("up", 3, "1", "body"), _up),
    (Slot("heading", 3, "1", "body"), _heading),
    (Slot("ang_vel", 3, "rad/s", "body"), lambda s: s.ang_vel_body),
    (Slot("specific_force", 3, "m/s^2", "body"), lambda s: s.specific_force_body),
    (Slot("previous_thrust", 1, "m/s^2", "body"), lambda s: s.previous_command[:1]),
    (Slot("previous_ang_vel", 3, "rad/s", "body"), lambda s: s.previous_command[1:]),
)

OBSERVATION_LAYOUT = Layout(tuple(slot for slot, _ in _SLOTS))
_FUNCTIONS = {slot.name: function for slot, function in _SLOTS}


def within_reach(setpoint_pos: Array, pos: Array, limit: float) -> tuple[Array, Array, Array]:
    """Components of the setpoint, or of where the way to it is ``limit`` m from ``pos``."""
    x, y, z = pos
    wanted_x, wanted_y, wanted_z = setpoint_pos
    dx, dy, dz = wanted_x - x, wanted_y - y, wanted_z - z
    distance = (dx * dx + dy * dy + dz * dz + 1e-12) ** 0.5
    share = limit / namespace(distance).clip(distance, limit, math.inf)
    return x + dx * share, y + dy * share, z + dz * share


def layout_of(names: tuple[str, ...]) -> Layout:
    """The layout of the named slots, in the given order. Raises `ValueError` for unknown names."""
    slots = {slot.name: slot for slot in OBSERVATION_LAYOUT.slots}
    unknown = [name for name in names if name not in slots]
    if unknown:
        raise ValueError(f"unknown observation slots {unknown}, expected some of {list(slots)}")
    return Layout(tuple(slots[name] for name in names))


def hover_observation(layout: Layout) -> np.ndarray:
    """The observation ``(layout.size,)`` of a vehicle that hovers at its setpoint."""
    zero = (0.0, 0.0, 0.0)
    hovering = Situation(
        pos_world=zero,
        quat_world_body=(0.0, 0.0, 0.0, 1.0),
        vel_body=zero,
        ang_vel_body=zero,
        specific_force_body=(0.0, 0.0, GRAVITY),
        setpoint_pos_world=zero,
        setpoint_vel_world=zero,
        setpoint_acc_world=zero,
        setpoint_yaw=0.0,
        previous_command=(GRAVITY, 0.0, 0.0, 0.0),
    )
    return observe(hovering, layout)


def observe(situation: Situation, layout: Layout = OBSERVATION_LAYOUT) -> Array:
    """The observation ``(layout.size, *batch)`` in SI units."""
    parts: list[Array] = []
    for name in layout.names:
        parts.extend(_FUNCTIONS[name](situation))
    return stack(parts[0], *parts)
