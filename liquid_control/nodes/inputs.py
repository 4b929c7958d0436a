"""What the controller has heard: the newest sample of each sensor, its age, the setpoint."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from liquid_control.nodes import conversions, interface
from liquid_control.nodes.inbox import Inbox, Reader, take_newest
from liquid_control.nodes.sensors import heard_topic
from liquid_control.parameters import ControllerParameters
from liquid_control.structs import NAMED_SENSORS, Reading, Sample, SensorFrame, Setpoint

_SETPOINT, _ARMED = "setpoint/trajectory", "armed"  # among the messages of a step


class _Sensor:
    """One sensor as it is heard."""

    def __init__(self, name: str, reader: Reader, parameters: ControllerParameters):
        self.reader = reader
        self._convert = heard_topic(name, parameters).reader(parameters)
        self.sample: Sample | None = None
        self.arrival = 0.0  # s of the steady clock, in real time

    def take_in(self, message: Any) -> None:
        self.sample = self._convert(message)


class Inputs:
    """Subscriptions of a controller; used by its control thread alone.

    Args:
        sensors: names of those that the vehicle flies on; commands answer the first of them.
        refuse: told why a message was not used.

    Attributes:
        setpoint: where the vehicle should be; ``None`` until one has come.
        stamp: ns, what a command answers, see `wire`; ``None`` before the first.
    """

    def __init__(
        self,
        inbox: Inbox,
        parameters: ControllerParameters,
        sensors: Sequence[str],
        refuse: Callable[[str], None],
    ):
        self._parameters, self._refuse = parameters, refuse
        qos = interface.sensor_qos(parameters.lockstep)
        newest = interface.newest_qos()

        def subscribe(topic: interface.Topic, qos: Any) -> Reader:
            return inbox.subscribe(topic.type, topic.name, qos)

        self._sensors = {
            name: _Sensor(name, subscribe(heard_topic(name, parameters).topic, qos), parameters)
            for name in sensors
        }
        self._camera: tuple[int, int, tuple[float, float, float, float]] | None = None
        self._camera_reader = None
        self._misfit: int | None = None  # stamp of the newest image that did not fit it
        if "image" in self._sensors:
            self._camera_reader = subscribe(interface.CAMERA_INFO, newest)
        self._first = sensors[0]
        self._trajectory_reader = subscribe(
            interface.SETPOINT_TRAJECTORY, qos if parameters.lockstep else newest
        )
        self._pose_reader = subscribe(interface.SETPOINT_POSE, newest)
        self._armed_reader = None
        if parameters.arming:
            self._armed_reader = subscribe(interface.ARMED, qos if parameters.lockstep else newest)
        self._armed = not parameters.arming
        self.setpoint: Setpoint | None = None
        self._step_messages: dict[str, Any] = {}
        self.stamp: int | None = None

    # Real time

    def take_newest(self) -> SensorFrame:
        """The newest sample of each sensor; ages count from the arrival, by the steady clock."""
        now = time.monotonic()
        self._hear_camera()
        for sensor in self._sensors.values():
            taken = take_newest(sensor.reader)
            if taken is not None and self._accept(sensor.take_in, taken[0]):
                sensor.arrival = now - taken[1]
        self._tell_intrinsics()
        first = self._sensors[self._first].sample
        if first is not None:
            self.stamp = first.stamp
        for reader, take_in in (
            (self._trajectory_reader, self._set_trajectory),
            (self._pose_reader, self._set_pose),
        ):
            if (taken := take_newest(reader)) is not None:
                self._accept(take_in, taken[0])
        if self._armed_reader is not None and (taken := take_newest(self._armed_reader)):
            self._armed = taken[0].data
        return self._frame(
            {
                name: Reading(sensor.sample, now - sensor.arrival)
                for name, sensor in self._sensors.items()
                if sensor.sample is not None
            }
        )

    # Lockstep

    def take_step(self) -> SensorFrame | None:
        """The frame of the next step, once all its messages have come.

        The simulator sends one message a step on each topic, and nothing is lost, so the n-th
        message of each topic belongs to the n-th step, whose time the setpoint carries. A sensor
        may repeat an older sample. A time that goes back is that of a simulator started again.
        """
        messages = self._step_messages
        readers = {name: sensor.reader for name, sensor in self._sensors.items()}
        readers[_SETPOINT] = self._trajectory_reader
        if self._armed_reader is not None:
            readers[_ARMED] = self._armed_reader
        for name, reader in readers.items():
            if name not in messages and (taken := reader.take()) is not None:
                messages[name] = taken[0]
        if len(messages) < len(readers):
            return None
        stamps = {
            name: conversions.stamp_of(message)
            for name, message in messages.items()
            if name != _ARMED
        }
        now = stamps[_SETPOINT]
        if self.stamp is not None and now < self.stamp:  # begun anew: drop what the last run left
            if left := [name for name, stamp in stamps.items() if stamp > now]:
                for name in left:
                    del messages[name]
                return None
        elif 0 < stamps[self._first] - now <= self._parameters.input_gate.max_stamp_jump * 1e9:
            del messages[_SETPOINT]  # the simulator went on alone, and a queue ran over
            return None
        self._step_messages = {}
        self.stamp = now
        self._hear_camera()
        for name, sensor in self._sensors.items():
            self._accept(sensor.take_in, messages[name])
        self._tell_intrinsics()
        self._accept(self._set_trajectory, messages[_SETPOINT])
        if _ARMED in messages:
            self._armed = messages[_ARMED].data
        samples = {name: sensor.sample for name, sensor in self._sensors.items()}
        frame = SensorFrame.at(now, **samples)
        frame.armed = self._armed
        return frame

    # Both

    def _accept(self, take_in: Callable[[Any], None], message: Any) -> bool:
        try:
            take_in(message)
        except ValueError as error:
            self._refuse(str(error))
            return False
        return True

    def _hear_camera(self) -> None:
        """What the camera says of itself, where somebody says it."""
        if self._camera_reader is None or (taken := take_newest(self._camera_reader)) is None:
            return

        def take_in(message: Any) -> None:
            self._camera = conversions.camera_info_from_msg(message)

        self._accept(take_in, taken[0])

    def _tell_intrinsics(self) -> None:
        """Give the newest image those of its camera; an image of another size has none."""
        if self._camera is None or (image := self._sensors["image"].sample) is None:
            return
        if image.intrinsics is None and image.stamp != self._misfit:
            width, height, intrinsics = self._camera
            size = image.rgb.shape[1::-1]
            if size == (width, height):
                image.intrinsics = intrinsics
            else:
                self._misfit = image.stamp  # said once an image
                self._refuse(
                    f"camera_info: of {width} x {height}, expected the {size[0]} x {size[1]} of "
                    "the images"
                )

    def _set_trajectory(self, message: Any) -> None:
        self.setpoint = conversions.setpoint_from_trajectory(message, self._parameters.world_frame)

    def _set_pose(self, message: Any) -> None:
        self.setpoint = conversions.setpoint_from_pose(message, self._parameters.world_frame)

    def _frame(self, readings: dict[str, Reading]) -> SensorFrame:
        own = {name: readings.pop(name) for name in tuple(readings) if name not in NAMED_SENSORS}
        return SensorFrame(**readings, others=own, armed=self._armed)
