"""The way through the house: measurements in, one command out.

    SensorFrame -> input gate -> observation -> policy -> output gate -> supervisor -> Command

The same `ControlLoop.step` runs in the ROS 2 node, in a rollout and in the evaluation.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from liquid_control.config import ConfigError
from liquid_control.control.gate import Estimate, InputGate, setpoint_fault
from liquid_control.control.observation import (
    OBSERVATION_LAYOUT,
    Situation,
    observe,
    within_reach,
)
from liquid_control.control.supervisor import Mode, Supervisor
from liquid_control.frames import yaw_from_quat
from liquid_control.parameters import ControllerParameters
from liquid_control.structs import COMMAND_LAYOUT, GRAVITY, Command, Layout, SensorFrame, Setpoint
from liquid_control.vehicles.quadrotor.config import VehicleConfig
from liquid_control.vehicles.quadrotor.geometric import GeometricController

_POS, _VEL, _ACC, _UP = (
    OBSERVATION_LAYOUT[name] for name in ("pos_error", "vel_error", "acc_setpoint", "up")
)
_COS_TILT = _UP.start + 2
_HOVER = (GRAVITY, 0.0, 0.0, 0.0)


class Controller(Protocol):
    """What flies: `runtime.policy.OnnxPolicy`, or any controller with named observation slots."""

    observation_layout: Layout
    command_layout: Layout

    def reset(self) -> None:
        """Forget all state."""

    def warm_up(self) -> None:
        """Called shortly before a step is due; changes nothing."""

    def step(self, observation: np.ndarray, dt: float) -> np.ndarray:
        """Command (`command_layout`) for an observation (`observation_layout`), SI units."""

    @property
    def neurons(self) -> np.ndarray:
        """Activity of each neuron, for display; an array that no later step changes."""


def _indices(layout: Layout) -> np.ndarray:
    """Where each component of a policy's observation stands in the whole observation."""
    components = OBSERVATION_LAYOUT.component_names
    known = {slot.name: slot for slot in OBSERVATION_LAYOUT.slots}
    for slot in layout.slots:
        if known.get(slot.name) != slot:
            raise ConfigError(
                f"the policy wants the observation {slot}, this loop offers {list(known.values())}"
            )
    return np.array([components.index(name) for name in layout.component_names])


def _all_finite(command: np.ndarray) -> bool:
    return all(map(math.isfinite, command.tolist()))


def _place(estimate: Estimate) -> Setpoint:
    """Stay here, at this heading."""
    yaw = yaw_from_quat(estimate.quat_world_body)
    return Setpoint(np.array(estimate.pos_world), yaw=float(yaw))


@dataclass(frozen=True, slots=True)
class LoopStep:
    """What one step of the loop did."""

    command: Command | None  # as sent; None: send nothing
    mode: Mode
    reason: str  # why the mode is not POLICY; "" if it is
    faults: tuple[str, ...]  # measurements and setpoints that were refused
    clocks: tuple[str, ...]  # sensors whose clock was found to have moved, and is followed
    observation: np.ndarray | None  # (25,) OBSERVATION_LAYOUT
    policy_time: float  # s that the policy took; NaN where it did not run


class ControlLoop:
    """Steps a policy at the control rate, and flies on when it can't.

    Args:
        policy: the controller to step; its observation slots are found by name.
        vehicle: limits of the commands.
        parameters: gates, envelope and gains; replaced as a whole by `set_parameters`.
    """

    def __init__(
        self, policy: Controller, vehicle: VehicleConfig, parameters: ControllerParameters
    ):
        self.policy = policy
        self._pick = _indices(policy.observation_layout)
        if policy.command_layout != COMMAND_LAYOUT:
            raise ConfigError(
                f"the policy commands {policy.command_layout.names}, "
                f"this loop sends {COMMAND_LAYOUT.names}"
            )
        max_rate = vehicle.autopilot.max_rate
        self._low = (0.0, *(-rate for rate in max_rate))
        self._high = (vehicle.max_thrust, *max_rate)
        self._gate = InputGate(parameters.input_gate)
        self._supervisor = Supervisor(parameters)
        self._backup = GeometricController(parameters.backup)
        self.set_parameters(parameters)
        self.reset()

    def set_parameters(self, parameters: ControllerParameters) -> None:
        """Take new parameters; the states of policy, gate and supervisor are kept."""
        self.parameters = parameters
        slew = parameters.output_gate
        self._slew = (slew.max_thrust_slew, *[slew.max_rate_slew] * 3)
        self._gate.parameters = parameters.input_gate
        self._supervisor.parameters = parameters
        self._backup.gains = parameters.backup

    def reset(self) -> None:
        """As before the first step: no measurement, zero state, hover as the last command."""
        self._gate.reset()
        self._supervisor.reset()
        self._backup.reset()
        self.policy.reset()
        self._previous = _HOVER
        self._mode = Mode.SILENT
        self._setpoint: Setpoint | None = None  # the newest that can be flown to

    def step(self, frame: SensorFrame, setpoint: Setpoint | None, dt: float) -> LoopStep:
        """One control step, ``dt`` measured seconds after the one before.

        A setpoint that can't be flown to is refused and the one before holds; without any, the
        vehicle holds the place where it was first seen.
        """
        if not 0.0 <= dt < math.inf:
            self._mode = Mode.SILENT
            reason = f"step of {dt} s, expected 0 or more"
            return LoopStep(None, Mode.SILENT, reason, (), (), None, math.nan)
        estimate = self._gate.update(frame, dt)
        if self._gate.clocks:
            self.policy.reset()
            self._backup.reset()
            self._setpoint = None
        faults = self._gate.faults + self._take_setpoint(setpoint)
        observation = None
        cos_tilt = 1.0
        if estimate is not None:
            if self._setpoint is None:
                self._setpoint = _place(estimate)
            observation = self._observe(estimate, self._setpoint)
            cos_tilt = float(observation[_COS_TILT])
        mode, reason = self._supervisor.choose(estimate, cos_tilt, dt)
        policy_time = math.nan
        wanted = None
        if mode is Mode.POLICY:
            if self._mode is not Mode.POLICY:
                self.policy.reset()
            start = time.perf_counter()
            wanted, fault = self._step_policy(observation, dt)
            policy_time = time.perf_counter() - start
            if fault:
                self._supervisor.report_fault(fault)
                mode, reason = Mode.BACKUP, fault
        if mode in (Mode.BACKUP, Mode.DESCEND):
            if self._mode is not mode:
                self._backup.reset()
            wanted = self._step_backup(observation, estimate, mode, dt)
            if not _all_finite(wanted):
                self._backup.reset()
                reason = f"the backup commands {wanted}, expected finite values; {reason}"
                mode = Mode.SILENT
        self._mode = mode
        command = None if mode is Mode.SILENT else self._limit(wanted, dt)
        return LoopStep(command, mode, reason, faults, self._gate.clocks, observation, policy_time)

    def _take_setpoint(self, setpoint: Setpoint | None) -> tuple[str, ...]:
        """Take a setpoint, or say why not."""
        if setpoint is None or setpoint is self._setpoint:
            return ()
        fault = setpoint_fault(setpoint)
        if fault:
            return (f"setpoint: {fault}",)
        self._setpoint = setpoint
        return ()

    def _observe(self, estimate: Estimate, setpoint: Setpoint) -> np.ndarray:
        situation = Situation(
            pos_world=estimate.pos_world,
            quat_world_body=estimate.quat_world_body,
            vel_body=estimate.vel_body,
            ang_vel_body=estimate.ang_vel_body,
            specific_force_body=estimate.specific_force_body,
            setpoint_pos_world=within_reach(
                setpoint.pos_world.tolist(), estimate.pos_world, self.parameters.max_pos_error
            ),
            setpoint_vel_world=setpoint.vel_world.tolist(),
            setpoint_acc_world=setpoint.acc_world.tolist(),
            setpoint_yaw=float(setpoint.yaw),
            previous_command=self._previous,
        )
        return observe(situation)

    def _step_policy(self, observation: np.ndarray, dt: float) -> tuple[np.ndarray | None, str]:
        try:
            wanted = self.policy.step(observation[self._pick], dt)
        except Exception as error:  # whatever a policy raises, the vehicle must fly on
            return None, f"policy failed: {error}"
        if not _all_finite(wanted):
            return None, f"policy commands {wanted}, expected finite values"
        return wanted, ""

    def _step_backup(
        self, observation: np.ndarray, estimate: Estimate, mode: Mode, dt: float
    ) -> np.ndarray:
        if mode is Mode.DESCEND:
            observation = observation.copy()
            observation[_POS] = 0.0
            observation[_ACC] = 0.0
            speed = self.parameters.backup.descend_speed
            observation[_VEL] = [
                -(speed * up) - v
                for up, v in zip(observation[_UP].tolist(), estimate.vel_body, strict=True)
            ]
        return self._backup.step(observation, dt)

    def _limit(self, wanted: np.ndarray, dt: float) -> Command:
        """The command as sent: no faster change than the slew rate, no more than the limits."""
        sent = []
        for value, last, slew, low, high in zip(
            wanted.tolist(), self._previous, self._slew, self._low, self._high, strict=True
        ):
            least, most = last - slew * dt, last + slew * dt
            value = least if value < least else most if value > most else value
            sent.append(low if value < low else high if value > high else value)
        self._previous = sent
        thrust, *ang_vel = sent
        return Command(thrust, np.array(ang_vel))
