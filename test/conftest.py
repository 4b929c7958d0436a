"""Worlds and vehicles for all tests."""

import numpy as np
import pytest

from liquid_control.config import parse, read_yaml, share_dir
from liquid_control.vehicles.catalogue import load_vehicle


@pytest.fixture(scope="session")
def vehicle():
    return load_vehicle("crazyflie")


@pytest.fixture
def make_world(vehicle):
    """A world of ideal sensors and no spread, changed by top-level keys; closed after the test."""
    from liquid_control.sim.scenario import WorldConfig
    from liquid_control.sim.world import World

    worlds = []

    def make(seed=0, vehicle=vehicle, **changes):
        data = read_yaml(share_dir() / "sim_worlds/hover_calm.yaml")
        data.update(imu="imu_ideal", odometry="odometry_ideal")
        data["start"].update(pos_spread=0.0, vel_spread=0.0, tilt_deg=0.0, yaw_spread_deg=0.0)
        data["arena"]["max_distance"] = 1e4
        for key, value in changes.items():
            old = data.get(key)
            data[key] = {**old, **value} if isinstance(old, dict) else value
        worlds.append(World(parse(data, WorldConfig, "test"), vehicle, seed))
        return worlds[-1]

    yield make
    for world in worlds:
        world.close()


@pytest.fixture
def rng():
    return np.random.default_rng(7)
