"""Words and units for people: of a command's slots, of actuators."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from liquid_control.structs import CommandKind, Slot


class SlotWords(NamedTuple):
    """How a slot of a command is spoken of."""

    name: str  # in names of metrics
    title: str


# A kind that is not here is spoken of by the names of its slots.
_SLOTS = {
    ("rates_thrust", "thrust"): SlotWords("thrust", "thrust / mass"),
    ("rates_thrust", "ang_vel"): SlotWords("rate", "body rates"),
}
# What the position error of a vehicle is called that has not the usual one's, by its command.
_ERRORS = {"steering": "lane deviation"}
EAST_NORTH_UP = ("east", "north", "up")
_SUPERSCRIPTS = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")
_AXES = ("x", "y", "z", "w")
_ANGLES = ("roll", "pitch", "yaw")


def slot_words(kind: CommandKind, slot: Slot) -> SlotWords:
    """Of a slot of a kind of command."""
    return _SLOTS.get((kind.name, slot.name), SlotWords(slot.name, slot.name.replace("_", " ")))


def error_word(kind: CommandKind) -> str:
    """What the position error is called of vehicles that take this kind of command."""
    return _ERRORS.get(kind.name, "position error")


def component_words(slot: Slot) -> tuple[str, ...]:
    """One word for each value of a slot."""
    if slot.size == 1:
        return (slot.name.replace("_", " "),)
    if slot.size == 3 and slot.unit.startswith("rad"):
        return _ANGLES
    return _AXES[: slot.size] if slot.size <= 4 else tuple(map(str, range(slot.size)))


def unit_text(unit: str) -> str:
    """``m/s^2`` as ``m/s²``; nothing for a plain number, "1"."""
    return (
        "" if unit == "1" else re.sub(r"\^(-?\d+)", lambda m: m[1].translate(_SUPERSCRIPTS), unit)
    )


def unit_name(unit: str) -> str:
    """``m/s^2`` as it stands in names: ``mps2``."""
    return "" if unit == "1" else re.sub(r"[^a-zA-Z0-9]", "", unit.replace("/", "p"))


def per_second(unit: str) -> str:
    """The unit of a change per second: ``m/s^2`` of ``m/s``."""
    match = re.fullmatch(r"(.*)/s(?:\^(\d+))?", unit)
    if match is None:
        return f"{unit}/s"
    return f"{match[1]}/s^{int(match[2] or 1) + 1}"


def titled(title: str, unit: str) -> str:
    """A title with its unit behind a comma, where it has one."""
    return f"{title}, {unit_text(unit)}" if unit_text(unit) else title


class ActuatorGroup(NamedTuple):
    """Actuators of one unit, for one plot."""

    title: str  # "rotors, rad/s"
    columns: tuple[int, ...]
    names: tuple[str, ...]


def actuator_groups(names: Sequence[str]) -> list[ActuatorGroup]:
    """Actuators by their unit, which a name says after a blank: ``rotor0 rad/s``."""
    groups: dict[str, list[tuple[int, str]]] = {}
    for column, full in enumerate(names):
        name, _, unit = full.rpartition(" ")
        name, unit = (name, unit) if name else (unit, "1")
        groups.setdefault(unit, []).append((column, name))
    found = []
    for unit, members in groups.items():
        stems = {name.rstrip("0123456789_") for _, name in members}
        several = len(members) > 1
        what = f"{stems.pop()}{'s' if several else ''}" if len(stems) == 1 else "actuators"
        columns, labels = zip(*members, strict=True)
        found.append(ActuatorGroup(titled(what.replace("_", " "), unit), columns, labels))
    return found
