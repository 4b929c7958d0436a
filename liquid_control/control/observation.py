"""What a controller sees: named slots, all in the body frame, so that yaw does not matter.

The same functions serve the flying loop, on floats, and training, on torch tensors ``(B,)``.
The directions ``up`` and ``heading`` together are the attitude relative to the wanted heading:
they are smooth everywhere, unlike angles.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

from liquid_control.frames import Array, namespace, rotate_components, stack
from liquid_control.structs import GRAVITY, TRUTH, CommandKind, Layout, Reading, Slot


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
    previous_command: Array  # (c, *batch), of the vehicle's command kind
    # the newest reading of each further sensor that a slot says it reads; in a batch, the truth
    readings: Mapping[str, Reading] = MappingProxyType({})


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


_PREVIOUS = "previous_"  # begins the names of the last command's slots
Function = Callable[[Situation], Iterable[Array]]


def _truly(s: Situation) -> Situation:
    """The situation with the true motion in place of what is measured; as it is where none is told
    (at rest). The setpoint stays the one that was brought within reach of the measured position."""
    reading = s.readings.get(TRUTH)
    if reading is None:
        return s
    truth = reading.sample
    s = s._replace(
        pos_world=truth.pos_world,
        quat_world_body=truth.quat_world_body,
        ang_vel_body=truth.ang_vel_body,
        specific_force_body=truth.specific_force_body,
    )
    return s._replace(vel_body=_to_body(s, *truth.vel_world))


def _of_truth(function: Function) -> Function:
    return lambda s: function(_truly(s))


def _true_wind(s: Situation):
    reading = s.readings.get(TRUTH)
    if reading is None:
        still = s.setpoint_yaw * 0
        return still, still, still
    return _to_body(_truly(s), *reading.sample.wind_world)


@dataclass(frozen=True)
class Row:
    """One row of the table: a slot, what gives its components, and the vehicles it serves."""

    slot: Slot
    function: Function
    vehicles: frozenset[str] | None = None  # kinds of vehicle; None: all
    sensors: tuple[str, ...] = ()  # that the function reads and the vehicle might do without
    simulated: bool = False  # only a simulated world can tell it; for those who ask by name
    on_request: bool = False  # for those who ask by name, too


def _image_age(s: Situation):
    reading = s.readings.get("image")
    return (0.0 if reading is None else reading.age,)


_TABLE = [
    Row(Slot("pos_error", 3, "m", "body"), _pos_error),
    Row(Slot("vel_error", 3, "m/s", "body"), _vel_error),
    Row(Slot("acc_setpoint", 3, "m/s^2", "body"), _acc_setpoint),
    Row(Slot("up", 3, "1", "body"), _up),
    Row(Slot("heading", 3, "1", "body"), _heading),
    Row(Slot("ang_vel", 3, "rad/s", "body"), lambda s: s.ang_vel_body),
    Row(
        Slot("specific_force", 3, "m/s^2", "body"),
        lambda s: s.specific_force_body,
        sensors=("imu",),  # also of a vehicle that can do without
    ),
    Row(Slot("image_age", 1, "s", "none"), _image_age, sensors=("image",), on_request=True),
]
_TABLE += [  # what an oracle may be told
    Row(
        Slot(f"true_{row.slot.name}", row.slot.size, row.slot.unit, row.slot.frame),
        _of_truth(row.function),
        sensors=(TRUTH,),
        simulated=True,
    )
    for row in tuple(_TABLE)
    if not row.on_request
]
_TABLE.append(
    Row(Slot("true_wind", 3, "m/s", "body"), _true_wind, sensors=(TRUTH,), simulated=True)
)


def register_slot(
    slot: Slot,
    function: Function,
    vehicles: Iterable[str] | None = None,
    sensors: Iterable[str] = (),
    simulated: bool = False,
) -> Row:
    """Add a row to the table, for the named kinds of vehicle or for all.

    A loop offers the slots that are there when its vehicle's rules are built.

    Args:
        slot: its name, size, unit and frame.
        function: gives its components of a `Situation`; for one vehicle floats, for a batch arrays.
        vehicles: names of the kinds that offer it; ``None`` for all.
        sensors: further sensors whose newest reading the function takes from
            ``situation.readings``; a policy with this slot flies once they have come. Where there
            is none (at rest, in a batch) the function gives some value all the same.
        simulated: only a simulated world can tell it. It is offered to a policy that asks for it by
            name, to no other, and a loop that is not told that it flies in simulation refuses it.

    Raises:
        ValueError: if there is a slot of that name, or the name is one of the last command's.
    """
    if slot.name.startswith(_PREVIOUS):
        raise ValueError(f"observation slot {slot.name!r}: {_PREVIOUS}... are of the last command")
    if any(row.slot.name == slot.name for row in _TABLE):
        raise ValueError(f"there is an observation slot {slot.name!r} already")
    kinds = None if vehicles is None else frozenset(vehicles)
    row = Row(slot, function, kinds, tuple(sensors), simulated)
    _TABLE.append(row)
    return row


def forget_slot(row: Row) -> None:
    """Take back a `register_slot`."""
    _TABLE.remove(row)


def _previous(command: CommandKind, slot: Slot) -> Row:
    part = command.layout[slot.name]
    own = Slot(f"{_PREVIOUS}{slot.name}", slot.size, slot.unit, slot.frame)
    return Row(own, lambda s: s.previous_command[part])


class Observer:
    """Computes the slots of one layout; the same for one vehicle and for a batch.

    Args:
        rows: what it computes.
        on_request: what it can besides, for those who `select` it.
    """

    def __init__(self, rows: Iterable[Row], on_request: Iterable[Row] = ()):
        self.rows, self.on_request = tuple(rows), tuple(on_request)
        self.layout = Layout(tuple(row.slot for row in self.rows))
        self._functions = tuple(row.function for row in self.rows)
        self._size = self.layout.size
        self.sensors = tuple(dict.fromkeys(name for row in self.rows for name in row.sensors))
        self.simulated = tuple(row.slot.name for row in self.rows if row.simulated)

    def check(self, command: CommandKind) -> None:
        """Compute every slot of a vehicle at rest.

        Raises:
            ValueError: for one that does not give as many numbers as it says; it names the slot.
        """
        for row in (*self.rows, *self.on_request):
            try:
                size = len([float(value) for value in row.function(at_rest(command))])
            except Exception as error:  # whatever a function of somebody's raises
                raise ValueError(f"observation slot {row.slot.name!r}: {error}") from None
            if size != row.slot.size:
                raise ValueError(
                    f"observation slot {row.slot.name!r} gives {size} numbers, expected "
                    f"{row.slot.size}"
                )

    def __call__(self, situation: Situation) -> Array:
        """The observation ``(layout.size, *batch)`` in SI units."""
        parts: list[Array] = []
        for function in self._functions:
            parts.extend(function(situation))
        if len(parts) != self._size:
            raise ValueError(self._misfit(situation))
        return stack(parts[0], *parts)

    def _misfit(self, situation: Situation) -> str:
        for row in self.rows:
            given = len(tuple(row.function(situation)))
            if given != row.slot.size:
                return (
                    f"observation slot {row.slot.name!r} gives {given} numbers, expected "
                    f"{row.slot.size}"
                )
        return "an observation slot gives now more, now fewer numbers"

    def select(self, names: Iterable[str]) -> Observer:
        """The observer of the named slots, in the given order; also of those on request.

        Raises:
            ValueError: for an unknown name.
        """
        rows = {row.slot.name: row for row in (*self.rows, *self.on_request)}
        names = tuple(names)
        unknown = [name for name in names if name not in rows]
        if unknown:
            raise ValueError(f"unknown observation slots {unknown}, expected some of {list(rows)}")
        return Observer(rows[name] for name in names)

    def offering(self, names: Iterable[str]) -> Observer:
        """This observer; behind its slots, those of the named ones that it has on request alone."""
        names = set(names)
        asked = tuple(row for row in self.on_request if row.slot.name in names)
        if not asked:
            return self
        rest = (row for row in self.on_request if row not in asked)
        return Observer((*self.rows, *asked), rest)


def observer_of(vehicle: str, command: CommandKind) -> Observer:
    """All that a kind of vehicle with this kind of command can observe: the table, then the last
    command, a slot ``previous_*`` for each of its own; on request, what only simulation or a camera
    tells."""
    rows = [row for row in _TABLE if row.vehicles is None or vehicle in row.vehicles]
    offered = (row for row in rows if not (row.simulated or row.on_request))
    previous = (_previous(command, slot) for slot in command.layout.slots)
    return Observer((*offered, *previous), (r for r in rows if r.simulated or r.on_request))


def within_reach(setpoint_pos: Array, pos: Array, limit: float) -> tuple[Array, Array, Array]:
    """Components of the setpoint, or of where the way to it is ``limit`` m from ``pos``."""
    x, y, z = pos
    wanted_x, wanted_y, wanted_z = setpoint_pos
    dx, dy, dz = wanted_x - x, wanted_y - y, wanted_z - z
    distance = (dx * dx + dy * dy + dz * dz + 1e-12) ** 0.5
    share = limit / namespace(distance).clip(distance, limit, math.inf)
    return x + dx * share, y + dy * share, z + dz * share


def at_rest(command: CommandKind) -> Situation:
    """The situation of one vehicle that rests, level, at its setpoint, with a neutral command."""
    zero = (0.0, 0.0, 0.0)
    return Situation(
        pos_world=zero,
        quat_world_body=(0.0, 0.0, 0.0, 1.0),
        vel_body=zero,
        ang_vel_body=zero,
        specific_force_body=(0.0, 0.0, GRAVITY),
        setpoint_pos_world=zero,
        setpoint_vel_world=zero,
        setpoint_acc_world=zero,
        setpoint_yaw=0.0,
        previous_command=command.neutral,
    )
