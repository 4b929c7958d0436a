"""What a kind of vehicle is: the one object that a new kind has to bring.

A kind names its description file, the parameters and rules of its control, its built-in
controllers, and its body in the simulated world. `vehicles.catalogue` knows the kinds by name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from liquid_control.config import StrictModel
from liquid_control.control.controller import Controller
from liquid_control.control.rules import Backup, Rules
from liquid_control.parameters import ControllerParameters
from liquid_control.structs import CommandKind


class VehicleConfig(StrictModel):
    """What every vehicle file says; each kind has a model of its own with the rest."""

    kind: str
    name: str


class Trait(NamedTuple):
    """A quantity of a vehicle that a policy feels, so that it must have met it in training."""

    name: str
    value: float
    unit: str
    drawn: tuple[str, ...] = ()  # keys of a training's `randomisation` that multiply it


@dataclass(frozen=True)
class VehicleKind:
    """One kind of vehicle.

    Attributes:
        name: what a vehicle file gives as its ``kind``.
        config: model of the vehicle file.
        parameters: of its controller, with the groups that this kind adds.
        command: what it takes, with the fields of a twist that carry it.
        rules: its rules for a description and parameters. With a backup given, the rules have that
            one, which keeps what it remembers and takes the new parameters.
        controllers: built-in ones by name, made of the parameters; each has a
            ``set_parameters`` besides what a `Controller` has.
        further: rules by the name of each kind of command that it takes besides. What gives one
            whose kind names no fields of a twist flies in simulation, or in a loop of your own.
        traits: what of a description a policy feels: it is warned of what it was not trained for.
        check: raises `ConfigError` for a description that its model takes but that can't fly.
        gains: a controller from a YAML file with its gains; ``None`` where there is none such.
        plant: makes its body, a `sim.plants.plant.Plant`, for a world and a description; or its
            name, ``package.module:Class``, which is imported where something is simulated.
    """

    name: str
    config: type[VehicleConfig]
    parameters: type[ControllerParameters]
    command: CommandKind
    rules: Callable[[Any, Any, Backup | None], Rules]
    plant: Callable[[Any, Any], Any] | str
    controllers: Mapping[str, Callable[[Any], Controller]] = field(default_factory=dict)
    gains: Callable[[Path], Controller] | None = None
    further: Mapping[str, Callable[[Any, Any, Backup | None], Rules]] = field(default_factory=dict)
    traits: Callable[[Any], tuple[Trait, ...]] = lambda vehicle: ()
    check: Callable[[Any], Any] = lambda vehicle: None

    def __post_init__(self):
        if not self.command.twist:
            raise ValueError(
                f"vehicle kind {self.name!r}: command {self.command.name!r}: expected the fields "
                "of a twist that carry it, got none"
            )
