"""The shipped sensors can be flown on."""

import numpy as np
import pytest

from liquid_control.sim.flight import prepare
from liquid_control.sim.scenario import read_world


@pytest.mark.parametrize("policy", ["hover_liquid", "geometric"])
@pytest.mark.parametrize("odometry", ["gps", "mocap"])
def test_a_shipped_source_of_odometry_is_flown_on(policy, odometry):
    """By the policy all along, as far from the setpoint as the source errs and no further."""
    world = read_world("hover_calm", {"odometry": odometry, "duration": 8.0})
    flight = prepare(world, policy)
    for seed in range(3):
        with flight.world(seed) as flown:
            log = flight.fly(flown)
        assert not log.crashed, log.crash_reason
        assert set(log.mode) <= {"policy", "silent"}
        assert np.sum(log.mode == "silent") <= 12  # until the first sample has come
        error = log.estimate.pos_world - log.setpoint_pos_world
        assert np.sqrt(np.nanmean(np.sum(error[300:] ** 2, axis=1))) < 0.6


def test_parameters_of_the_user_go_before_those_of_the_sensors():
    world = read_world("hover_calm", {"odometry": "gps"})
    gate = {"input_gate": {"max_odometry_age": 0.2, "max_quat_error": 0.05}}
    assert prepare(world, "geometric").parameters.input_gate.max_odometry_age == 0.42
    gates = prepare(world, "geometric", **gate).parameters.input_gate
    assert (gates.max_odometry_age, gates.max_quat_error) == (0.2, 0.05)
    gates = prepare(world, "geometric", input_gate={"max_quat_error": 0.05}).parameters.input_gate
    assert (gates.max_odometry_age, gates.max_quat_error) == (0.42, 0.05)
