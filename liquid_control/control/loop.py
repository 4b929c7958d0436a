"""The way through the house: measurements in, one command out.

    SensorFrame -> input gate -> observation -> policy -> output gate -> supervisor -> Command

The same `ControlLoop.step` runs in the ROS 2 node, in a rollout and in the evaluation.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence, Set
from contextlib import suppress
from typing import Any

import numpy as np

from liquid_control.config import ConfigError
from liquid_control.control.controller import Controller, slot_indices
from liquid_control.control.gate import Estimate, InputGate, Target
from liquid_control.control.observation import Situation, within_reach
from liquid_control.control.rules import Rules
from liquid_control.control.steps import LoopStep, Sensed
from liquid_control.control.strangers import ANYTHING, words
from liquid_control.control.supervisor import Mode, Supervisor
from liquid_control.frames import yaw_from_quat
from liquid_control.parameters import ControllerParameters
from liquid_control.structs import Command, ImageSample, SensorFrame, Setpoint

_NO_READINGS: dict = {}
_UNORDERED = (str, bytes, Mapping, Set)  # numbers in them are no command
_FLOATS = "efd"  # arrays of these become plain floats at once


_REST = (0.0, 0.0, 0.0)


def _place(estimate: Estimate) -> Target:
    """Stay here, at this heading."""
    return Target(estimate.pos_world, _REST, _REST, float(yaw_from_quat(estimate.quat_world_body)))


class ControlLoop:
    """Steps a policy at the control rate, and flies on when it can't.

    Use it to fly from a simulator or a driver of your own: call `step` once a control period with
    the newest samples, and send its command. `runtime.catalogue.make_loop` makes one.

    Args:
        policy: the controller to step; its observation slots are found by name.
        rules: of the vehicle.
        parameters: gates and envelope; replaced, with the rules, by `set_parameters`.
        simulated: whether what flies is a simulated vehicle, whose world tells what no real one
            can know.
    """

    def __init__(
        self,
        policy: Controller,
        rules: Rules,
        parameters: ControllerParameters,
        *,
        simulated: bool = False,
    ):
        self.policy = policy
        names = policy.observation_layout.names
        self._pick = slot_indices(policy.observation_layout, rules.observer.offering(names).layout)
        if policy.command_layout != rules.command.layout:
            raise ConfigError(
                f"the policy commands {policy.command_layout.names}, "
                f"this loop sends {rules.command.layout.names}"
            )
        seen = rules.observer.select(names)
        if seen.simulated and not simulated:
            raise ConfigError(
                f"the policy observes {', '.join(seen.simulated)}, which only a simulated "
                "world can tell: it flies in one without ROS (liquid-control fly --no-ros), never "
                "a vehicle"
            )
        self._sees = getattr(policy, "sees", False)
        images = ("image",) if self._sees else ()
        # what the vehicle flies on, and what the policy reads besides
        self.sensors = tuple(dict.fromkeys((*rules.sensors, *seen.sensors, *images)))
        self._further = tuple(s for s in self.sensors if s not in ("imu", "odometry"))
        self._gate = InputGate(parameters.input_gate, self.sensors)
        self._supervisor = Supervisor(rules, parameters.envelope, self.sensors)
        self.set_parameters(parameters, rules)
        self.reset()

    def set_parameters(self, parameters: ControllerParameters, rules: Rules) -> None:
        """Take new parameters, and the rules made of them; what the loop remembers is kept.

        The rules are of the same vehicle and have the backup of those before.
        """
        self.parameters, self.rules = parameters, rules
        self.observer = rules.observer.offering(self.policy.observation_layout.names)
        self._gate.parameters = parameters.input_gate
        self._supervisor.rules, self._supervisor.envelope = rules, parameters.envelope

    def reset(self) -> None:
        """As before the first step: no measurement, zero state, neutral as the last command."""
        self._gate.reset()
        self._supervisor.reset()
        self._reset_fault = ""  # of the policy
        self._reset_backup()
        self._reset_policy()
        self._previous = self.rules.command.neutral
        self._mode = Mode.SILENT
        self._target: Target | None = None  # the newest setpoint that can be flown to

    def step(self, frame: SensorFrame, setpoint: Setpoint | None, dt: float) -> LoopStep:
        """One control step, ``dt`` measured seconds after the one before.

        A setpoint that can't be flown to is refused and the one before holds; without any, the
        vehicle holds the place where it was first seen.
        """
        if not 0.0 <= dt < math.inf:
            self._mode = Mode.SILENT
            reason = f"step of {dt} s, expected 0 or more"
            return LoopStep(None, Mode.SILENT, reason, (), (), None, math.nan)
        return self.act(self.observe(frame, setpoint, dt))

    def observe(self, frame: SensorFrame, setpoint: Setpoint | None, dt: float) -> Sensed:
        """The first half of a `step`, up to the observation.

        For those who have to see the observation before they can say what the policy does, such as
        a learner; `act` must follow.
        """
        estimate = self._gate.update(frame, dt)
        if self._gate.clocks:
            self._reset_policy()
            self._reset_backup()
            self._target = None
        faults = self._gate.faults + self._take_setpoint(setpoint)
        situation = observation = None
        if estimate is not None:
            if self._target is None:
                self._target = _place(estimate)
            situation = self._situation(estimate, self._target, frame)
            observation = self._observe(situation)
        clocks = self._gate.clocks
        image = self._gate.image
        return Sensed(dt, estimate, situation, observation, faults, clocks, frame.armed, image)

    def act(self, sensed: Sensed) -> LoopStep:
        """The second half of a `step`: policy, supervisor, output gate."""
        dt, estimate, situation, observation, faults, clocks, armed, image = sensed
        mode, reason = self._supervisor.choose(estimate, dt, armed)
        policy_time = math.nan
        wanted = self.rules.command.neutral
        if mode is Mode.POLICY:
            if self._mode is not Mode.POLICY:
                self._reset_policy()
            start = time.perf_counter()
            wanted, fault = self._step_policy(observation, image, dt)
            policy_time = time.perf_counter() - start
            if fault:
                self._supervisor.report_fault(fault)
                mode, reason = Mode.BACKUP, fault
        if mode in (Mode.BACKUP, Mode.HALT):
            if self._mode is not mode:
                self._reset_backup()
            wanted, fault = self._step_backup(mode, situation, dt)
            if fault:
                self._reset_backup()
                mode, reason = Mode.SILENT, f"{fault}; {reason}"
        self._mode = mode
        command = None if mode is Mode.SILENT else self._limit(wanted, dt)
        return LoopStep(command, mode, reason, faults, clocks, observation, policy_time)

    def _take_setpoint(self, setpoint: Setpoint | None) -> tuple[str, ...]:
        """Take a setpoint, or say why not."""
        if setpoint is None:
            return ()
        target = Target.of(setpoint)
        fault = target.fault
        if fault:
            return (f"setpoint: {fault}",)
        self._target = target
        return ()

    def _situation(self, estimate: Estimate, target: Target, frame: SensorFrame) -> Situation:
        return Situation(
            pos_world=estimate.pos_world,
            quat_world_body=estimate.quat_world_body,
            vel_body=estimate.vel_body,
            ang_vel_body=estimate.ang_vel_body,
            specific_force_body=estimate.specific_force_body,
            setpoint_pos_world=within_reach(
                target.pos_world, estimate.pos_world, self.parameters.max_pos_error
            ),
            setpoint_vel_world=target.vel_world,
            setpoint_acc_world=target.acc_world,
            setpoint_yaw=target.yaw,
            previous_command=self._previous,
            readings={
                name: reading
                for name in self._further
                if (reading := frame.reading(name)) is not None
            }
            if self._further
            else _NO_READINGS,
        )

    # What a policy, a slot or a backup of somebody's own does must not end the loop: whatever it
    # raises, the vehicle flies on, or falls silent for its autopilot to act.

    def _observe(self, situation: Situation) -> np.ndarray | None:
        try:
            return self.observer(situation)
        except ANYTHING as error:
            self._supervisor.report_fault(f"no observation: {words(error)}")
            return None

    def _reset_policy(self) -> None:
        self._looked_at: int | None = None  # stamp of the image that the policy saw last, ns
        try:
            self.policy.reset()
            self._reset_fault = ""
        except ANYTHING as error:
            self._reset_fault = f"policy failed to reset: {words(error)}"

    def _reset_backup(self) -> None:
        # one that can't be reset is not fit to fly either, which its step will show
        with suppress(*ANYTHING):
            self.rules.backup.reset()

    def _step_policy(
        self, observation: np.ndarray | None, image: ImageSample | None, dt: float
    ) -> tuple[Sequence[float] | None, str]:
        if self._reset_fault:
            return None, self._reset_fault
        try:
            if self._sees and image.stamp != self._looked_at:
                self.policy.look(image)
                self._looked_at = image.stamp
            return self._checked("policy", self.policy.step(observation.take(self._pick), dt))
        except ANYTHING as error:
            return None, f"policy failed: {words(error)}"

    def _step_backup(
        self, mode: Mode, situation: Situation, dt: float
    ) -> tuple[Sequence[float] | None, str]:
        backup = self.rules.backup
        try:
            wanted = (backup.halt if mode is Mode.HALT else backup.step)(situation, dt)
            return self._checked("the backup", wanted)
        except ANYTHING as error:
            return None, f"the backup failed: {words(error)}"

    def _checked(self, who: str, wanted: Any) -> tuple[Sequence[float] | None, str]:
        """The values as plain floats, or what is wrong with them."""
        if type(wanted) is np.ndarray and wanted.dtype.char in _FLOATS and wanted.ndim == 1:
            wanted = wanted.tolist()
        elif isinstance(wanted, _UNORDERED):
            return None, f"{who} commands a {type(wanted).__name__}, expected an array or a list"
        elif isinstance(wanted, np.ndarray) and wanted.ndim != 1:
            return None, f"{who} commands an array of shape {wanted.shape}, expected one dimension"
        else:
            wanted = [float(value) for value in wanted]
        if len(wanted) != len(self._previous):
            return None, f"{who} commands {wanted}, expected {len(self._previous)} values"
        if not all(map(math.isfinite, wanted)):
            return None, f"{who} commands {wanted}, expected finite values"
        return wanted, ""

    def _limit(self, wanted: Sequence[float], dt: float) -> Command:
        """The command as sent: no faster change than the slew rate, no more than the limits."""
        rules, sent = self.rules, []
        for value, last, slew, low, high in zip(
            wanted, self._previous, rules.slew, rules.low, rules.high, strict=True
        ):
            least, most = last - slew * dt, last + slew * dt
            value = least if value < least else most if value > most else value
            sent.append(low if value < low else high if value > high else value)
        self._previous = tuple(sent)
        return Command(rules.command, self._previous)
