"""The loop's contract: what is sent in health, and the declared failsafe in every fault."""

import numpy as np
import pytest

from liquid_control.config import ConfigError, load_vehicle
from liquid_control.control.geometric import GeometricController
from liquid_control.control.loop import ControlLoop
from liquid_control.control.observation import OBSERVATION_LAYOUT, layout_of
from liquid_control.control.supervisor import Mode
from liquid_control.parameters import BackupParameters, ControllerParameters
from liquid_control.structs import (
    COMMAND_LAYOUT,
    GRAVITY,
    ImuSample,
    Layout,
    OdometrySample,
    SensorFrame,
    Setpoint,
    Slot,
)

DT = 0.01
HERE = Setpoint(np.array([0.0, 0.0, 1.0]))


class ScriptedPolicy:
    """Answers what the test says; counts its resets."""

    observation_layout = layout_of(("pos_error", "ang_vel"))
    command_layout = COMMAND_LAYOUT
    neurons = np.zeros(0)

    def __init__(self, answer=(GRAVITY, 0.1, 0.2, 0.3)):
        self.answer, self.resets, self.seen = answer, 0, None

    def reset(self):
        self.resets += 1

    def step(self, observation, dt):
        self.seen = observation
        if isinstance(self.answer, Exception):
            raise self.answer
        return np.array(self.answer)


def make(policy=None, **parameters):
    parameters = ControllerParameters(**parameters)
    return ControlLoop(policy or ScriptedPolicy(), load_vehicle("crazyflie"), parameters)


def frame(k, pos=(0.0, 0.0, 1.0), rate=(0.0, 0.0, 0.0), quat=(0.0, 0.0, 0.0, 1.0), **ages):
    stamp = k * 10_000_000
    return SensorFrame(
        ImuSample(stamp, np.array(rate), np.array([0.0, 0.0, GRAVITY])),
        OdometrySample(stamp, np.array(pos), np.array(quat), np.zeros(3), np.array(rate)),
        **ages,
    )


def test_in_health_the_policy_flies_and_sees_its_slots():
    policy = ScriptedPolicy()
    step = make(policy).step(frame(0, pos=(0.5, 0, 1), rate=(1, 2, 3)), HERE, DT)
    assert step.mode is Mode.POLICY
    np.testing.assert_allclose(policy.seen, [-0.5, 0, 0, 1, 2, 3])
    assert step.command.thrust == GRAVITY
    np.testing.assert_array_equal(step.command.ang_vel_body, [0.1, 0.2, 0.3])
    assert step.policy_time > 0


def test_a_far_setpoint_is_brought_close():
    policy = ScriptedPolicy()
    make(policy, max_pos_error=1.5).step(frame(0), Setpoint(np.array([30.0, 40.0, 1.0])), DT)
    np.testing.assert_allclose(policy.seen[:3], [0.9, 1.2, 0.0])


def test_commands_are_clipped_and_slewed():
    loop = make(ScriptedPolicy((1e6, 99, -99, 99)), output_gate={"max_thrust_slew": 100.0})
    vehicle = load_vehicle("crazyflie")
    first = loop.step(frame(0), HERE, DT).command
    assert first.thrust == pytest.approx(GRAVITY + 100.0 * DT)
    for k in range(1, 40):
        last = loop.step(frame(k), HERE, DT).command
    assert last.thrust == vehicle.max_thrust
    np.testing.assert_array_equal(
        last.ang_vel_body, np.array(vehicle.autopilot.max_rate) * [1, -1, 1]
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
    assert np.isfinite(step.command.ang_vel_body).all()
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
        imu_only = SensorFrame(frame(k).imu, None)
        step = loop.step(imu_only, HERE, DT)
    assert step.mode is Mode.DESCEND
    assert step.command.ang_vel_body[0] < -1  # rolled left side up: turn back
    assert "odometry 110 ms old" in step.reason


def test_it_is_silent_until_measurements_came():
    step = make().step(SensorFrame(None, None), HERE, DT)
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
    loop.set_parameters(ControllerParameters(output_gate={"max_thrust_slew": 10.0}))
    before = loop.step(frame(1), HERE, DT).command.thrust
    assert loop.step(frame(2), HERE, DT).command.thrust <= before + 0.1 + 1e-9


def test_geometric_control_pushes_towards_the_setpoint():
    controller = GeometricController(BackupParameters())
    observation = np.zeros(OBSERVATION_LAYOUT.size)
    observation[OBSERVATION_LAYOUT["up"]] = [0, 0, 1]
    observation[OBSERVATION_LAYOUT["heading"]] = [1, 0, 0]
    np.testing.assert_allclose(controller.step(observation, DT), [GRAVITY, 0, 0, 0], atol=1e-12)
    observation[OBSERVATION_LAYOUT["pos_error"]] = [0.5, 0, 0.2]
    thrust, roll, pitch, yaw = controller.step(observation, DT)
    assert thrust > GRAVITY
    assert pitch > 0.5  # nose down moves forward
    assert abs(roll) < 1e-9
    assert abs(yaw) < 1e-9
    observation[OBSERVATION_LAYOUT["heading"]] = [np.cos(0.5), np.sin(0.5), 0]
    assert controller.step(observation, DT)[3] > 1.0  # wanted heading lies to the left
