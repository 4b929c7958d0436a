"""What the controller has heard: the newest sample of each sensor, its age, the setpoint."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from liquid_control.nodes import conversions, interface
from liquid_control.nodes.inbox import Inbox, Reader, take_newest
from liquid_control.parameters import ControllerParameters
from liquid_control.structs import ImuSample, OdometrySample, Reading, SensorFrame, Setpoint


class Inputs:
    """Subscriptions of a controller; used by its control thread alone.

    Args:
        refuse: told why a message was not used.

    Attributes:
        setpoint: where the vehicle should be; ``None`` until one has come.
        stamp: ns, what a command answers, see `wire`; ``None`` before the first.
    """

    def __init__(
        self, inbox: Inbox, parameters: ControllerParameters, refuse: Callable[[str], None]
    ):
        self._parameters, self._refuse = parameters, refuse
        sensor = interface.sensor_qos(parameters.lockstep)
        newest = interface.newest_qos()

        def subscribe(topic: interface.Topic, qos: Any) -> Reader:
            return inbox.subscribe(topic.type, topic.name, qos)

        self._imu_reader = subscribe(interface.IMU, sensor)
        self._odometry_reader = subscribe(interface.ODOMETRY, sensor)
        self._trajectory_reader = subscribe(
            interface.SETPOINT_TRAJECTORY, sensor if parameters.lockstep else newest
        )
        self._pose_reader = subscribe(interface.SETPOINT_POSE, newest)
        self._imu: ImuSample | None = None
        self._odometry: OdometrySample | None = None
        # s of the steady clock, in real time
        self._imu_arrival = self._odometry_arrival = 0.0
        self.setpoint: Setpoint | None = None
        self._step_messages: list[Any] = [None, None, None]
        self.stamp: int | None = None

    # Real time

    def take_newest(self) -> SensorFrame:
        """The newest sample of each sensor; ages count from the arrival, by the steady clock."""
        now = time.monotonic()
        taken = take_newest(self._imu_reader)
        if taken is not None and self._accept(self._set_imu, taken[0]):
            self._imu_arrival, self.stamp = now - taken[1], self._imu.stamp
        taken = take_newest(self._odometry_reader)
        if taken is not None and self._accept(self._set_odometry, taken[0]):
            self._odometry_arrival = now - taken[1]
        for reader, take_in in (
            (self._trajectory_reader, self._set_trajectory),
            (self._pose_reader, self._set_pose),
        ):
            if (taken := take_newest(reader)) is not None:
                self._accept(take_in, taken[0])
        imu, odometry = self._imu, self._odometry
        return SensorFrame(
            None if imu is None else Reading(imu, now - self._imu_arrival),
            None if odometry is None else Reading(odometry, now - self._odometry_arrival),
        )

    # Lockstep

    def take_step(self) -> SensorFrame | None:
        """The frame of the next step, once all its messages have come.

        The simulator sends one message a step on each topic, and nothing is lost, so the n-th
        message of each topic belongs to the n-th step, whose time the setpoint carries. A sensor
        may repeat an older sample. A time that goes back is that of a simulator started again.
        """
        messages = self._step_messages
        readers = (self._imu_reader, self._trajectory_reader, self._odometry_reader)
        for i, reader in enumerate(readers):
            if messages[i] is None and (taken := reader.take()) is not None:
                messages[i] = taken[0]
        if any(message is None for message in messages):
            return None
        imu, trajectory, odometry = messages
        measured, now, seen = (conversions.stamp_from_msg(m.header.stamp) for m in messages)
        if self.stamp is not None and now < self.stamp:  # begun anew: drop what the last run left
            if measured > now or seen > now:
                messages[0] = None if measured > now else imu
                messages[2] = None if seen > now else odometry
                return None
        elif 0 < measured - now <= self._parameters.input_gate.max_stamp_jump * 1e9:
            messages[1] = None  # the simulator went on alone, and a queue ran over
            return None
        messages[:] = [None, None, None]
        self.stamp = now
        self._accept(self._set_imu, imu)
        self._accept(self._set_odometry, odometry)
        self._accept(self._set_trajectory, trajectory)
        return SensorFrame.at(self.stamp, self._imu, self._odometry)

    # Both

    def _accept(self, take_in: Callable[[Any], None], message: Any) -> bool:
        try:
            take_in(message)
        except ValueError as error:
            self._refuse(str(error))
            return False
        return True

    def _set_imu(self, message: Any) -> None:
        self._imu = conversions.imu_from_msg(message, self._parameters.body_frame)

    def _set_odometry(self, message: Any) -> None:
        parameters = self._parameters
        self._odometry = conversions.odometry_from_msg(
            message, parameters.world_frame, parameters.body_frame
        )

    def _set_trajectory(self, message: Any) -> None:
        self.setpoint = conversions.setpoint_from_trajectory(message, self._parameters.world_frame)

    def _set_pose(self, message: Any) -> None:
        self.setpoint = conversions.setpoint_from_pose(message, self._parameters.world_frame)
