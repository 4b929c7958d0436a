"""How each sensor travels: its topic, and its sample to a message and back. One row a sensor.

A sensor without a row of its own is an array of its sample's numbers on ``sensors/<name>``,
labelled with their names: `OwnSample` on the other side has attributes of these names.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from nav_msgs.msg import Odometry
from sensor_msgs.msg import CompressedImage, Image, Imu
from std_msgs.msg import Float64MultiArray

from liquid_control import wire
from liquid_control.nodes import conversions, rows
from liquid_control.nodes.interface import Topic
from liquid_control.parameters import ControllerParameters


@dataclass(frozen=True)
class SensorTopic:
    """One row: what converts raises `ValueError` for what can't be."""

    topic: Topic
    to_msg: Callable[[Any], Any]
    reader: Callable[[ControllerParameters], Callable[[Any], Any]]  # gives message to sample


SENSOR_TOPICS = {
    "imu": SensorTopic(
        Topic(wire.IMU, Imu),
        conversions.imu_to_msg,
        lambda p: partial(conversions.imu_from_msg, body_frame=p.body_frame),
    ),
    "odometry": SensorTopic(
        Topic(wire.ODOMETRY, Odometry),
        conversions.odometry_to_msg,
        lambda p: partial(
            conversions.odometry_from_msg, world_frame=p.world_frame, body_frame=p.body_frame
        ),
    ),
    "image": SensorTopic(
        Topic(wire.IMAGE, Image),
        conversions.image_to_msg,
        lambda _: conversions.image_from_msg,
    ),
}


COMPRESSED = SensorTopic(  # heard only: a world sends its pictures as they are
    Topic(wire.COMPRESSED_IMAGE, CompressedImage),
    conversions.image_to_msg,
    lambda _: conversions.compressed_image_from_msg,
)


def heard_topic(sensor: str, parameters: ControllerParameters) -> SensorTopic:
    """The row by which a controller hears a sensor."""
    if sensor == "image" and parameters.compressed_images:
        return COMPRESSED
    return sensor_topic(sensor)


def sensor_topic(sensor: str) -> SensorTopic:
    """The row of a sensor, by the name that it has in a `SensorFrame`."""
    if sensor in SENSOR_TOPICS:
        return SENSOR_TOPICS[sensor]
    return SensorTopic(
        Topic(wire.sensor_topic(sensor), Float64MultiArray),
        rows.own_sample_to_msg,
        lambda _: partial(rows.own_sample_from_msg, sensor=sensor),
    )
