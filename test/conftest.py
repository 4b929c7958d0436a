"""Worlds and vehicles for all tests."""

import numpy as np
import pytest

from liquid_control.config import merge
from liquid_control.vehicles.catalogue import load_vehicle

IDEAL = {
    "imu": "imu_ideal",
    "odometry": "odometry_ideal",
    "start": {"pos_spread": 0.0, "vel_spread": 0.0, "tilt_deg": 0.0, "yaw_spread_deg": 0.0},
    "arena": {"max_distance": 1e4},
}


@pytest.fixture(scope="session")
def vehicle():
    return load_vehicle("crazyflie")


@pytest.fixture
def make_world(vehicle):
    """A world of ideal sensors and no spread, with changes; closed after the test."""
    from liquid_control.sim.scenario import read_world
    from liquid_control.sim.world import World

    worlds = []

    def make(seed=0, vehicle=vehicle, **changes):
        scenario = read_world("hover_calm", merge(IDEAL, changes), source="test")
        worlds.append(World(scenario, vehicle, seed))
        return worlds[-1]

    yield make
    for world in worlds:
        world.close()


@pytest.fixture
def rng():
    return np.random.default_rng(7)
