"""The loop's contract: what is sent in health, and the declared failsafe in every fault."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from loops import DT, HERE, ScriptedPolicy, assert_within_limits, fly_well, frame, make
from readings import sensor_frame

from liquid_control.config import ConfigError
from liquid_control.control.supervisor import Mode
from liquid_control.runtime.catalogue import set_parameters
from liquid_control.structs import (
    GRAVITY,
    ImuSample,
    Layout,
    OdometrySample,
    Setpoint,
    Slot,
)
from liquid_control.vehicles.catalogue import load_vehicle
from liquid_control.vehicles.quadrotor.geometric import GeometricController
from liquid_control.vehicles.quadrotor.parameters import GeometricGains, QuadrotorParameters
from liquid_control.vehicles.quadrotor.rules import observer


def test_in_health_the_policy_flies_and_sees_its_slots():
    policy = ScriptedPolicy()
    step = make(policy).step(frame(0, pos=(0.5, 0, 1), rate=(1, 2, 3)), HERE, DT)
    assert step.mode is Mode.POLICY
    np.testing.assert_allclose(policy.seen, [-0.5, 0, 0, 1, 2, 3])
    assert step.command["thrust"][0] == GRAVITY
    np.testing.assert_array_equal(step.command["ang_vel"], [0.1, 0.2, 0.3])
    assert step.policy_time > 0


def test_a_far_setpoint_is_brought_close():
    policy = ScriptedPolicy()
    make(policy, max_pos_error=1.5).step(frame(0), Setpoint(np.array([30.0, 40.0, 1.0])), DT)
    np.testing.assert_allclose(policy.seen[:3], [0.9, 1.2, 0.0])


def test_commands_are_clipped_and_slewed():
    loop = make(ScriptedPolicy((1e6, 99, -99, 99)), output_gate={"max_thrust_slew": 100.0})
    vehicle = load_vehicle("crazyflie")
    first = loop.step(frame(0), HERE, DT).command
    assert first["thrust"][0] == pytest.approx(GRAVITY + 100.0 * DT)
    for k in range(1, 40):
        last = loop.step(frame(k), HERE, DT).command
    assert last["thrust"][0] == vehicle.max_thrust
    np.testing.assert_array_equal(
        last["ang_vel"], np.array(vehicle.autopilot.max_rate) * [1, -1, 1]
    )


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ((np.nan, 0, 0, 0), "finite"),
        ((GRAVITY, np.inf, 0, 0), "finite"),
        (RuntimeError("session lost"), "session lost"),
    ],
)
def test_a_failing_policy_is_replaced_at_once_and_returns_after_recovery(answer, reason):
    policy = ScriptedPolicy()
    loop = make(policy, envelope={"recovery_time": 0.1})
    loop.step(frame(0), HERE, DT)
    healthy, policy.answer = policy.answer, answer
    step = loop.step(frame(1), HERE, DT)
    assert step.mode is Mode.BACKUP
    assert reason in step.reason
    assert np.isfinite(step.command["ang_vel"]).all()
    policy.answer, resets = healthy, policy.resets
    modes = [loop.step(frame(k), HERE, DT).mode for k in range(2, 16)]
    assert modes[:8] == [Mode.BACKUP] * 8
    assert modes[-1] is Mode.POLICY
    assert policy.resets == resets + 1


def test_leaving_the_envelope_switches_to_the_backup():
    loop = make(envelope={"max_tilt": 1.0, "recovery_time": 0.05})
    assert loop.step(frame(0), HERE, DT).mode is Mode.POLICY
    tilted = frame(1, quat=(np.sin(0.6), 0, 0, np.cos(0.6)))
    step = loop.step(tilted, HERE, DT)
    assert step.mode is Mode.BACKUP
    assert "tilt 1.20 rad" in step.reason
    spinning = loop.step(frame(2, rate=(0, 0, 50)), HERE, DT)
    assert "body rate 50.0" in spinning.reason
    assert "step of 500 ms" in loop.step(frame(3), HERE, 0.5).reason


def test_one_bad_imu_message_is_survived_two_stop_the_stream():
    loop = make(input_gate={"max_imu_age": 0.015})
    loop.step(frame(0), HERE, DT)
    broken = [frame(k, rate=(np.nan, 0, 0)) for k in (1, 2)]
    first, second = (loop.step(f, HERE, DT) for f in broken)
    assert first.mode is Mode.POLICY
    assert first.faults == ("imu: not finite", "odometry: not finite")
    assert second.mode is Mode.SILENT
    assert second.command is None
    assert "IMU 20 ms old" in second.reason
    assert loop.step(frame(3), HERE, DT).mode is Mode.POLICY


def test_lost_odometry_levels_and_descends():
    loop = make()
    tilted = (np.sin(0.2), 0.0, 0.0, np.cos(0.2))
    loop.step(frame(0, quat=tilted), HERE, DT)
    for k in range(1, 12):
        imu_only = sensor_frame(frame(k).imu.sample, None)
        step = loop.step(imu_only, HERE, DT)
    assert step.mode is Mode.HALT
    assert step.command["ang_vel"][0] < -1  # rolled left side up: turn back
    assert "odometry 110 ms old" in step.reason


def test_it_is_silent_until_measurements_came():
    step = make().step(sensor_frame(None, None), HERE, DT)
    assert step.mode is Mode.SILENT
    assert step.command is None


def test_a_policy_with_foreign_slots_is_refused():
    policy = ScriptedPolicy()
    policy.observation_layout = Layout((Slot("pos_error", 3, "ft", "body"),))
    with pytest.raises(ConfigError, match="ft"):
        make(policy)
    policy = ScriptedPolicy()
    policy.command_layout = Layout((Slot("steering", 2, "rad", "none"),))
    with pytest.raises(ConfigError, match="steering"):
        make(policy)


def test_parameters_can_change_in_flight():
    loop = make(ScriptedPolicy((30.0, 0, 0, 0)))
    loop.step(frame(0), HERE, DT)
    slower = QuadrotorParameters(output_gate={"max_thrust_slew": 10.0})
    set_parameters("scripted", loop, load_vehicle("crazyflie"), slower)
    before = loop.step(frame(1), HERE, DT).command["thrust"][0]
    assert loop.step(frame(2), HERE, DT).command["thrust"][0] <= before + 0.1 + 1e-9


def test_geometric_control_pushes_towards_the_setpoint():
    controller = GeometricController(GeometricGains())
    observation = np.zeros(observer().layout.size)
    observation[observer().layout["up"]] = [0, 0, 1]
    observation[observer().layout["heading"]] = [1, 0, 0]
    np.testing.assert_allclose(controller.step(observation, DT), [GRAVITY, 0, 0, 0], atol=1e-12)
    observation[observer().layout["pos_error"]] = [0.5, 0, 0.2]
    thrust, roll, pitch, yaw = controller.step(observation, DT)
    assert thrust > GRAVITY
    assert pitch > 0.5  # nose down moves forward
    assert abs(roll) < 1e-9
    assert abs(yaw) < 1e-9
    observation[observer().layout["heading"]] = [np.cos(0.5), np.sin(0.5), 0]
    assert controller.step(observation, DT)[3] > 1.0  # wanted heading lies to the left


# What was refused leaves nothing behind.


@pytest.mark.parametrize("policy", ["scripted", "geometric"])
def test_first_odometry_that_is_not_finite_leaves_no_setpoint(policy):
    """Until a setpoint comes, the vehicle holds the place where it was first seen well."""
    policy = ScriptedPolicy() if policy == "scripted" else GeometricController(GeometricGains())
    loop = make(policy)
    bad = loop.step(frame(0, pos=(np.nan, 0.0, 1.0)), None, DT)
    assert bad.command is None
    step = fly_well(loop, 1, 5, setpoint=None)
    assert step.mode is Mode.POLICY
    away = loop.step(frame(6, pos=(0.5, 0.0, 1.0)), None, DT)
    np.testing.assert_allclose(away.observation[observer().layout["pos_error"]], [-0.5, 0, 0])


@pytest.mark.parametrize(
    ("setpoint", "fault"),
    [
        (Setpoint(np.array([0, 0, np.nan])), "not finite"),
        (Setpoint(np.zeros(3), yaw=np.inf), "not finite"),
        (Setpoint(np.array([0, 2e4, 0])), "position of 2e+04 m, limit 10000 m"),
        (Setpoint(np.zeros(3), vel_world=np.array([1e308, 0, 0])), "velocity of 1e+308 m/s"),
        (Setpoint(np.zeros(3), acc_world=np.array([0, 0, 150.0])), "acceleration of 150 m/s^2"),
    ],
)
def test_setpoint_that_can_not_be_flown_to_is_refused_and_the_last_one_holds(setpoint, fault):
    loop = make(GeometricController(GeometricGains()))
    before = loop.step(frame(0), HERE, DT)
    step = loop.step(frame(1), setpoint, DT)
    assert step.mode is Mode.POLICY
    assert len(step.faults) == 1
    assert step.faults[0].startswith("setpoint: ")
    assert fault in step.faults[0]
    np.testing.assert_array_equal(step.observation[:3], before.observation[:3])
    assert fly_well(loop, 2, 3).faults == ()


def test_backup_that_is_not_finite_is_reset_and_the_step_is_silent(monkeypatch):
    loop = make(ScriptedPolicy((np.nan, 0, 0, 0)))
    assert loop.step(frame(0), HERE, DT).mode is Mode.BACKUP
    loop.rules.backup.controller._memory[:] = np.nan
    step = loop.step(frame(1), HERE, DT)
    assert step.command is None
    assert step.mode is Mode.SILENT
    assert "the backup commands" in step.reason
    step = loop.step(frame(2), HERE, DT)
    assert step.mode is Mode.BACKUP
    assert_within_limits(loop, step.command)


@pytest.mark.parametrize("dt", [np.nan, np.inf, -0.01])
def test_step_of_no_length_is_silent_and_passes(dt):
    loop = make()
    fly_well(loop, 0, 3)
    step = loop.step(frame(3), HERE, dt)
    assert step.command is None
    assert "step of" in step.reason
    assert fly_well(loop, 4, 1).mode is Mode.POLICY


def test_new_clock_resets_policy_and_place_and_is_named():
    policy = ScriptedPolicy()
    loop = make(policy)
    fly_well(loop, 1000, 10, setpoint=None)
    resets = policy.resets
    steps = [loop.step(frame(k, pos=(3.0, 0, 1)), None, DT) for k in range(20)]
    (named,) = [step.clocks for step in steps if step.clocks]
    assert named == ("imu: clock moved by -10.100 s", "odometry: clock moved by -10.100 s")
    assert policy.resets > resets
    assert steps[-1].mode is Mode.POLICY
    np.testing.assert_allclose(steps[-1].observation[:3], 0, atol=1e-9)


BAD = (np.nan, np.inf, -np.inf, 1e308, -1e308, 1e30, 1e9, 1e4, -1e3, 300.0, 1.0, 0.0)
numbers = st.sampled_from(BAD) | st.floats()


def vectors(size):
    return st.lists(numbers, min_size=size, max_size=size).map(np.array)


@st.composite
def bad_steps(draw):
    """A frame, a setpoint and a dt, of which anything may be nonsense but the order of stamps."""
    good = st.none()  # stands for: as in health
    pick = {
        "rate": draw(good | vectors(3)),
        "force": draw(good | vectors(3)),
        "pos": draw(good | vectors(3)),
        "quat": draw(good | vectors(4)),
        "vel": draw(good | vectors(3)),
        "age": draw(st.just(0.0) | st.just(0.0) | numbers),
        "dt": draw(st.just(DT) | st.just(DT) | numbers),
        "missing": draw(st.sampled_from(["", "", "imu", "odometry"])),
    }
    setpoint = draw(
        st.none()
        | st.just(HERE)
        | st.builds(Setpoint, vectors(3), vectors(3), vectors(3), yaw=numbers)
    )
    return pick, setpoint


def bad_frame(k, pick):
    def value(name, healthy):
        return np.array(healthy) if pick[name] is None else pick[name]

    stamp, rate = k * 10_000_000, value("rate", (0.0, 0.0, 0.0))
    imu = ImuSample(stamp, rate, value("force", (0.0, 0.0, GRAVITY)))
    odometry = OdometrySample(
        stamp,
        value("pos", (0.0, 0.0, 1.0)),
        value("quat", (0.0, 0.0, 0.0, 1.0)),
        value("vel", (0.0, 0.0, 0.0)),
        rate,
    )
    return sensor_frame(
        None if pick["missing"] == "imu" else imu,
        None if pick["missing"] == "odometry" else odometry,
        pick["age"],
        pick["age"],
    )


@settings(max_examples=400, deadline=None)
@given(
    st.integers(0, 3),
    st.lists(bad_steps(), min_size=1, max_size=12),
    st.sampled_from(["scripted", "geometric"]),
    st.sampled_from([{}, {"integral_gain": 200.0, "observer_gain": 100.0}]),
)
def test_whatever_comes_commands_are_finite_and_within_limits_and_the_policy_returns(
    before, steps, policy, gains
):
    gains = GeometricGains(**gains)
    policy = ScriptedPolicy() if policy == "scripted" else GeometricController(gains)
    recovery = 0.2
    loop = make(policy, backup=gains, envelope={"recovery_time": recovery})
    if before:
        fly_well(loop, 0, before)
    for k, (pick, setpoint) in enumerate(steps, start=before):
        step = loop.step(bad_frame(k, pick), setpoint, pick["dt"])
        assert (step.command is None) == (step.mode is Mode.SILENT)
        if step.command is not None:
            assert_within_limits(loop, step.command)
        assert np.isfinite(loop._previous).all()
    step = fly_well(loop, before + len(steps), round(recovery / DT) + 1)
    assert step.mode is Mode.POLICY
    assert step.faults == ()


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(-(2**31), 2**31), st.integers(0, 5)), max_size=30))
def test_whatever_the_stamps_the_policy_returns(stamps):
    """Stamps in ms, each of which lasts some steps; then time goes on as it should."""
    loop = make()
    for stamp, repeats in stamps:
        for _ in range(repeats + 1):
            loop.step(frame(stamp / 10), HERE, DT)
    steps = [loop.step(frame(k), HERE, DT) for k in range(20)]
    assert [step.mode for step in steps[-15:]] == [Mode.POLICY] * 15
