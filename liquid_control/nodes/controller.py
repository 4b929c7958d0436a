"""The controller node: messages in, one step of the `ControlLoop` a tick, one command out.

A lifecycle node. configure: parameters, policy with its golden test, warm-up; activate: reset and
begin to step; deactivate: a neutral command (level, hover thrust), then nothing; cleanup: forget
the policy. With the parameter ``autostart`` it configures and activates itself.

In real time one thread sleeps to absolute deadlines and takes the newest samples at its tick; the
executor beside it serves parameters, lifecycle and diagnostics only. In lockstep the thread waits
for the messages of one step of the world and answers its stamp (see `interface`).
"""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Sequence

from rclpy.context import Context
from rclpy.event_handler import PublisherEventCallbacks
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn

from liquid_control import wire
from liquid_control.config import ConfigError
from liquid_control.control.controller import neuron_names
from liquid_control.control.loop import ControlLoop
from liquid_control.control.rate import FixedRate, Tick, sleep_until_steady
from liquid_control.control.steps import LoopStep
from liquid_control.control.supervisor import Mode
from liquid_control.nodes import conversions, interface
from liquid_control.nodes.diagnostics import LoopDiagnostics
from liquid_control.nodes.inbox import Inbox
from liquid_control.nodes.inputs import Inputs
from liquid_control.nodes.parameters import declare_parameters, given, on_parameters
from liquid_control.nodes.process import Finish, Worker, run
from liquid_control.nodes.ros_clock import RosSleeper
from liquid_control.nodes.rows import labelled_row
from liquid_control.parameters import ControllerParameters
from liquid_control.runtime.catalogue import check_topic, make_controller, make_loop, set_parameters
from liquid_control.runtime.trained_for import outside_training
from liquid_control.structs import CommandKind, SensorFrame
from liquid_control.vehicles.catalogue import kind_of, load_vehicle

_MODES = tuple(Mode)
_STEP_NAMES = (
    *(wire.POLICY_US, wire.LATENESS_US, wire.MISSED_TICKS),
    wire.modes_name(tuple(mode.value for mode in _MODES)),
)
_DIAGNOSTICS_PERIOD = 0.5  # s
_WARM_UP = 500_000  # ns before a tick, when the policy is brought back into the caches
_POLL = 0.1  # s, how soon a waiting thread sees that it should stop


class ControllerNode(LifecycleNode):
    """See the module.

    Args:
        finish: told when the node can't go on.
        context: of rclpy.
    """

    def __init__(self, finish: Finish, context: Context | None = None):
        super().__init__(
            "controller", context=context, automatically_declare_parameters_from_overrides=True
        )
        self._finish = finish
        self._vehicle = load_vehicle(given(self, "vehicle", ControllerParameters().vehicle))
        self._kind = kind_of(self._vehicle)
        self._config = declare_parameters(self, self._kind.parameters)
        on_parameters(self, self._kind.parameters, self._set_parameters)
        self._loop: ControlLoop | None = None
        self._outside_training: tuple[str, ...] = ()
        self._worker: Worker | None = None  # while active
        # Who begins to listen is told at once: simulator and recorder wait for it.
        self._diagnostics_publisher = self.create_publisher(
            interface.DIAGNOSTICS.type,
            interface.DIAGNOSTICS.name,
            interface.event_qos(),
            event_callbacks=PublisherEventCallbacks(matched=lambda _: self._publish_diagnostics()),
        )
        self._diagnostics = self._make_diagnostics()
        self.create_timer(_DIAGNOSTICS_PERIOD, self._publish_diagnostics)

    def start(self) -> None:
        """Configure and activate, if ``autostart`` asks for it."""
        if not self._config.autostart:
            return
        for trigger in (self.trigger_configure, self.trigger_activate):
            if trigger() != TransitionCallbackReturn.SUCCESS:
                self._finish.set(2)  # the reason is in the log already
                return

    def stop(self) -> None:
        """End the control thread with a neutral command, before the process ends."""
        self._end_loop()

    # Lifecycle

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load and check the policy; fails, with the reason in the log, if it can't be flown."""
        parameters = self._config
        try:
            policy, metadata = make_controller(parameters.policy, self._vehicle, parameters)
            self._loop = make_loop(policy, self._vehicle, parameters)
            check_topic(self._loop)
        except ConfigError as error:
            self.get_logger().error(str(error))
            return TransitionCallbackReturn.FAILURE
        rate = parameters.control_rate
        self._outside_training = outside_training(metadata, self._vehicle, rate)
        for words in self._outside_training:
            self.get_logger().warning(f"outside the policy's training: {words}")
        self._neuron_names = neuron_names(policy, metadata.neuron_names if metadata else ())
        sending = interface.sending_qos(parameters.lockstep)
        self._command, self._silent, self._neurons, self._step_row = (
            self.create_publisher(topic.type, topic.name, sending)
            for topic in interface.from_controller(self._commanded.name)
        )
        return super().on_configure(state)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Begin to step, from a reset loop."""
        self._loop.reset()
        self._diagnostics = self._make_diagnostics()
        self._inbox = Inbox(self)
        self._inputs = Inputs(
            self._inbox, self._config, self._loop.sensors, self._diagnostics.statistics.refuse
        )
        # What is alive now stays alive: later collections need not look at it, and stay short.
        gc.collect()
        gc.freeze()
        work = self._run_lockstep if self._config.lockstep else self._run_real_time
        self._worker = Worker("control", work, self._finish)
        self._worker.start()
        self._publish_diagnostics()
        pace = "in lockstep" if self._config.lockstep else f"at {self._config.control_rate:g} Hz"
        self.get_logger().info(f"active: {self._config.policy} {pace}")
        return super().on_activate(state)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop, with a neutral command."""
        self._end_loop()
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Forget the policy, so that another can be configured."""
        for publisher in (self._command, self._silent, self._neurons, self._step_row):
            self.destroy_publisher(publisher)
        self._loop = None
        return super().on_cleanup(state)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop, and end the process."""
        self._end_loop()
        self._finish.set()
        return super().on_shutdown(state)

    # The control thread: an error of the loop itself ends the process, so that the stream stops
    # and the autopilot acts.

    def _end_loop(self) -> None:
        if self._worker is None:
            return
        self._worker.stop()
        self._worker = None
        command = self._commanded
        neutral = command.command(*command.neutral)
        self._command.publish(conversions.command_to_msg(neutral, self._inputs.stamp or 0))
        self._publish_diagnostics()
        self._inbox.close()

    def _run_real_time(self) -> None:
        stopped = self._worker.stopped
        period = round(1e9 / self._config.control_rate)
        if self.get_parameter("use_sim_time").value:
            sleeper = RosSleeper(self.get_clock(), stopped)
            rate = FixedRate(period, sleeper.now, sleeper.sleep_until)
        else:
            rate = FixedRate(period, time.monotonic_ns, self._sleep_and_warm_up)
        while True:
            tick = rate.wait()
            if stopped.is_set():
                return
            self._step(self._inputs.take_newest(), tick)

    def _sleep_and_warm_up(self, deadline: int) -> None:
        sleep_until_steady(deadline - _WARM_UP)
        self._loop.policy.warm_up()
        sleep_until_steady(deadline)

    def _run_lockstep(self) -> None:
        period = 1 / self._config.control_rate
        last = None
        stopped = self._worker.stopped
        while not stopped.is_set():
            frame = self._inputs.take_step()
            if frame is None:
                self._inbox.wait(_POLL)
                continue
            stamp = self._inputs.stamp
            if last is not None and stamp < last:
                reason = f"time went back by {(last - stamp) / 1e9:.3f} s"
                self.get_logger().warning(f"{reason}: stepping anew, from a reset loop")
                self._diagnostics.statistics.follow_clock(reason)
                self._loop.reset()
                last = None
            dt = period if last is None else (stamp - last) / 1e9
            if abs(dt - period) < 1e-9:  # stamps are whole ns, the period need not be
                dt = period
            last = stamp
            self._step(frame, Tick(dt, lateness=0.0, missed=0))

    def _step(self, frame: SensorFrame, tick: Tick) -> None:
        start = time.perf_counter()
        inputs = self._inputs
        step = self._loop.step(frame, inputs.setpoint, tick.dt)
        self._publish(step, tick)
        for clock in step.clocks:
            self.get_logger().warning(f"{clock}: followed, from a reset policy")
        step_time = time.perf_counter() - start
        switched = self._diagnostics.statistics.record(
            inputs.stamp or 0, frame, step, tick, step_time
        )
        if switched:
            self._publish_diagnostics()

    def _publish(self, step: LoopStep, tick: Tick) -> None:
        stamp = self._inputs.stamp
        if step.command is not None:
            self._command.publish(conversions.command_to_msg(step.command, stamp))
        elif self._config.lockstep:
            self._silent.publish(conversions.header_to_msg(stamp, step.reason))
        if stamp is None:
            return
        if self._neurons.get_subscription_count():
            neurons = self._loop.policy.neurons
            self._neurons.publish(labelled_row(stamp, self._neuron_names, neurons))
        if self._step_row.get_subscription_count():
            mode = _MODES.index(step.mode)
            row = (step.policy_time * 1e6, tick.lateness * 1e6, tick.missed, mode)
            self._step_row.publish(labelled_row(stamp, _STEP_NAMES, row))

    # Parameters and diagnostics

    @property
    def _commanded(self) -> CommandKind:
        """The kind of command that the policy gives; before there is one, the vehicle's first."""
        return self._kind.command if self._loop is None else self._loop.rules.command

    def _set_parameters(self, parameters: ControllerParameters) -> None:
        self._config = parameters
        if self._loop is not None:
            set_parameters(parameters.policy, self._loop, self._vehicle, parameters)

    def _make_diagnostics(self) -> LoopDiagnostics:
        parameters = self._config
        return LoopDiagnostics(
            wire.StatusName(self.get_fully_qualified_name(), wire.CONTROL_LOOP),
            {
                "policy": parameters.policy,
                "vehicle": parameters.vehicle,
                "command": self._commanded.name,
                "control_rate": parameters.control_rate,
                "outside_training": "; ".join(self._outside_training),
                wire.LOCKSTEP: parameters.lockstep,
            },
        )

    def _publish_diagnostics(self) -> None:
        state = wire.ACTIVE if self._worker is not None else wire.INACTIVE
        self._diagnostics_publisher.publish(
            self._diagnostics.to_msg(state, self._other_commanders())
        )

    def _other_commanders(self) -> str:
        """Who else publishes commands, in words; "" if nobody."""
        topic = self.resolve_topic_name(interface.command_topic(self._commanded.name).name)
        own = self._loop is not None  # the publisher lives as long as the loop
        others = self.count_publishers(topic) - own
        return f"{others} other publisher(s) on {topic}" if others > 0 else ""


def main(args: Sequence[str] | None = None) -> int:
    """The executable: a controller until it is interrupted."""
    return run(ControllerNode, args)


if __name__ == "__main__":
    sys.exit(main())
