"""What a controller sees: named slots, all in the body frame, so that yaw does not matter.

The same functions serve the flying loop, ``(n,)`` in NumPy, and training, ``(n, B)`` in torch.
The directions ``up`` and ``heading`` together are the attitude relative to the wanted heading:
they are smooth everywhere, unlike angles.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from liquid_control.frames import Array, components, namespace, rotate_inverse, stack
from liquid_control.structs import GRAVITY, Layout, Slot


@dataclass(frozen=True, slots=True)
class Situation:
    """All that an observation may draw on; component-first arrays of one kind."""

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


def _pos_error(s: Situation) -> Array:
    return rotate_inverse(s.quat_world_body, s.setpoint_pos_world - s.pos_world)


def _vel_error(s: Situation) -> Array:
    return rotate_inverse(s.quat_world_body, s.setpoint_vel_world) - s.vel_body


def _acc_setpoint(s: Situation) -> Array:
    return rotate_inverse(s.quat_world_body, s.setpoint_acc_world)


def _up(s: Situation) -> Array:
    x, y, z, w = components(s.quat_world_body)
    return stack(
        s.quat_world_body, 2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)
    )


def _heading(s: Situation) -> Array:
    xp, yaw = namespace(s.setpoint_yaw), s.setpoint_yaw
    wanted = stack(yaw, xp.cos(yaw), xp.sin(yaw), yaw * 0)
    return rotate_inverse(s.quat_world_body, wanted)


_SLOTS: tuple[tuple[Slot, Callable[[Situation], Array]], ...] = (
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


def within_reach(setpoint_pos: Array, pos: Array, limit: float) -> Array:
    """The setpoint ``(3, *batch)``, or where the way to it is ``limit`` m from ``pos``."""
    x, y, z = error = setpoint_pos - pos
    distance = (x * x + y * y + z * z + 1e-12) ** 0.5
    return pos + error * (limit / distance.clip(limit))


def layout_of(names: tuple[str, ...]) -> Layout:
    """The layout of the named slots, in the given order. Raises `ValueError` for unknown names."""
    slots = {slot.name: slot for slot in OBSERVATION_LAYOUT.slots}
    unknown = [name for name in names if name not in slots]
    if unknown:
        raise ValueError(f"unknown observation slots {unknown}, expected some of {list(slots)}")
    return Layout(tuple(slots[name] for name in names))


def hover_observation(layout: Layout) -> np.ndarray:
    """The observation ``(layout.size,)`` of a vehicle that hovers at its setpoint."""
    zero = np.zeros(3)
    up = np.array([0.0, 0.0, GRAVITY])
    hovering = Situation(
        pos_world=zero,
        quat_world_body=np.array([0.0, 0.0, 0.0, 1.0]),
        vel_body=zero,
        ang_vel_body=zero,
        specific_force_body=up,
        setpoint_pos_world=zero,
        setpoint_vel_world=zero,
        setpoint_acc_world=zero,
        setpoint_yaw=np.float64(0.0),
        previous_command=np.array([GRAVITY, 0.0, 0.0, 0.0]),
    )
    return observe(hovering, layout)


def observe(situation: Situation, layout: Layout = OBSERVATION_LAYOUT) -> Array:
    """The observation ``(layout.size, *batch)`` in SI units."""
    parts = [_FUNCTIONS[name](situation) for name in layout.names]
    xp = namespace(parts[0])
    return xp.concatenate(parts) if xp.__name__ == "numpy" else xp.cat(parts)
