"""A flight that can be flown: where world, vehicle, parameters and policy come together.

Everything is read and checked here, once; `fly` may then be called for as many seeds as wanted.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from liquid_control.config import merge
from liquid_control.control.controller import Controller, neuron_names
from liquid_control.control.loop import ControlLoop
from liquid_control.flight_log import FlightLog
from liquid_control.importing import import_object, is_import_name
from liquid_control.parameters import (
    ControllerParameters,
    InputGateParameters,
    parameter_table,
)
from liquid_control.runtime.artifact import PolicyMetadata
from liquid_control.runtime.catalogue import (
    adopt_controller,
    make_controller,
    make_loop,
    make_parameters,
)
from liquid_control.runtime.trained_for import outside_training
from liquid_control.sim.rollout import rollout
from liquid_control.sim.scenario import WorldConfig, load_world
from liquid_control.sim.sensors.truth import told_the_truth
from liquid_control.sim.world import World
from liquid_control.vehicles.catalogue import load_vehicle
from liquid_control.vehicles.kind import VehicleConfig

_AGE = "max_odometry_age"  # of the input gate


@dataclass(frozen=True)
class Flight:
    """What flies where; `policy` is its name."""

    scenario: WorldConfig
    vehicle: VehicleConfig
    policy: str
    parameters: ControllerParameters
    loop: ControlLoop
    metadata: PolicyMetadata | None = None  # of a policy from a file

    @property
    def neuron_names(self) -> tuple[str, ...]:
        """Of the policy; empty where it has none."""
        known = () if self.metadata is None else self.metadata.neuron_names
        return neuron_names(self.loop.policy, known)

    @property
    def outside_training(self) -> tuple[str, ...]:
        """What of this flight the policy was not trained for, in words."""
        return outside_training(
            self.metadata,
            self.vehicle,
            self.scenario.control_rate,
            self.scenario.odometry.delay,
        )

    def world(self, seed: int) -> World:
        """The world of this flight; to be closed."""
        return World(self.scenario, self.vehicle, seed)

    def fly(self, world: World, **options) -> FlightLog:
        """One flight in a world of `world`; for ``options`` see `sim.rollout.rollout`."""
        options = {"policy_name": self.policy, "neuron_names": self.neuron_names, **options}
        return rollout(world, self.loop, **options)


def resolve(
    world: str | Path | WorldConfig, vehicle: str | Path | VehicleConfig | None
) -> tuple[WorldConfig, VehicleConfig]:
    """A world and its vehicle, or another one, by name or as they are."""
    scenario = world if isinstance(world, WorldConfig) else load_world(world)
    if not isinstance(vehicle, VehicleConfig):
        vehicle = load_vehicle(vehicle or scenario.vehicle)
    return scenario, vehicle


def default_policy(scenario: WorldConfig) -> str:
    """What flies in a world where nobody says so: its own ``policy``, or its vehicle's."""
    return scenario.policy or make_parameters(load_vehicle(scenario.vehicle)).policy


def sensor_limits(scenario: WorldConfig) -> dict[str, Any]:
    """The parameters of a controller that the sensors of a world ask for.

    Odometry that is slower or later than the defaults expect must not count as lost. Nothing where
    the defaults will do.
    """
    row = next(row for row in parameter_table(InputGateParameters) if row.name == _AGE)
    age = round(min(scenario.odometry.usual_age, row.high), 6)
    return {} if age <= row.default else {"input_gate": {_AGE: age}}


def prepare(
    world: str | Path | WorldConfig,
    policy: str | Controller,
    *,
    vehicle: str | Path | VehicleConfig | None = None,
    name: str | None = None,
    **parameters,
) -> Flight:
    """Read and check everything that a flight needs, to fly it as often as wanted.

    Use it for many seeds, or to step a world and its loop yourself; for one flight and its metrics
    `session.flight.fly` is less to write.

    Args:
        world: name, path, or a world that has been read.
        policy: what flies, by name (see `runtime.catalogue`), or a controller.
        vehicle: in place of the world's: name, path, or description.
        name: of the policy in logs; by default that by which it was given.
        **parameters: of the controller, in place of the defaults and of `sensor_limits`.

    Raises:
        ConfigError: for what can't be read or does not fit together.
    """
    by_name = isinstance(policy, str)
    if by_name and is_import_name(policy):
        import_object(policy)  # what its module registers may stand in the world
    scenario, vehicle = resolve(world, vehicle)
    settings = {"vehicle": scenario.vehicle, "control_rate": float(scenario.control_rate)}
    settings |= sensor_limits(scenario)
    if by_name:
        settings["policy"] = policy
    chosen = make_parameters(vehicle, **merge(settings, parameters))
    if by_name:
        name = name or policy
        controller, metadata = make_controller(policy, vehicle, chosen)
    else:
        kind = policy if isinstance(policy, type) else type(policy)
        name, metadata = name or kind.__name__, None
        controller = adopt_controller(policy, kind.__name__, vehicle, chosen)
    loop = make_loop(controller, vehicle, chosen, simulated=True)
    return Flight(told_the_truth(scenario, loop.sensors), vehicle, name, chosen, loop, metadata)
