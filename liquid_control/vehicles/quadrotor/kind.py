"""The quadrotor as a kind of vehicle."""

from __future__ import annotations

from pathlib import Path

from liquid_control.config import load_yaml
from liquid_control.structs import RATES_THRUST
from liquid_control.vehicles.kind import VehicleKind
from liquid_control.vehicles.quadrotor.config import NAME, QuadrotorConfig
from liquid_control.vehicles.quadrotor.geometric import GeometricController
from liquid_control.vehicles.quadrotor.parameters import GeometricGains, QuadrotorParameters
from liquid_control.vehicles.quadrotor.params import RateLoopParams
from liquid_control.vehicles.quadrotor.rotors import ROTORS, rotor_rules
from liquid_control.vehicles.quadrotor.rules import quadrotor_rules


def _from_gains(path: Path) -> GeometricController:
    return GeometricController(load_yaml(path, GeometricGains))


QUADROTOR = VehicleKind(
    name=NAME,
    config=QuadrotorConfig,
    parameters=QuadrotorParameters,
    command=RATES_THRUST,
    rules=quadrotor_rules,
    plant="liquid_control.sim.plants.quadrotor:QuadrotorPlant",
    controllers={"geometric": lambda parameters: GeometricController(parameters.backup)},
    gains=_from_gains,
    further={ROTORS.name: rotor_rules},
    check=RateLoopParams.from_vehicle,  # its mixer
)
