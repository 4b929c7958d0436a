"""The ROS 2 interface: every topic of a flight with its type, and how reliably it is sent.

All names are relative, so that a namespace or a remapping moves them. Only message types of
common_interfaces are used.

| topic | stamp | meaning |
|---|---|---|
| imu/data, odom, setpoint/trajectory | of the sample | what the controller steps on |
| camera/image_raw, or its compressed form | of the image | what it steers by, if it sees |
| camera/camera_info | of the image | the intrinsics of what comes from then on |
| armed | none | whether commands act; heard where the parameter `arming` asks for it |
| cmd/<kind>, e.g. cmd/rates_thrust | see `wire` | the command, as its kind says |
| cmd/silent | as above | lockstep only: no command for this stamp, and why |
| ground_truth/odom, wind, rotor_speeds | of the state | what the simulated world knows |
| controller/neurons, controller/step | as the command, in the first label | one row a step |

*Lockstep.* For step k the simulator sends one message on each of imu/data, odom and
setpoint/trajectory (odom repeats the older sample where none is new). The controller steps once it
holds all three, and answers the step with either a command or, where the supervisor sends nothing,
`cmd/silent`. The answer, not the passing of time, moves the world on, so
a seed gives the same flight bit for bit. Only a controller that is gone is given up after
`answer_timeout`; that is counted and named in the diagnostics. In real time silence is silence:
nothing is published, and the autopilot's own failsafe acts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseStamped, TwistStamped, Vector3Stamped
from nav_msgs.msg import Odometry
from rclpy.qos import QoSHistoryPolicy, QoSProfile, QoSReliabilityPolicy
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, Image, Imu, JointState
from std_msgs.msg import Bool, Float32MultiArray, Header
from trajectory_msgs.msg import MultiDOFJointTrajectory

from liquid_control import wire


@dataclass(frozen=True)
class Topic:
    """A name and its message type."""

    name: str
    type: Any


IMU = Topic(wire.IMU, Imu)
ODOMETRY = Topic(wire.ODOMETRY, Odometry)
SETPOINT_POSE = Topic(wire.SETPOINT_POSE, PoseStamped)
SETPOINT_TRAJECTORY = Topic(wire.SETPOINT_TRAJECTORY, MultiDOFJointTrajectory)
SILENT = Topic(wire.SILENT, Header)
ARMED = Topic(wire.ARMED, Bool)
NEURONS = Topic(wire.NEURONS, Float32MultiArray)
STEP = Topic(wire.STEP, Float32MultiArray)
GROUND_TRUTH = Topic(wire.GROUND_TRUTH, Odometry)
WIND = Topic(wire.WIND, Vector3Stamped)
ACTUATORS = Topic(wire.ACTUATORS, JointState)
CLOCK = Topic(wire.CLOCK, Clock)
CAMERA_INFO = Topic(wire.CAMERA_INFO, CameraInfo)
IMAGE = Topic(wire.IMAGE, Image)
DIAGNOSTICS = Topic(wire.DIAGNOSTICS, DiagnosticArray)


def command_topic(kind: str) -> Topic:
    """The commands of a kind, by its name; all travel as a twist."""
    return Topic(wire.command_topic(kind), TwistStamped)


def from_controller(kind: str) -> tuple[Topic, ...]:
    """What a controller sends whose commands are of this kind, by its name."""
    return (command_topic(kind), SILENT, NEURONS, STEP)


# What a simulator sends in any case; further sensors have topics of their own, see `sensors`
FROM_SIMULATOR = (IMU, ODOMETRY, SETPOINT_TRAJECTORY, GROUND_TRUTH, WIND, ACTUATORS, CLOCK)

# In lockstep a writer keeps what a slow recorder has not acknowledged yet.
_LOCKSTEP_DEPTH = 1000


def _qos(reliability: QoSReliabilityPolicy, depth: int) -> QoSProfile:
    return QoSProfile(history=QoSHistoryPolicy.KEEP_LAST, depth=depth, reliability=reliability)


def sending_qos(lockstep: bool) -> QoSProfile:
    """Of every publisher: reliable, so that any subscriber is compatible; the newest counts."""
    return _qos(QoSReliabilityPolicy.RELIABLE, _LOCKSTEP_DEPTH if lockstep else 1)


def sensor_qos(lockstep: bool) -> QoSProfile:
    """Of the controller's sensor subscriptions: best effort, newest only; in lockstep reliable."""
    if lockstep:
        return _qos(QoSReliabilityPolicy.RELIABLE, 10)
    return _qos(QoSReliabilityPolicy.BEST_EFFORT, 1)


def newest_qos() -> QoSProfile:
    """Of subscriptions to setpoints and commands: reliable, newest only."""
    return _qos(QoSReliabilityPolicy.RELIABLE, 1)


def event_qos() -> QoSProfile:
    """Of /diagnostics: no mode switch is lost."""
    return _qos(QoSReliabilityPolicy.RELIABLE, 100)


def recording_qos() -> QoSProfile:
    """Of the recorder's subscriptions: everything, in order."""
    return QoSProfile(history=QoSHistoryPolicy.KEEP_ALL, reliability=QoSReliabilityPolicy.RELIABLE)
