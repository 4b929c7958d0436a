"""The controller node against a hand-fed simulator, in lockstep, so that each step is known."""

import time

import numpy as np
import pytest

pytest.importorskip("rclpy")

from diagnostic_msgs.msg import DiagnosticStatus
from lifecycle_msgs.msg import State, Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rcl_interfaces.srv import SetParametersAtomically
from rclpy.node import Node
from rclpy.parameter import Parameter
from waiting import wait_until

from liquid_control.nodes import conversions, interface
from liquid_control.nodes.controller import ControllerNode
from liquid_control.nodes.process import Finish
from liquid_control.structs import GRAVITY, RATES_THRUST, ImuSample, OdometrySample, Setpoint

COMMAND = interface.command_topic(RATES_THRUST.name)
HEARD = (interface.IMU, interface.ODOMETRY, interface.SETPOINT_TRAJECTORY)

pytestmark = pytest.mark.ros
PERIOD = 10_000_000
LEVEL = np.array([0.0, 0, 0, 1])
REST = np.array([0.0, 0, GRAVITY])


class Feeder(Node):
    """Sends sensor messages of step k and hears every answer."""

    def __init__(self, context):
        super().__init__("feeder", context=context)
        qos = interface.sending_qos(lockstep=True)
        self.senders = {t: self.create_publisher(t.type, t.name, qos) for t in HEARD}
        self.heard = {
            t: []
            for t in (
                COMMAND,
                interface.SILENT,
                interface.DIAGNOSTICS,
            )
        }
        for topic, messages in self.heard.items():
            self.create_subscription(topic.type, topic.name, messages.append, interface.event_qos())

    def send(self, k, force=REST, pos=(0.0, 0.0, 1.0), frame=None, imu_late=0, vel=(0.0, 0, 0)):
        """Step ``k``; ``imu_late`` ns is taken from the IMU's stamp, ``vel`` is the setpoint's."""
        stamp = k * PERIOD
        imu = conversions.imu_to_msg(
            ImuSample(stamp - imu_late, np.zeros(3), np.asarray(force, float))
        )
        odometry = conversions.odometry_to_msg(
            OdometrySample(stamp, np.asarray(pos, float), LEVEL, np.zeros(3), np.zeros(3))
        )
        if frame is not None:
            odometry.header.frame_id = frame
        setpoint = conversions.setpoint_to_msg(
            Setpoint(np.array([0.0, 0, 1]), np.array(vel)), stamp
        )
        for topic, message in zip(HEARD, (imu, odometry, setpoint)):
            self.senders[topic].publish(message)

    def answer(self, k):
        """Topic and message that answer step k."""

        def find():
            for message in self.heard[COMMAND]:
                if conversions.stamp_from_msg(message.header.stamp) == k * PERIOD:
                    return COMMAND, message
            for message in self.heard[interface.SILENT]:
                if conversions.stamp_from_msg(message.stamp) == k * PERIOD:
                    return interface.SILENT, message
            return None

        return wait_until(find)

    def status(self):
        """Message and values of the newest status of the control loop."""
        status = self.heard[interface.DIAGNOSTICS][-1].status[0]
        return status.message, {pair.key: pair.value for pair in status.values}

    def ask(self, kind, service, request):
        """The response; asked again if it gets lost: a service may answer a client that it has
        not discovered whole."""
        client = self.create_client(kind, service)
        assert client.wait_for_service(30.0)
        futures = []

        def answered():
            if not futures or time.monotonic() - futures[-1][0] > 1.0:
                futures.append((time.monotonic(), client.call_async(request)))
            return [future for _, future in futures if future.done()]

        return wait_until(answered)[0].result()


@pytest.fixture
def feeder(spinning):
    return spinning(Feeder)


@pytest.fixture
def start(spinning, feeder):
    """Start a controller, geometric, in lockstep, and wait until both sides hear each other."""

    def run(*arguments, autostart=True):
        node = spinning(
            lambda context: ControllerNode(Finish(), context=context),
            *(
                "-p",
                "policy:=geometric",
                "-p",
                "lockstep:=true",
                "-p",
                f"autostart:={str(autostart).lower()}",
                *arguments,
            ),
        )
        node.start()
        if autostart:
            wait_until(lambda: all(s.get_subscription_count() for s in feeder.senders.values()))
            wait_until(lambda: feeder.heard[interface.DIAGNOSTICS])
        return node

    return run


def test_hover_at_the_setpoint_is_hover_thrust(start, feeder):
    start()
    feeder.send(0)
    topic, message = feeder.answer(0)
    assert topic == COMMAND
    command = conversions.command_from_msg(message, RATES_THRUST)
    assert command["thrust"][0] == pytest.approx(GRAVITY)
    np.testing.assert_allclose(command["ang_vel"], 0, atol=1e-12)


def test_each_step_is_answered_exactly_once(start, feeder):
    start()
    for k in range(30):
        feeder.send(k)
        feeder.answer(k)
    stamps = [m.header.stamp for m in feeder.heard[COMMAND]]
    assert [conversions.stamp_from_msg(s) for s in stamps] == [k * PERIOD for k in range(30)]


def test_imu_that_is_not_finite_ends_the_command_stream(start, feeder):
    """IMU limit 20 ms: dead reckoning for two steps, then silence, which names its reason."""
    start()
    for k in range(3):
        feeder.send(k)
        assert feeder.answer(k)[0] == COMMAND
    kinds = []
    for k in range(3, 8):
        feeder.send(k, force=[np.nan, 0, GRAVITY])
        topic, message = feeder.answer(k)
        kinds.append(topic)
        if topic == COMMAND:
            conversions.command_from_msg(message, RATES_THRUST)  # finite
    assert kinds == [COMMAND] * 2 + [interface.SILENT] * 3
    assert "IMU" in message.frame_id
    text, values = wait_until(lambda: feeder.status() if "IMU" in feeder.status()[0] else None)
    assert "limit 20 ms" in text
    assert values["mode"] == "silent"
    assert int(values["refused imu"]) >= 1
    feeder.send(8)
    assert feeder.answer(8)[0] == COMMAND


def test_odometry_in_another_frame_is_refused_and_the_vehicle_descends(start, feeder):
    start()
    feeder.send(0)
    feeder.answer(0)
    for k in range(1, 14):
        feeder.send(k, frame="odom_ned")
        feeder.answer(k)
    text, values = wait_until(
        lambda: feeder.status() if feeder.status()[1].get("mode") == "halt" else None
    )
    assert "odometry" in text
    assert "odom_ned" in values["last refused"]


def test_parameter_is_set_and_a_bad_one_refused_over_the_service(start, feeder):
    start()

    def set_parameter(value):
        request = SetParametersAtomically.Request(
            parameters=[Parameter("backup.position_gain", value=value).to_parameter_msg()]
        )
        return feeder.ask(
            SetParametersAtomically, "controller/set_parameters_atomically", request
        ).result

    assert set_parameter(5.0).successful
    refused = set_parameter(500.0)
    assert not refused.successful
    assert "50" in refused.reason


def test_gains_of_a_geometric_policy_can_be_tuned_in_flight(start, feeder):
    start()
    thrusts = []
    for k, gain in enumerate((100, 0)):  # integers, as people type them
        request = SetParametersAtomically.Request(
            parameters=[Parameter("backup.position_gain", value=gain).to_parameter_msg()]
        )
        service = "controller/set_parameters_atomically"
        assert feeder.ask(SetParametersAtomically, service, request).result.successful
        feeder.send(k, pos=(0.0, 0.0, 0.95))
        thrusts.append(feeder.answer(k)[1].twist.linear.z)
    assert thrusts[0] == pytest.approx(GRAVITY + 5.0, abs=0.1)
    assert thrusts[1] == pytest.approx(GRAVITY, abs=0.1)


def test_setpoint_that_can_not_be_flown_to_leaves_nothing_behind(start, feeder):
    start()
    for k in range(6):
        feeder.send(k, vel=(1e308, 0, 0) if k in (1, 2) else (0.0, 0, 0))
        topic, message = feeder.answer(k)
        assert topic == COMMAND
        (thrust,) = conversions.command_from_msg(message, RATES_THRUST)["thrust"]
        assert thrust == pytest.approx(GRAVITY)  # finite
    _, values = wait_until(
        lambda: feeder.status() if "last refused" in feeder.status()[1] else None
    )
    assert "setpoint/trajectory: velocity of 1e+308 m/s" in values["last refused"]


def test_imu_stamp_from_the_future_is_refused_in_lockstep_too(start, feeder):
    start()
    for k in range(5):
        feeder.send(k, imu_late=-(10**15) if k == 2 else 0)
        assert feeder.answer(k)[0] == COMMAND


def test_time_that_goes_back_is_a_new_flight(start, feeder):
    """A simulator that is started again, with the controller left running."""
    start()
    answers = []
    for run in range(2):
        feeder.heard[COMMAND].clear()
        for k in range(10):
            feeder.send(k, pos=(0.1 * k, 0.0, 1.0))
            assert feeder.answer(k)[0] == COMMAND
        answers.append([m.twist for m in feeder.heard[COMMAND]])
        assert len(answers[run]) == 10
    assert answers[0] == answers[1]
    _, values = wait_until(lambda: feeder.status() if "new clocks" in feeder.status()[1] else None)
    assert (values["new clocks"], values["last new clock"]) == ("1", "time went back by 0.090 s")


def test_message_that_the_last_flight_left_is_not_part_of_the_next(start, feeder):
    start()
    for k in range(3):
        feeder.send(k)
        feeder.answer(k)
    imu = conversions.imu_to_msg(ImuSample(3 * PERIOD, np.zeros(3), REST))
    feeder.senders[interface.IMU].publish(imu)
    feeder.heard[COMMAND].clear()
    for k in range(3):
        feeder.send(k)
        assert feeder.answer(k)[0] == COMMAND


def test_another_publisher_of_commands_is_an_error(start, feeder, spinning):
    start()
    feeder.send(0)
    feeder.answer(0)
    wait_until(lambda: feeder.status()[0] == "policy")
    other = spinning(lambda context: Node("other", context=context))
    publisher = other.create_publisher(
        COMMAND.type,
        COMMAND.name,
        interface.newest_qos(),
    )
    text, _ = wait_until(lambda: feeder.status() if "publisher" in feeder.status()[0] else None)
    assert text == "1 other publisher(s) on /cmd/rates_thrust; policy"
    assert feeder.heard[interface.DIAGNOSTICS][-1].status[0].level == DiagnosticStatus.ERROR
    other.destroy_publisher(publisher)
    wait_until(lambda: feeder.status()[0] == "policy")
    assert feeder.heard[interface.DIAGNOSTICS][-1].status[0].level == DiagnosticStatus.OK


def test_lifecycle_without_autostart(start, feeder):
    """Nothing is sent until active; deactivate sends one neutral command; active again: reset."""
    start(autostart=False)

    def state():
        return feeder.ask(GetState, "controller/get_state", GetState.Request()).current_state.id

    changer = feeder.create_client(ChangeState, "controller/change_state")

    def change(transition, expected):
        assert changer.wait_for_service(30.0)
        changer.call_async(ChangeState.Request(transition=Transition(id=transition)))
        wait_until(lambda: state() == expected)

    assert state() == State.PRIMARY_STATE_UNCONFIGURED
    change(Transition.TRANSITION_CONFIGURE, State.PRIMARY_STATE_INACTIVE)
    change(Transition.TRANSITION_ACTIVATE, State.PRIMARY_STATE_ACTIVE)
    wait_until(lambda: all(s.get_subscription_count() for s in feeder.senders.values()))
    feeder.send(0, pos=(0.3, 0, 1))
    assert feeder.answer(0)[1].twist.angular.y != 0
    change(Transition.TRANSITION_DEACTIVATE, State.PRIMARY_STATE_INACTIVE)
    commands = feeder.heard[COMMAND]
    wait_until(lambda: len(commands) == 2)
    neutral = conversions.command_from_msg(commands[-1], RATES_THRUST)
    assert neutral["thrust"][0] == pytest.approx(GRAVITY)
    np.testing.assert_array_equal(neutral["ang_vel"], 0)
    wait_until(lambda: not any(s.get_subscription_count() for s in feeder.senders.values()))
    change(Transition.TRANSITION_ACTIVATE, State.PRIMARY_STATE_ACTIVE)
    wait_until(lambda: all(s.get_subscription_count() for s in feeder.senders.values()))
    feeder.send(0)  # an older stamp: only a reset loop takes it
    wait_until(lambda: len(commands) == 3)
    change(Transition.TRANSITION_DEACTIVATE, State.PRIMARY_STATE_INACTIVE)
    change(Transition.TRANSITION_CLEANUP, State.PRIMARY_STATE_UNCONFIGURED)


def test_what_the_policy_was_not_trained_for_stands_in_the_diagnostics(start, feeder):
    start("-p", "policy:=hover_liquid", "-p", "control_rate:=20.0")

    def told():
        values = feeder.heard[interface.DIAGNOSTICS][-1].status[0].values
        return {pair.key: pair.value for pair in values}.get("outside_training")

    assert wait_until(told) == "control rate 20 Hz, trained for 33 to 200 Hz"


def test_bad_policy_can_not_be_configured(spinning):
    finish = Finish()
    node = spinning(
        lambda context: ControllerNode(finish, context=context),
        *("-p", "policy:=no_such_policy", "-p", "autostart:=true"),
    )
    node.start()
    assert finish.wait() == 2
