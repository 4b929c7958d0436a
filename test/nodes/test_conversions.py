import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("rclpy")

from geometry_msgs.msg import PoseStamped
from nav_msgs.msg import Odometry
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import Imu

from liquid_control.nodes import conversions
from liquid_control.nodes.rows import labelled_row
from liquid_control.structs import RATES_THRUST, ImuSample, OdometrySample, Setpoint

stamps = st.integers(0, 2**31 * 10**9 - 1)
floats = st.floats(allow_nan=False, allow_infinity=False, width=64)


def arrays(size):
    return st.lists(floats, min_size=size, max_size=size).map(np.array)


def over_the_wire(message):
    return deserialize_message(serialize_message(message), type(message))


def assert_same(a, b):
    for name in a.__dataclass_fields__:
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name), err_msg=name)


@given(stamps, arrays(3), arrays(3))
def test_imu_is_exact(stamp, ang_vel, force):
    sample = ImuSample(stamp, ang_vel, force)
    message = over_the_wire(conversions.imu_to_msg(sample))
    assert message.orientation_covariance[0] == -1  # REP 145: no orientation
    assert_same(conversions.imu_from_msg(message), sample)


@given(stamps, arrays(3), arrays(4), arrays(3), arrays(3))
def test_odometry_is_exact(stamp, pos, quat, vel, ang_vel):
    sample = OdometrySample(stamp, pos, quat, vel, ang_vel)
    message = over_the_wire(conversions.odometry_to_msg(sample))
    assert_same(conversions.odometry_from_msg(message), sample)


@given(stamps, floats, arrays(3))
def test_command_is_exact(stamp, thrust, rates):
    command = RATES_THRUST.command(thrust, *rates.tolist())
    message = over_the_wire(conversions.command_to_msg(command, stamp))
    assert conversions.stamp_from_msg(message.header.stamp) == stamp
    assert conversions.command_from_msg(message, RATES_THRUST) == command


def vectors(limit):
    """No longer than ``limit``."""
    part = st.floats(-limit / 2, limit / 2)
    return st.lists(part, min_size=3, max_size=3).map(np.array)


@given(vectors(1e4), vectors(100.0), vectors(100.0), st.floats(-np.pi, np.pi))
def test_setpoint_is_exact_but_for_the_rounding_of_yaw(pos, vel, acc, yaw):
    setpoint = Setpoint(pos, vel, acc, yaw)
    back = conversions.setpoint_from_trajectory(
        over_the_wire(conversions.setpoint_to_msg(setpoint, 5))
    )
    for name in ("pos_world", "vel_world", "acc_world"):
        np.testing.assert_array_equal(getattr(back, name), getattr(setpoint, name))
    assert np.cos(back.yaw - yaw) == pytest.approx(1, abs=1e-15)
    assert np.sin(back.yaw - yaw) == pytest.approx(0, abs=2e-15)


def test_yaw_zero_is_exact():
    message = conversions.setpoint_to_msg(Setpoint(np.zeros(3)), 0)
    assert conversions.setpoint_from_trajectory(message).yaw == 0.0


@pytest.mark.parametrize(
    ("frame", "child", "named"),
    [("odom_ned", "base_link", "odom_ned"), ("odom", "base_link_frd", "base_link_frd")],
)
def test_odometry_in_another_frame_is_refused(frame, child, named):
    message = Odometry(child_frame_id=child)
    message.header.frame_id = frame
    with pytest.raises(ValueError, match=f"{named}.*expected"):
        conversions.odometry_from_msg(message)


def test_imu_in_another_frame_is_refused():
    with pytest.raises(ValueError, match=r"imu.*''.*'base_link'"):
        conversions.imu_from_msg(Imu())


def test_setpoint_that_is_not_finite_is_refused():
    message = conversions.setpoint_to_msg(Setpoint(np.array([0, np.nan, 0])), 0)
    with pytest.raises(ValueError, match="not finite"):
        conversions.setpoint_from_trajectory(message)


@pytest.mark.parametrize(
    ("setpoint", "reason"),
    [
        (Setpoint(np.array([2e4, 0, 0])), "position of 2e.04 m, limit 10000 m"),
        (Setpoint(np.zeros(3), np.array([1e308, 0, 0])), "velocity of 1e.308 m/s, limit 100 m/s"),
        (Setpoint(np.zeros(3), np.zeros(3), np.array([0, 0, -101.0])), "acceleration of 101"),
    ],
)
def test_setpoint_out_of_reach_is_refused(setpoint, reason):
    with pytest.raises(ValueError, match=f"setpoint/trajectory: {reason}"):
        conversions.setpoint_from_trajectory(conversions.setpoint_to_msg(setpoint, 0))


@pytest.mark.parametrize("size", [0.0, 0.5, 2.0, np.nan, 1e308])
def test_quaternion_of_a_setpoint_that_is_no_attitude_is_refused(size):
    pose = PoseStamped()
    pose.header.frame_id = "odom"
    pose.pose.orientation.w = size
    with pytest.raises(ValueError, match=r"setpoint/pose: quaternion of norm .*expected 1"):
        conversions.setpoint_from_pose(pose)
    message = conversions.setpoint_to_msg(Setpoint(np.zeros(3)), 0)
    message.points[0].transforms[0].rotation.w = size
    with pytest.raises(ValueError, match=r"setpoint/trajectory: quaternion of norm"):
        conversions.setpoint_from_trajectory(message)


def test_quaternion_of_a_setpoint_is_normalised():
    pose = PoseStamped()
    pose.header.frame_id = "odom"
    pose.pose.orientation.z = pose.pose.orientation.w = 0.7
    assert conversions.setpoint_from_pose(pose).yaw == pytest.approx(np.pi / 2, abs=1e-12)


def test_trajectory_without_points_is_refused():
    message = conversions.setpoint_to_msg(Setpoint(np.zeros(3)), 0)
    message.points = []
    with pytest.raises(ValueError, match="no point"):
        conversions.setpoint_from_trajectory(message)


def test_labelled_row_holds_stamp_names_and_values():
    row = labelled_row(7, ("a", "b"), np.array([1.5, -2.0], np.float32))
    assert [axis.label for axis in row.layout.dim] == ["stamp_ns 7", "a b"]
    assert [axis.size for axis in row.layout.dim] == [1, 2]
    assert list(row.data) == [1.5, -2.0]
