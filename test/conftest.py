"""Worlds and vehicles for all tests."""

import os
import sys
from pathlib import Path

import numpy as np
import pytest

from liquid_control.config import merge
from liquid_control.vehicles.catalogue import load_vehicle

# torch's threads wait for each other in a loop: where a core has other work, small tensors take
# fifty times as long; processes that tests start inherit it
os.environ.setdefault("OMP_NUM_THREADS", "1")

PACKAGE = Path(__file__).parents[1] / "liquid_control"
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


@pytest.fixture(scope="module")
def restored_registries():
    """What is registered in a module's tests is gone after them."""
    from liquid_control import structs
    from liquid_control.control import observation
    from liquid_control.evaluation import metrics
    from liquid_control.sim import faults, sensors, task
    from liquid_control.sim.scenery import config as scenery
    from liquid_control.sim.wind import sources
    from liquid_control.vehicles import catalogue

    known = [
        structs.COMMAND_KINDS,
        metrics.METRICS,
        catalogue.VEHICLES,
        sensors.SENSORS._models,
        sources.WIND_SOURCES._models,
        scenery.SCENE_OBJECTS._models,
        task.SEGMENTS._models,
        faults.FAULTS._models,
    ]
    before, rows, modules = [dict(r) for r in known], list(observation._TABLE), set(sys.modules)
    yield
    for registry, content in zip(known, before, strict=True):
        registry.clear()
        registry.update(content)
    observation._TABLE[:] = rows
    for name in set(sys.modules) - modules:
        file = getattr(sys.modules[name], "__file__", None) or sys.prefix
        if not file.startswith((sys.prefix, str(PACKAGE))):
            del sys.modules[name]  # imported anew, it registers again
