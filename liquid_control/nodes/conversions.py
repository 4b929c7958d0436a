"""Messages to structs and back: the one place where a message's fields are read or written.

Both sides hold float64, so every conversion is exact, except the yaw of a setpoint, which travels
as a quaternion (rounding of 1e-15 rad). A message in another frame is refused with `ValueError`,
and so is a setpoint that can't be flown to.
"""

from __future__ import annotations

import io
import math
from array import array
from collections.abc import Sequence
from operator import attrgetter
from typing import Any

import numpy as np
from builtin_interfaces.msg import Time
from geometry_msgs.msg import (
    PoseStamped,
    Quaternion,
    Transform,
    Twist,
    TwistStamped,
    Vector3,
    Vector3Stamped,
)
from nav_msgs.msg import Odometry
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, Imu, JointState
from std_msgs.msg import (
    Header,
)
from trajectory_msgs.msg import MultiDOFJointTrajectory, MultiDOFJointTrajectoryPoint

from liquid_control import wire
from liquid_control.control.gate import Target
from liquid_control.frames import quat_from_yaw, yaw_from_quat
from liquid_control.pixels import decoded
from liquid_control.structs import (
    Command,
    CommandKind,
    ImageSample,
    ImuSample,
    OdometrySample,
    Setpoint,
)

WORLD_FRAME = "odom"
BODY_FRAME = "base_link"
CAMERA_FRAME = "camera_optical"
_MAX_QUAT_ERROR = 0.1  # of the norm of a setpoint's quaternion, which people type in


def stamp_to_msg(stamp: int) -> Time:
    """Nanoseconds to a message."""
    sec, nanosec = divmod(stamp, 1_000_000_000)
    return Time(sec=sec, nanosec=nanosec)


def stamp_from_msg(msg: Time) -> int:
    """A message to nanoseconds."""
    return msg.sec * 1_000_000_000 + msg.nanosec


def stamp_of(msg: Any) -> int:
    """The stamp of a message with a header, or of a labelled row, in ns."""
    if hasattr(msg, "header"):
        return stamp_from_msg(msg.header.stamp)
    return wire.stamp_of(msg.layout.dim[0].label)


def _vector(msg) -> np.ndarray:
    return np.array([msg.x, msg.y, msg.z])


def _vector_to_msg(vector: np.ndarray) -> Vector3:
    x, y, z = map(float, vector)
    return Vector3(x=x, y=y, z=z)


def _quat(msg: Quaternion) -> np.ndarray:
    return np.array([msg.x, msg.y, msg.z, msg.w])


def _quat_to_msg(quat: np.ndarray) -> Quaternion:
    x, y, z, w = map(float, quat)
    return Quaternion(x=x, y=y, z=z, w=w)


def _yaw(what: str, msg: Quaternion) -> float:
    quat = _quat(msg)
    norm = math.hypot(*quat.tolist())
    if not abs(norm - 1) <= _MAX_QUAT_ERROR:
        raise ValueError(f"{what}: quaternion of norm {norm:.3g}, expected 1")
    return float(yaw_from_quat(quat / norm))


def _check_frame(what: str, frame: str, expected: str) -> None:
    if frame != expected:
        raise ValueError(f"{what}: frame {frame!r}, expected {expected!r}")


def header_to_msg(stamp: int, frame: str) -> Header:
    """A stamp in ns and a frame."""
    return Header(stamp=stamp_to_msg(stamp), frame_id=frame)


def imu_from_msg(msg: Imu, body_frame: str = BODY_FRAME) -> ImuSample:
    """The sample of an IMU whose axes are the body's."""
    _check_frame("imu", msg.header.frame_id, body_frame)
    return ImuSample(
        stamp_from_msg(msg.header.stamp),
        _vector(msg.angular_velocity),
        _vector(msg.linear_acceleration),
    )


def imu_to_msg(sample: ImuSample) -> Imu:
    """An IMU message that says that it holds no orientation."""
    return Imu(
        header=header_to_msg(sample.stamp, BODY_FRAME),
        orientation_covariance=[-1.0] + [0.0] * 8,
        angular_velocity=_vector_to_msg(sample.ang_vel_body),
        linear_acceleration=_vector_to_msg(sample.specific_force_body),
    )


def image_from_msg(msg: Image) -> ImageSample:
    """A picture of 8 bits a channel, in one of `pixels.ENCODINGS`; another is refused."""
    rgb = decoded(msg.encoding, msg.width, msg.height, msg.step, msg.data)
    return ImageSample(stamp_from_msg(msg.header.stamp), rgb)


def compressed_image_from_msg(msg: CompressedImage) -> ImageSample:
    """A picture in JPEG or PNG, of any size; it takes Pillow to open it."""
    try:
        from PIL import Image as Picture
    except ModuleNotFoundError:
        raise ValueError("image: Pillow, which opens compressed pictures, is not there") from None
    try:
        with Picture.open(io.BytesIO(bytes(msg.data)), formats=("JPEG", "PNG")) as picture:
            rgb = np.asarray(picture.convert("RGB"))
    except Exception as error:  # Pillow raises many kinds
        raise ValueError(
            f"image: {len(msg.data)} bytes of format {msg.format!r}, expected a JPEG or PNG: "
            f"{error}"
        ) from None
    return ImageSample(stamp_from_msg(msg.header.stamp), rgb)


def camera_info_from_msg(msg: CameraInfo) -> tuple[int, int, tuple[float, float, float, float]]:
    """Width and height in px, and the intrinsics of a `structs.ImageSample`; a camera that is not
    calibrated, or whose picture is bent or cut, is refused."""
    k = [float(value) for value in msg.k]
    fx, fy, cx, cy = k[0], k[4], k[2], k[5]
    if not (all(map(math.isfinite, k)) and fx > 0 and fy > 0):
        raise ValueError(f"camera_info: focal lengths {fx:g} and {fy:g} px, expected more than 0")
    if any(abs(value) > 1e-9 for value in msg.d):
        raise ValueError(
            f"camera_info: distortion {[round(float(v), 4) for v in msg.d]}, expected none: "
            "subscribe to rectified images"
        )
    if max(msg.binning_x, msg.binning_y) > 1 or msg.roi.width or msg.roi.height:
        raise ValueError("camera_info: binning or a region of interest, expected whole images")
    return msg.width, msg.height, (fx, fy, cx, cy)


def camera_info_to_msg(sample: ImageSample) -> CameraInfo:
    """Of the camera that took a picture, whose intrinsics it tells."""
    fx, fy, cx, cy = map(float, sample.intrinsics)
    height, width, _ = sample.rgb.shape
    return CameraInfo(
        header=header_to_msg(sample.stamp, CAMERA_FRAME),
        height=height,
        width=width,
        distortion_model="plumb_bob",
        d=[0.0] * 5,
        k=[fx, 0.0, cx, 0.0, fy, cy, 0.0, 0.0, 1.0],
        r=[1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0],
        p=[fx, 0.0, cx, 0.0, 0.0, fy, cy, 0.0, 0.0, 0.0, 1.0, 0.0],
    )


def image_to_msg(sample: ImageSample) -> Image:
    """The picture in 8-bit RGB."""
    height, width, _ = sample.rgb.shape
    return Image(
        header=header_to_msg(sample.stamp, CAMERA_FRAME),
        height=height,
        width=width,
        encoding="rgb8",
        step=3 * width,
        data=array("B", sample.rgb.tobytes()),
    )


def odometry_from_msg(
    msg: Odometry, world_frame: str = WORLD_FRAME, body_frame: str = BODY_FRAME
) -> OdometrySample:
    """Pose in the world and twist in the body frame."""
    _check_frame("odometry", msg.header.frame_id, world_frame)
    _check_frame("odometry child", msg.child_frame_id, body_frame)
    pose, twist = msg.pose.pose, msg.twist.twist
    return OdometrySample(
        stamp_from_msg(msg.header.stamp),
        _vector(pose.position),
        _quat(pose.orientation),
        _vector(twist.linear),
        _vector(twist.angular),
    )


def odometry_to_msg(sample: OdometrySample) -> Odometry:
    """Pose in the world and twist in the body frame."""
    msg = Odometry(header=header_to_msg(sample.stamp, WORLD_FRAME), child_frame_id=BODY_FRAME)
    position, twist = msg.pose.pose.position, msg.twist.twist
    position.x, position.y, position.z = map(float, sample.pos_world)
    msg.pose.pose.orientation = _quat_to_msg(sample.quat_world_body)
    twist.linear = _vector_to_msg(sample.vel_body)
    twist.angular = _vector_to_msg(sample.ang_vel_body)
    return msg


def setpoint_from_pose(msg: PoseStamped, world_frame: str = WORLD_FRAME) -> Setpoint:
    """Hold this position and heading."""
    what = "setpoint/pose"
    _check_frame(what, msg.header.frame_id, world_frame)
    yaw = _yaw(what, msg.pose.orientation)
    return _checked_setpoint(what, Setpoint(_vector(msg.pose.position), yaw=yaw))


def setpoint_from_trajectory(
    msg: MultiDOFJointTrajectory, world_frame: str = WORLD_FRAME
) -> Setpoint:
    """The first point of the first joint: where to be now; velocities may be left out."""
    what = "setpoint/trajectory"
    _check_frame(what, msg.header.frame_id, world_frame)
    if not msg.points or not msg.points[0].transforms:
        raise ValueError(f"{what}: no point with a transform")
    point = msg.points[0]
    transform = point.transforms[0]
    zero = np.zeros(3)
    setpoint = Setpoint(
        pos_world=_vector(transform.translation),
        vel_world=_vector(point.velocities[0].linear) if point.velocities else zero,
        acc_world=_vector(point.accelerations[0].linear) if point.accelerations else zero,
        yaw=_yaw(what, transform.rotation),
    )
    return _checked_setpoint(what, setpoint)


def _checked_setpoint(what: str, setpoint: Setpoint) -> Setpoint:
    fault = Target.of(setpoint).fault
    if fault:
        raise ValueError(f"{what}: {fault}")
    return setpoint


def setpoint_to_msg(setpoint: Setpoint, stamp: int) -> MultiDOFJointTrajectory:
    """A trajectory of one point: where to be at ``stamp``."""
    point = MultiDOFJointTrajectoryPoint(
        transforms=[
            Transform(
                translation=_vector_to_msg(setpoint.pos_world),
                rotation=_quat_to_msg(quat_from_yaw(np.float64(setpoint.yaw))),
            )
        ],
        velocities=[Twist(linear=_vector_to_msg(setpoint.vel_world))],
        accelerations=[Twist(linear=_vector_to_msg(setpoint.acc_world))],
    )
    return MultiDOFJointTrajectory(
        header=header_to_msg(stamp, WORLD_FRAME), joint_names=[BODY_FRAME], points=[point]
    )


def command_from_msg(msg: TwistStamped, kind: CommandKind, body_frame: str = BODY_FRAME) -> Command:
    """The command of a kind that a twist carries; not finite is refused."""
    _check_frame("command", msg.header.frame_id, body_frame)
    values = tuple(map(attrgetter(*kind.twist), [msg.twist]))
    command = Command(kind, values[0] if len(kind.twist) > 1 else values)
    if not all(map(math.isfinite, command.values)):
        raise ValueError("command: not finite")
    return command


def command_to_msg(command: Command, stamp: int) -> TwistStamped:
    """The answer to ``stamp`` ns; `wire` says which that is."""
    msg = TwistStamped(header=header_to_msg(stamp, BODY_FRAME))
    for place, value in zip(command.kind.twist, command.values, strict=True):
        vector, axis = place.split(".")
        setattr(getattr(msg.twist, vector), axis, float(value))
    return msg


def wind_to_msg(wind_world: np.ndarray, stamp: int) -> Vector3Stamped:
    """Wind at the vehicle, m/s."""
    return Vector3Stamped(
        header=header_to_msg(stamp, WORLD_FRAME), vector=_vector_to_msg(wind_world)
    )


def actuators_to_msg(names: Sequence[str], states: Sequence[float], stamp: int) -> JointState:
    """State of each actuator, in the unit that its name says."""
    return JointState(
        header=header_to_msg(stamp, BODY_FRAME),
        name=list(names),
        velocity=[float(state) for state in states],
    )


def clock_to_msg(stamp: int) -> Clock:
    """Simulated time in ns, as /clock carries it."""
    return Clock(clock=stamp_to_msg(stamp))
