"""The simulator node: owns a `World`, sends what its sensors measure, flies what is commanded.

In lockstep it waits for the answer to each step (see `interface`); in real time it steps at the
world's control rate and takes the newest command there is. It begins once a controller listens,
and ends with the world's duration or a crash, or where none listens within `start_timeout`; the
exit status is 0 only after a flight without a crash.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Sequence

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.event_handler import PublisherEventCallbacks
from rclpy.node import Node

from liquid_control import wire
from liquid_control.control.rate import FixedRate, sleep_until_steady
from liquid_control.importing import import_object
from liquid_control.nodes import conversions, interface
from liquid_control.nodes.diagnostics import is_active_controller, status_to_msg
from liquid_control.nodes.inbox import Inbox, take_newest
from liquid_control.nodes.parameters import declare_parameters
from liquid_control.nodes.process import INTERRUPTED, Finish, Worker, run
from liquid_control.nodes.world_messages import WorldMessages
from liquid_control.parameters import SimulatorParameters
from liquid_control.runtime.catalogue import make_parameters, make_rules
from liquid_control.sim.scenario import load_world
from liquid_control.sim.world import World
from liquid_control.structs import Command, SensorFrame
from liquid_control.vehicles.catalogue import load_vehicle

_POLL = 0.1  # s, how soon a waiting thread sees that it should stop
_REPORT_PERIOD = 5.0  # s between words on what is waited for
_DIAGNOSTICS_PERIOD = 0.5  # s
_PROGRESS_PERIOD = 0.1  # s
_FAREWELL = 20.0  # s, the longest wait for recorders at the end


class SimulatorNode(Node):
    """See the module. Raises `ConfigError` for a world or vehicle that can't be flown."""

    def __init__(self, finish: Finish):
        super().__init__("simulator", automatically_declare_parameters_from_overrides=True)
        self._finish = finish
        self._config = config = declare_parameters(self, SimulatorParameters)
        if config.imports:
            import_object(config.imports)
        scenario = load_world(config.world)
        vehicle = load_vehicle(config.vehicle or scenario.vehicle)
        self._world = World(scenario, vehicle, config.seed)
        rules = make_rules(vehicle, make_parameters(vehicle), command=config.command)
        self._command = rules.command
        self._messages = WorldMessages(self._world, config.lockstep, rules.sensors)
        self._world.step(None)  # warm up: the first step compiles; the flight begins with a reset
        self._duration = config.duration or self._world.duration
        self._heard = threading.Event()
        self._steps = self._unanswered = self._late = 0
        self._given_up = self._over = False
        self._progress_at = 0.0
        sending = interface.sending_qos(config.lockstep)
        self._senders = {
            topic: self.create_publisher(topic.type, topic.name, sending)
            for topic in self._messages.topics
        }
        # Last of the publishers, and who begins to listen is told at once: who hears it has
        # discovered the others.
        self._diagnostics_publisher = self.create_publisher(
            interface.DIAGNOSTICS.type,
            interface.DIAGNOSTICS.name,
            interface.event_qos(),
            event_callbacks=PublisherEventCallbacks(matched=lambda _: self._publish_diagnostics()),
        )
        self.create_timer(_DIAGNOSTICS_PERIOD, self._publish_diagnostics)
        self._inbox = Inbox(self)
        self._command_reader, self._silent_reader = (
            self._inbox.subscribe(topic.type, topic.name, interface.newest_qos())
            for topic in (interface.command_topic(self._command.name), interface.SILENT)
        )
        # After the two above: who is heard here has discovered those, too.
        self.create_subscription(
            interface.DIAGNOSTICS.type,
            interface.DIAGNOSTICS.name,
            self._on_diagnostics,
            interface.event_qos(),
        )
        self._worker = Worker("world", self._work, finish)
        self._stopped = self._worker.stopped

    def start(self) -> None:
        """Begin to fly as soon as somebody listens."""
        self._worker.start()

    def stop(self) -> None:
        """End the flight, and wait until its thread has ended."""
        self._worker.stop()

    # The thread of the world

    def _work(self) -> None:
        if self._wait_for_listeners():
            self._fly()

    def _wait_for_listeners(self) -> bool:
        """Whether all are there that the flight needs."""
        start = time.monotonic()
        report_at = start + _REPORT_PERIOD
        while not self._stopped.is_set():
            counts = {t.name: p.get_subscription_count() for t, p in self._senders.items()}
            all_hear = self._config.subscribers
            needed = {
                t.name: all_hear if t in interface.FROM_SIMULATOR else min(all_hear, 1)
                for t in self._messages.awaited  # recorders don't hear a vehicle's own sensors
            }
            missing = [f"{n} ({counts[n]} of {m})" for n, m in needed.items() if counts[n] < m]
            if not missing and self._heard.is_set():
                return True
            wanted = "an active controller" if not self._heard.is_set() else "subscribers"
            wanted = ", ".join([wanted, *missing])
            now, timeout = time.monotonic(), self._config.start_timeout
            if now > start + timeout:
                self.get_logger().error(f"no flight: waited {timeout:g} s for {wanted}")
                self._finish.set(1)
                return False
            if now > report_at:
                report_at += _REPORT_PERIOD
                self.get_logger().info(f"waiting for {wanted}")
            self._stopped.wait(0.01)
        return False

    def _fly(self) -> None:
        world = self._world
        pace = "in lockstep" if self._config.lockstep else "in real time"
        self.get_logger().info(f"flying {world.name}, seed {world.seed}, {pace}")
        frame = world.reset()
        rate = None
        if not self._config.lockstep:
            period = round(1e9 / world.control_rate)
            rate = FixedRate(period, time.monotonic_ns, sleep_until_steady)
        for _ in range(round(self._duration * world.control_rate)):
            if rate is not None:
                self._late += rate.wait().missed > 0
            if self._stopped.is_set():
                return
            self._publish(frame)
            self._steps += 1
            self._report_progress()
            frame = world.step(self._command_for(frame))
            if world.crashed:
                break
        self._end()

    def _command_for(self, frame: SensorFrame) -> Command | None:
        """What the world flies next; ``None`` where nothing new was commanded."""
        if not self._config.lockstep:
            taken = take_newest(self._command_reader)
            return None if taken is None else self._command_from(taken[0])
        if not self._messages.offers(frame, self._is_heard):
            return None
        return self._answer(self._world.time_ns)

    def _answer(self, stamp: int) -> Command | None:
        """The command for the step of ``stamp``; ``None`` if the controller keeps silent."""
        deadline = time.monotonic() + (0 if self._given_up else self._config.answer_timeout)
        while not self._stopped.is_set():
            if (taken := take_newest(self._command_reader)) is not None:
                if conversions.stamp_from_msg(taken[0].header.stamp) == stamp:
                    self._given_up = False
                    return self._command_from(taken[0])
            elif (taken := take_newest(self._silent_reader)) is not None:
                if conversions.stamp_from_msg(taken[0].stamp) == stamp:
                    self._given_up = False
                    return None
            elif (left := deadline - time.monotonic()) > 0:
                self._inbox.wait(min(left, _POLL))
            else:
                break
        self._unanswered += 1
        if not self._given_up:
            self._given_up = True
            self.get_logger().error(
                f"no answer to step {stamp * 1e-9:.3f} s within {self._config.answer_timeout:g} s "
                "of wall time: the world flies on without the controller"
            )
        return None

    def _command_from(self, message) -> Command | None:
        try:
            return conversions.command_from_msg(message, self._command)
        except ValueError as error:
            self.get_logger().error(f"refused: {error}", throttle_duration_sec=1.0)
            return None

    # Messages

    def _publish(self, frame: SensorFrame) -> None:
        for topic, message in self._messages.of(frame, self._is_heard).items():
            self._senders[topic].publish(message)

    def _is_heard(self, topic: interface.Topic) -> bool:
        return self._senders[topic].get_subscription_count() > 0

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        if is_active_controller(message, self.get_namespace()):
            self._heard.set()

    def _publish_diagnostics(self) -> None:
        world, config = self._world, self._config
        state = wire.FLYING if self._worker.is_alive() else wire.WAITING
        state = wire.OVER if self._over else state
        level = DiagnosticStatus.ERROR if world.crashed else DiagnosticStatus.OK
        values = {
            wire.STATE: state,
            "world": world.name,
            "vehicle": world.vehicle.name,
            "command": self._command.name,
            "seed": world.seed,
            wire.LOCKSTEP: config.lockstep,
            "steps": self._steps,
            "crashed": world.crashed,
            "crash_reason": world.crash_reason,
            "unanswered_steps": self._unanswered,
            "late_ticks": self._late,
        }
        name = wire.StatusName(self.get_fully_qualified_name(), wire.FLIGHT)
        message = f"crashed: {world.crash_reason}" if world.crashed else state
        self._diagnostics_publisher.publish(
            status_to_msg(world.time_ns, name, level, message, values)
        )

    def _report_progress(self, force: bool = False) -> None:
        now = time.monotonic()
        if not self._config.progress or (now < self._progress_at and not force):
            return
        self._progress_at = now + _PROGRESS_PERIOD
        world = self._world
        error = np.linalg.norm(world.setpoint().pos_world - world.state.pos_world)
        line = {
            "time": world.time_ns * 1e-9,
            "duration": self._duration,
            "error": float(error),
            "crashed": world.crashed,
        }
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()

    def _wait_for_recorders(self) -> None:
        """Recorders leave once they have heard the end; what was sent last must reach them.

        `Publisher.wait_for_all_acked` would wait for a heartbeat, which comes every 3 s.
        """
        give_up = time.monotonic() + _FAREWELL
        wind = self._senders[interface.WIND]
        while self._config.subscribers > 1 and wind.get_subscription_count():
            if self._stopped.wait(0.01) or time.monotonic() > give_up:
                return

    def _end(self) -> None:
        world = self._world
        self._over = True
        self._report_progress(force=True)
        self._publish_diagnostics()
        self._wait_for_recorders()
        time_s = world.time_ns * 1e-9
        if world.crashed:
            self.get_logger().error(f"crashed after {time_s:.2f} s: {world.crash_reason}")
        else:
            self.get_logger().info(f"flew {time_s:.2f} s")
        self._finish.set(1 if world.crashed else 0)


def main(args: Sequence[str] | None = None) -> int:
    """The executable: one flight."""
    return run(SimulatorNode, args, interrupted=INTERRUPTED)


if __name__ == "__main__":
    sys.exit(main())
