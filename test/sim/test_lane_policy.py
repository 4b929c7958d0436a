"""The shipped policy that steers by camera."""

import numpy as np
import pytest

pytest.importorskip("pybullet")

from liquid_control.config import share_dir
from liquid_control.evaluation.columns import position_error
from liquid_control.runtime.policy import load_policy
from liquid_control.sim.flight import prepare
from liquid_control.sim.scenario import read_world

FILE = share_dir() / "config/policies/lane_liquid.onnx"


def test_it_is_nineteen_neurons_and_small():
    metadata = load_policy(FILE).metadata
    assert len(metadata.neuron_names) == 19
    assert {name: len(of) for name, of in metadata.wiring.layers.items()} == {
        "inter": 11,
        "command": 6,
        "motor": 2,
    }
    assert metadata.neuron_names[-2:] == ["speed", "yaw_rate"]
    assert FILE.stat().st_size <= 500_000


@pytest.mark.parametrize("seed", [5001, 5004])
def test_it_keeps_the_lane(seed):
    flight = prepare("lane_keeping", "lane_liquid")
    with flight.world(seed) as world:
        log = flight.fly(world, duration=15.0)
    assert not log.crashed, log.crash_reason
    assert not log.fault
    assert position_error(log)[150:].mean() < 0.35


def test_it_stops_where_the_camera_dies():
    """And says why; the car stands within the lane."""
    fault = {"kind": "sensor_dropout", "sensor": "image", "at": 6.0}
    world = read_world("lane_keeping", {"faults": [fault]})
    flight = prepare(world, "lane_liquid")
    with flight.world(5001) as there:
        log = flight.fly(there, duration=12.0)
    assert not log.crashed, log.crash_reason
    assert log.fault == "image 320 ms old, limit 300 ms"
    assert set(log.mode[-100:]) == {"halt"}
    speed = np.linalg.norm(log.truth.vel_world, axis=1)
    assert speed[300] > 6.0
    assert speed[-1] < 0.1
