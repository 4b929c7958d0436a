"""The kinds of vehicle by name, and vehicles by file."""

from __future__ import annotations

from pathlib import Path

from liquid_control.config import ConfigError, find_file, parse, read_yaml
from liquid_control.importing import import_object, is_import_name
from liquid_control.vehicles.car.kind import CAR
from liquid_control.vehicles.kind import VehicleConfig, VehicleKind
from liquid_control.vehicles.quadrotor.kind import QUADROTOR

VEHICLES: dict[str, VehicleKind] = {kind.name: kind for kind in (QUADROTOR, CAR)}


def register_vehicle(kind: VehicleKind) -> VehicleKind:
    """Make a kind known by its name, so that vehicle files can say it.

    Raises:
        ValueError: if the name is taken by another kind.
    """
    if VEHICLES.setdefault(kind.name, kind) is not kind:
        raise ValueError(f"there is a kind of vehicle {kind.name!r} already")
    return kind


def kind_of(vehicle: VehicleConfig) -> VehicleKind:
    """The kind of a vehicle, which was read by `load_vehicle` or is of a registered kind."""
    return VEHICLES[vehicle.kind]


def load_vehicle(name: str | Path) -> VehicleConfig:
    """A vehicle by path or by name (``config/vehicle/<name>.yaml``).

    Its ``kind`` is that of a registered kind, or ``package.module:NAME`` or ``file.py:NAME`` of a
    `VehicleKind` of your own (a file beside the vehicle's), which is registered with that. A file
    without ``kind`` describes a quadrotor.

    Raises:
        ConfigError: for an unknown file or kind, and for a file that does not describe one.
    """
    path = find_file(name, "config/vehicle")
    data = read_yaml(path)
    if not isinstance(data, dict):
        return parse(data, QUADROTOR.config, path)
    kind = _find_kind(data.get("kind", QUADROTOR.name), path)
    vehicle = parse({**data, "kind": kind.name}, kind.config, path)
    try:
        kind.check(vehicle)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None
    return vehicle


def _register_named(kind: object) -> None:
    """Here, and again in each worker process."""
    if not isinstance(kind, VehicleKind):
        raise TypeError(f"it is no VehicleKind but {kind!r}")
    register_vehicle(kind)


def _find_kind(named: object, path: Path) -> VehicleKind:
    if isinstance(named, str) and named in VEHICLES:
        return VEHICLES[named]
    if isinstance(named, str) and is_import_name(named):
        try:
            return import_object(named, path.parent, register=_register_named)
        except ConfigError:
            raise
        except (TypeError, ValueError) as error:
            raise ConfigError(f"{path}: kind: {named}: {error}") from None
    known = ", ".join(VEHICLES)
    raise ConfigError(
        f"{path}: kind: expected one of {known}, or package.module:NAME, got {named!r}"
    )
