"""The car as a kind of vehicle."""

from __future__ import annotations

from liquid_control.control.observation import Situation, register_slot
from liquid_control.structs import STEERING, Slot
from liquid_control.vehicles.car.config import NAME, CarConfig
from liquid_control.vehicles.car.parameters import CarParameters
from liquid_control.vehicles.car.pursuit import Pursuit
from liquid_control.vehicles.car.rules import car_rules
from liquid_control.vehicles.kind import Trait, VehicleKind


def _image_age(situation: Situation) -> tuple[float]:
    reading = situation.readings.get("image")
    return (0.0 if reading is None else reading.age,)


register_slot(Slot("image_age", 1, "s", "none"), _image_age, vehicles=(NAME,), sensors=("image",))


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
