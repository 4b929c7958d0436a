"""The quadrotor as a kind of vehicle."""

from __future__ import annotations

import math
from pathlib import Path

from liquid_control.config import load_yaml
from liquid_control.structs import GRAVITY, RATES_THRUST, VELOCITY
from liquid_control.vehicles.kind import Trait, VehicleKind
from liquid_control.vehicles.quadrotor.config import NAME, QuadrotorConfig
from liquid_control.vehicles.quadrotor.gate_sight import GatePilot
from liquid_control.vehicles.quadrotor.geometric import GeometricController
from liquid_control.vehicles.quadrotor.parameters import GeometricGains, QuadrotorParameters
from liquid_control.vehicles.quadrotor.params import RateLoopParams
from liquid_control.vehicles.quadrotor.rotors import ROTORS, rotor_rules
from liquid_control.vehicles.quadrotor.rules import quadrotor_rules
from liquid_control.vehicles.quadrotor.sight import SightPilot
from liquid_control.vehicles.quadrotor.velocity import velocity_rules


def _from_gains(path: Path) -> GeometricController:
    return GeometricController(load_yaml(path, GeometricGains))


_GAIN, _THRUST = ("rate_gain",), ("max_thrust", "motor_efficiency")  # as a training draws them


def traits(vehicle: QuadrotorConfig) -> tuple[Trait, ...]:
    """What a policy that commands thrust / mass and body rates feels of a quadrotor."""
    gain = vehicle.autopilot.rate_gain
    return (
        Trait("gain of the roll and pitch rate loop", math.sqrt(gain[0] * gain[1]), "1/s", _GAIN),
        Trait("gain of the yaw rate loop", gain[2], "1/s", _GAIN),
        Trait("motor lag", 1e3 * vehicle.motor.time_constant_up, "ms", ("motor_time_constant",)),
        Trait("thrust-to-weight ratio", vehicle.max_thrust / GRAVITY, "", _THRUST),
    )


QUADROTOR = VehicleKind(
    name=NAME,
    config=QuadrotorConfig,
    parameters=QuadrotorParameters,
    command=RATES_THRUST,
    rules=quadrotor_rules,
    plant="liquid_control.sim.plants.quadrotor:QuadrotorPlant",
    controllers={
        "geometric": lambda parameters: GeometricController(parameters.backup),
        "pilot": SightPilot,
        "gate_pilot": GatePilot,
    },
    gains=_from_gains,
    further={VELOCITY.name: velocity_rules, ROTORS.name: rotor_rules},
    traits=traits,
    check=RateLoopParams.from_vehicle,  # its mixer
)
