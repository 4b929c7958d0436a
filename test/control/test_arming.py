"""While commands don't act no policy is stepped: it would integrate what it can't change."""

import numpy as np
import pytest
from loops import DT, HERE, ScriptedPolicy, fly_well, frame, make

from liquid_control.config import ConfigError
from liquid_control.control.steps import fault_of
from liquid_control.control.supervisor import Mode
from liquid_control.sim.flight import prepare
from liquid_control.sim.scenario import read_world

ON_THE_GROUND = {
    "start": {"place": "ground", "pos_spread": 0.0},
    "task": [{"kind": "waypoints", "points": [[0, 0, 1]], "leg_duration": 1.0, "pause": 13.9}],
    "duration": 14.0,
}


def not_armed(k):
    disarmed = frame(k)
    disarmed.armed = False
    return disarmed


def test_a_vehicle_that_is_not_armed_gets_the_neutral_command_and_the_policy_rests():
    policy = ScriptedPolicy()
    loop = make(policy)
    for k in range(50):
        step = loop.step(not_armed(k), HERE, DT)
        assert (step.mode, step.reason) == (Mode.STANDBY, "not armed")
        assert fault_of(step) == ""
    assert policy.seen is None
    assert step.command.values == loop.rules.command.neutral
    resets = policy.resets
    assert fly_well(loop, 50, 1).mode is Mode.POLICY
    assert policy.resets == resets + 1
    assert loop.step(not_armed(51), HERE, DT).mode is Mode.STANDBY
    fly_well(loop, 52, 1)
    assert policy.resets == resets + 2


def test_without_an_imu_the_stream_stops_armed_or_not():
    loop = make()
    for k in range(3):
        loop.step(not_armed(k), HERE, DT)
    old = frame(3, imu_age=0.05)  # s
    old.armed = False
    assert loop.step(old, HERE, DT).mode is Mode.SILENT


@pytest.mark.parametrize("policy", ["hover_liquid", "geometric"])
def test_after_ten_seconds_on_the_ground_a_flight_begins_upright(policy):
    changes = {**ON_THE_GROUND, "start": {**ON_THE_GROUND["start"], "armed_at": 10.0}}
    flight = prepare(read_world("hover_calm", changes), policy)
    with flight.world(1) as world:
        log = flight.fly(world)
    assert not log.crashed, log.crash_reason
    assert (log.mode[:1000] == "standby").all()
    assert (log.mode[1000:] == "policy").all()
    assert (log.actuators[:1000] == 0).all()
    x, y = log.truth.quat_world_body[1000:, :2].T
    tilt = np.degrees(np.arccos(np.clip(1 - 2 * (x**2 + y**2), -1, 1)))
    assert tilt.max() < 8.0
    drift = np.linalg.norm(log.truth.pos_world[1000:, :2] - log.truth.pos_world[999, :2], axis=1)
    assert drift.max() < 0.05  # m
    assert log.truth.pos_world[-1, 2] == pytest.approx(1.0, abs=0.05)


def test_motors_that_are_off_in_the_air_are_a_mistake():
    with pytest.raises(ConfigError, match=r"armed_at: .* got 2 s and place: air"):
        read_world("hover_calm", {"start": {"armed_at": 2.0}})
