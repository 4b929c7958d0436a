"""What a simulated world says of itself, step by step, as messages by topic."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from std_msgs.msg import Bool

from liquid_control.frames import rotate_inverse
from liquid_control.nodes import conversions, interface
from liquid_control.nodes.interface import Topic
from liquid_control.nodes.sensors import sensor_topic
from liquid_control.sim.world import World
from liquid_control.structs import OdometrySample, Sample, SensorFrame


class WorldMessages:
    """The messages of a world, of its sensors and of its truth.

    Attributes:
        topics: all that is ever sent.
        awaited: what a controller of the vehicle listens to.
    """

    def __init__(self, world: World, lockstep: bool, flown_on: tuple[str, ...]):
        """``flown_on``: names of the sensors that the vehicle flies on, told its command."""
        self._world, self._lockstep, self._flown_on = world, lockstep, flown_on
        scenario = world.scenario
        camera = ("image",) if scenario.camera is not None else ()
        names = dict.fromkeys(("imu", "odometry", *camera, *self._flown_on, *scenario.sensors))
        self._sensors = {name: sensor_topic(name) for name in names}
        self._sent: dict[str, Sample] = {}  # the newest of each sensor
        own = (sensor.topic for sensor in self._sensors.values())
        arming = (interface.ARMED,) if scenario.start.armed_at > 0 else ()
        info = (interface.CAMERA_INFO,) if scenario.camera is not None else ()
        every = (*interface.FROM_SIMULATOR, *own, *info, *arming)
        self.topics: tuple[Topic, ...] = tuple(dict.fromkeys(every))
        flown_on = (self._sensors[name].topic for name in self._flown_on)
        self.awaited: tuple[Topic, ...] = (*flown_on, interface.SETPOINT_TRAJECTORY, *arming)

    def offers(self, frame: SensorFrame, is_heard: Callable[[Topic], bool]) -> bool:
        """Whether the controller can step on this frame: in lockstep it waits for every sensor
        that the vehicle flies on, and for every further one that it hears."""
        if not self._lockstep:
            return True
        further = [n for n in self._sensors if n not in ("imu", "odometry", *self._flown_on)]
        heard = (name for name in further if is_heard(self._sensors[name].topic))
        return all(map(frame.reading, (*self._flown_on, *heard)))

    def of(self, frame: SensorFrame, is_heard: Callable[[Topic], bool]) -> dict[Topic, Any]:
        """What to send at this step, by topic; samples only where somebody hears them."""
        world = self._world
        stamp, state = world.time_ns, world.state
        truth = OdometrySample(
            stamp,
            state.pos_world,
            state.quat_world_body,
            rotate_inverse(state.quat_world_body, state.vel_world),
            state.ang_vel_body,
        )
        plant = world.plant
        messages = {
            interface.CLOCK: conversions.clock_to_msg(stamp),
            interface.GROUND_TRUTH: conversions.odometry_to_msg(truth),
            interface.WIND: conversions.wind_to_msg(world.wind_world, stamp),
            interface.ACTUATORS: conversions.actuators_to_msg(
                plant.actuator_names, plant.actuators, stamp
            ),
        }
        if self.offers(frame, is_heard):
            setpoint = conversions.setpoint_to_msg(world.setpoint(), stamp)
            messages[interface.SETPOINT_TRAJECTORY] = setpoint
            if interface.ARMED in self.topics:
                messages[interface.ARMED] = Bool(data=frame.armed)
            messages |= self._new_samples(frame, is_heard)
        return messages

    def _new_samples(
        self, frame: SensorFrame, is_heard: Callable[[Topic], bool]
    ) -> dict[Topic, Any]:
        """In lockstep older samples are repeated, so that each step has one of each sensor."""
        messages = {}
        for name, sensor in self._sensors.items():
            reading = frame.reading(name)
            if reading is None or not is_heard(sensor.topic):
                continue
            if self._lockstep or reading.sample is not self._sent.get(name):
                messages[sensor.topic] = sensor.to_msg(reading.sample)
                if name == "image" and reading.sample is not self._sent.get(name):
                    info = conversions.camera_info_to_msg(reading.sample)
                    messages[interface.CAMERA_INFO] = info
                self._sent[name] = reading.sample
        return messages
