"""The car as a kind of vehicle."""

from __future__ import annotations

from liquid_control.structs import STEERING
from liquid_control.vehicles.car.config import NAME, CarConfig
from liquid_control.vehicles.car.parameters import CarParameters
from liquid_control.vehicles.car.pursuit import Pursuit
from liquid_control.vehicles.car.rules import car_rules
from liquid_control.vehicles.kind import Trait, VehicleKind


def traits(vehicle: CarConfig) -> tuple[Trait, ...]:
    """What a policy that commands speed and yaw rate feels of a car."""
    return (
        Trait("steering lag", 1e3 * vehicle.steering.time_constant, "ms"),
        Trait("yaw lag", 1e3 * vehicle.yaw_time_constant, "ms"),
    )


CAR = VehicleKind(
    name=NAME,
    config=CarConfig,
    parameters=CarParameters,
    command=STEERING,
    rules=car_rules,
    plant="liquid_control.sim.plants.car:CarPlant",
    controllers={"pursuit": Pursuit},
    traits=traits,
)
