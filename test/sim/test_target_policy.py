"""The shipped policy that flies to a target by camera."""

import numpy as np
import pytest

pytest.importorskip("pybullet")

from liquid_control.config import share_dir
from liquid_control.evaluation.judge import success
from liquid_control.runtime.policy import load_policy
from liquid_control.sim.flight import prepare
from liquid_control.sim.scenario import load_world, read_world

FILE = share_dir() / "config/policies/target_liquid.onnx"


def test_it_is_small_and_reads_no_odometry():
    metadata = load_policy(FILE).metadata
    assert metadata.command_kind == "velocity"
    assert len(metadata.neuron_names) == 40
    assert FILE.stat().st_size <= 500_000
    names = {slot.name for slot in metadata.observation}
    assert names == {"ang_vel", "image_age", "previous_velocity", "previous_yaw_rate", "features"}
    flight = prepare("target_approach", "target_liquid")
    assert set(flight.loop.sensors) == {"imu", "image"}


def test_most_flights_in_the_open_succeed():
    world = load_world("target_approach_open")
    flight = prepare(world, "target_liquid")
    good = []
    with flight.world(7000) as flown:
        for seed in range(7000, 7005):
            flown.seed = seed
            good.append(success(flight.fly(flown), world.success))
    assert sum(good) >= 4


def test_it_brakes_and_hovers_where_the_camera_dies():
    """And says why."""
    fault = {"kind": "sensor_dropout", "sensor": "image", "at": 5.0}
    world = read_world("target_approach_open", {"faults": [fault], "wind": []})
    flight = prepare(world, "target_liquid")
    with flight.world(7001) as there:
        log = flight.fly(there, duration=10.0)
    assert not log.crashed, log.crash_reason
    assert log.fault == "image 320 ms old, limit 300 ms"
    assert set(log.mode[-200:]) == {"halt"}
    assert np.linalg.norm(log.truth.vel_world[-100:], axis=1).mean() < 0.2
