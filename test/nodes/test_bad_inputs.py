"""The controller node in real time: sensors go wrong for a moment, and all is well again."""

import threading
import time
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("rclpy")

from rclpy.node import Node
from waiting import wait_until

from liquid_control.nodes import conversions, interface
from liquid_control.nodes.controller import ControllerNode
from liquid_control.nodes.process import Finish
from liquid_control.structs import GRAVITY, RATES_THRUST, ImuSample, OdometrySample

COMMAND = interface.command_topic(RATES_THRUST.name)

pytestmark = pytest.mark.ros
PERIOD = 0.01  # s
# A busy machine delays samples; what is tested here is what stays for good.
PATIENT = {"input_gate.max_imu_age": 0.5, "input_gate.max_odometry_age": 1.0}


class Sensors(Node):
    """IMU and odometry of a vehicle that hangs still, 100 times a second, and what is answered.

    `disturb` takes the next samples (imu, odometry) and gives those that are sent; `k` counts them.
    """

    def __init__(self, context):
        super().__init__("sensors", context=context)
        qos = interface.sending_qos(lockstep=False)
        self._imu, self._odometry = (
            self.create_publisher(t.type, t.name, qos) for t in (interface.IMU, interface.ODOMETRY)
        )
        self.commands, self.status = [], {}
        self.create_subscription(
            COMMAND.type,
            COMMAND.name,
            lambda m: self.commands.append([m.twist.linear.z, m.twist.angular.y]),
            interface.event_qos(),
        )
        self.create_subscription(
            interface.DIAGNOSTICS.type,
            interface.DIAGNOSTICS.name,
            self._on_diagnostics,
            interface.event_qos(),
        )
        self.disturb = lambda imu, odometry: (imu, odometry)
        self.k = 0
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._send)

    def _on_diagnostics(self, message):
        (status,) = message.status
        self.status = {pair.key: pair.value for pair in status.values}

    def start(self):
        self._thread.start()

    def stop(self):
        self._stopped.set()
        self._thread.join()

    def _send(self):
        while not self._stopped.wait(PERIOD):
            stamp, zero = time.time_ns(), np.zeros(3)
            imu, odometry = self.disturb(
                ImuSample(stamp, zero, np.array([0, 0, GRAVITY])),
                OdometrySample(stamp, np.array([5.0, 0, 1]), np.array([0.0, 0, 0, 1]), zero, zero),
            )
            self._imu.publish(conversions.imu_to_msg(imu))
            self._odometry.publish(conversions.odometry_to_msg(odometry))
            self.k += 1

    def disturb_once(self, samples, change):
        """Change the next samples, and wait until they are sent."""
        end = self.k + samples
        self.disturb = lambda imu, odometry: (
            change(imu, odometry) if self.k < end else (imu, odometry)
        )
        wait_until(lambda: self.k > end)

    def assert_flown_well(self):
        """From now on the policy flies, level, at hover thrust: it holds the place it was seen."""
        start = len(self.commands)
        wait_until(lambda: len(self.commands) > start + 50 and self.status.get("mode") == "policy")
        assert np.abs(np.array(self.commands[start + 10 :]) - [GRAVITY, 0]).max() < 1e-6


@pytest.fixture
def sensors(spinning):
    return spinning(Sensors)


@pytest.fixture
def controller(spinning):
    """Start a controller in real time, and give it."""

    def run():
        settings = {"policy": "geometric", "autostart": "true", **PATIENT}
        arguments = [a for key, value in settings.items() for a in ("-p", f"{key}:={value}")]
        node = spinning(lambda context: ControllerNode(Finish(), context=context), *arguments)
        node.start()
        return node

    return run


def ahead(sample, seconds):
    return replace(sample, stamp=sample.stamp + round(seconds * 1e9))


def test_first_odometry_that_is_not_finite(sensors, controller):
    """There is no setpoint: the place to hold must not come from it."""
    nan = np.full(3, np.nan)
    sensors.disturb = lambda imu, odometry: (imu, replace(odometry, pos_world=nan))
    sensors.start()
    controller()
    wait_until(lambda: int(sensors.status.get("refused odometry", 0)) > 0)
    sensors.disturb = lambda imu, odometry: (imu, odometry)
    sensors.assert_flown_well()
    assert np.isfinite(sensors.commands).all()


@pytest.mark.parametrize(
    ("samples", "change", "max_age"),
    [
        (1, lambda imu, odometry: (ahead(imu, 1e6), odometry), "input_gate.max_imu_age"),
        (3, lambda imu, odometry: (imu, ahead(odometry, 1e6)), "input_gate.max_odometry_age"),
    ],
    ids=["one IMU stamp", "odometry for 30 ms"],
)
def test_stamps_from_the_future(sensors, controller, samples, change, max_age):
    sensors.start()
    controller()
    sensors.assert_flown_well()
    sensors.disturb_once(samples, change)
    time.sleep(2 * PATIENT[max_age])
    sensors.assert_flown_well()


def test_sensors_whose_clock_was_set_back(sensors, controller):
    sensors.start()
    controller()
    sensors.assert_flown_well()
    sensors.disturb = lambda imu, odometry: (ahead(imu, -1000.0), ahead(odometry, -1000.0))
    wait_until(lambda: sensors.status.get("new clocks") == "2")
    sensors.assert_flown_well()
    assert "clock moved by -1000." in sensors.status["last new clock"]
