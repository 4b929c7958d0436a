"""The car: it turns as it is told, holds the road, and stops where nobody tells it anything."""

import math

import numpy as np
import pytest

pytest.importorskip("pybullet")

from liquid_control.config import ConfigError, parse, read_yaml, share_dir
from liquid_control.runtime.catalogue import make_parameters, make_rules
from liquid_control.sim.plants.car import CarPlant
from liquid_control.sim.plants.plant import Start, check_plant
from liquid_control.sim.scenario import read_world
from liquid_control.structs import STEERING
from liquid_control.vehicles.car.config import CarConfig
from liquid_control.vehicles.catalogue import load_vehicle

CAR = load_vehicle("car")


def still(time, pos):
    return (0.0, 0.0, 0.0)


def plant(spread=0.0):
    scenario = read_world("lane_keeping", {"vehicle_spread": spread})
    made = CarPlant(scenario, CAR)
    start = Start(np.zeros(3), np.array([0.0, 0.0, 0.0, 1.0]), np.zeros(3), True)
    made.start(start, np.random.default_rng(0))
    return made, scenario.substeps


def drive(made, substeps, seconds, *command):
    """Control periods of 20 ms with a command, or without."""
    for _ in range(round(50 * seconds)):
        made.accept(STEERING.command(*command) if command else None)
        made.advance(substeps, still)


@pytest.mark.parametrize(("speed", "turn"), [(3.0, 0.3), (8.0, 0.2), (8.0, -0.25), (12.0, 0.1)])
def test_a_nominal_car_does_what_it_is_told(speed, turn):
    made, substeps = plant()
    drive(made, substeps, 8.0, speed, turn)
    assert made.actuators[1] == pytest.approx(speed, rel=1e-3)
    assert made.rates_body[2] == pytest.approx(turn, rel=0.01)
    vx, vy, _ = made.twist[0]
    assert math.hypot(vx, vy) == pytest.approx(speed, rel=1e-3)
    check_plant(made)


def test_grip_ends():
    made, substeps = plant()
    drive(made, substeps, 8.0, 14.0, 1.2)
    assert made.rates_body[2] * made.actuators[1] <= CAR.max_lateral_acceleration * 1.001


def test_without_commands_it_stops():
    made, substeps = plant()
    drive(made, substeps, 5.0, 8.0, 0.1)
    drive(made, substeps, 0.4)
    assert not made.failsafe
    assert made.actuators[1] == pytest.approx(8.0, rel=1e-2)
    drive(made, substeps, 5.0)
    assert made.failsafe
    assert made.actuators[1] < 0.05


def test_cars_of_one_kind_differ():
    speeds = []
    for spread in (0.0, 1.0):
        made, substeps = plant(spread)
        drive(made, substeps, 4.0, 8.0, 0.0)
        speeds.append(made.actuators[1])
    assert speeds[0] != speeds[1]


def test_the_backup_brakes_in_its_bend_and_holds():
    rules = make_rules(CAR, make_parameters(CAR))
    command = (8.0, 0.24)
    situation = type("S", (), {})()
    curvatures = []
    for _ in range(400):
        situation.previous_command = command
        command = rules.backup.halt(situation, 0.02)
        if command[0] > 1.0:
            curvatures.append(command[1] / command[0])
    np.testing.assert_allclose(curvatures, 0.03)
    assert command == (0.0, 0.0)


def test_a_car_that_turns_its_wheels_square_is_refused():
    data = read_yaml(share_dir() / "config/vehicle/car.yaml")
    data["steering"]["max_angle"]["value"] = 1.7
    with pytest.raises(ConfigError, match="expected less than 90 degrees, got 97"):
        parse(data, CarConfig, "car.yaml")
