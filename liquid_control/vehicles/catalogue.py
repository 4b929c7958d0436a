"""The kinds of vehicle by name, and vehicles by file."""

from __future__ import annotations

from pathlib import Path

from liquid_control.config import ConfigError, find_file, parse, read_yaml
from liquid_control.vehicles.kind import VehicleConfig, VehicleKind
from liquid_control.vehicles.quadrotor.kind import QUADROTOR

VEHICLES: dict[str, VehicleKind] = {QUADROTOR.name: QUADROTOR}


def register_vehicle(kind: VehicleKind) -> VehicleKind:
    """Make a kind known by its name, so that vehicle files can say it.

    Raises:
        ValueError: if the name is taken by another kind.
    """
    if VEHICLES.setdefault(kind.name, kind) is not kind:
        raise ValueError(f"there is a kind of vehicle {kind.name!r} already")
    return kind


def kind_of(vehicle: VehicleConfig) -> VehicleKind:
    """The kind of a vehicle."""
    return VEHICLES[vehicle.kind]


def load_vehicle(name: str | Path) -> VehicleConfig:
    """A vehicle by path or by name (``config/vehicle/<name>.yaml``).

    A file without ``kind`` describes a quadrotor.

    Raises:
        ConfigError: for an unknown file or kind, and for a file that does not describe one.
    """
    path = find_file(name, "config/vehicle")
    data = read_yaml(path)
    named = data.get("kind", QUADROTOR.name) if isinstance(data, dict) else QUADROTOR.name
    if not isinstance(named, str) or named not in VEHICLES:
        raise ConfigError(f"{path}: kind: expected one of {', '.join(VEHICLES)}, got {named!r}")
    return parse(data, VEHICLES[named].config, path)
