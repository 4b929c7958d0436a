"""Fly a controller in a world, without ROS: the same `ControlLoop.step` as in the node."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import numpy as np

from liquid_control.config import ConfigError
from liquid_control.control.loop import ControlLoop
from liquid_control.control.steps import LoopStep, fault_of
from liquid_control.flight_log import FlightLog, Images, ImuColumns, States, reduced
from liquid_control.sim.world import World
from liquid_control.structs import ImageSample, SensorFrame, Setpoint

_NO_ODOMETRY = (np.full(13, np.nan),)
_NO_IMU = (np.full(6, np.nan),)


def rollout(
    world: World,
    loop: ControlLoop,
    *,
    policy_name: str,
    neuron_names: tuple[str, ...] = (),
    duration: float | None = None,
    real_time: bool = False,
    ticks: Iterator[int] | None = None,
    images: bool = False,
    on_step: Callable[[World, LoopStep], None] | None = None,
) -> FlightLog:
    """One flight from a reset world and loop until ``duration`` (s) or a crash.

    The log has a row for each control period of the world.

    Args:
        duration: simulated seconds; the world's own duration if ``None``.
        real_time: pace the steps by a steady clock and count those that begin late.
        ticks: control periods from one step of the loop to the next, for a controller of uneven
            rate; it is told the true dt, and the vehicle holds the last command meanwhile.
            Default: every period.
        images: keep what the camera saw, for the views of a flight.
        on_step: called after each step, for progress.
    """
    period = 1.0 / world.control_rate
    duration = world.duration if duration is None else duration
    steps = round(duration * world.control_rate)
    if steps < 1:
        raise ConfigError(f"a flight of {duration:g} s: expected at least a control period")
    frame = world.reset()
    loop.reset()
    recorder = FlightRecorder(world, loop, images=images)
    late, last, due, step = 0, -1, 0, None
    start = time.perf_counter()
    for k in range(steps):
        if real_time:
            late += _wait_until(start + k * period, period)
        setpoint = world.setpoint()
        sent = None
        if k == due:
            step = loop.step(frame, setpoint, (k - last) * period)
            sent, last = step.command, k
            due += 1 if ticks is None else next(ticks)
        recorder.add(frame, setpoint, step, stepped=k == last)
        frame = world.step(sent)
        if on_step is not None:
            on_step(world, step)
        if world.crashed:
            break
    return recorder.log(policy_name, neuron_names, late_ticks=late)


class FlightRecorder:
    """The rows of a flight while it goes on, and the log of them.

    Use it where a world and its loop are stepped by hand; `rollout` does so already.

    Args:
        images: keep what the camera saw.
    """

    def __init__(self, world: World, loop: ControlLoop, *, images: bool = False):
        self._world, self._loop = world, loop
        self._rows: list[tuple] = []
        self._measured: list[np.ndarray] = []  # what the loop had at each row
        self._pictures: list[ImageSample] | None = [] if images else None
        self._fault = ""

    def __len__(self) -> int:
        return len(self._rows)

    def add(
        self, frame: SensorFrame, setpoint: Setpoint, step: LoopStep, *, stepped: bool = True
    ) -> None:
        """A row, before the world moves on.

        Args:
            stepped: whether the loop was stepped in this period, on ``frame``; else ``step`` is
                that of a period before.
        """
        if stepped:
            self._fault = self._fault or fault_of(step)
            self._newest, self._step = _measured(frame), step
        self._rows.append(_row(self._world, setpoint, step, self._loop, stepped))
        self._measured.extend(self._newest)
        if self._pictures is not None and frame.image is not None:
            self._keep(frame.image.sample)

    def _keep(self, newest: ImageSample) -> None:
        if not self._pictures or newest.stamp > self._pictures[-1].stamp:
            self._pictures.append(reduced(newest))

    def log(
        self, policy_name: str, neuron_names: tuple[str, ...] = (), *, late_ticks: int = 0
    ) -> FlightLog:
        """The flight so far, at least one row."""
        world, fault = self._world, self._fault
        if not fault and self._step.observation is None:  # nobody ever flew
            fault = "; ".join((self._step.reason, *self._step.faults))
        time_s, *motion, setpoints, wind, actuators, commands, modes, neurons, step_us = (
            np.array(column) for column in zip(*self._rows, strict=True)
        )
        odometry, ang_vel, force = np.split(
            np.concatenate(self._measured).reshape(len(self._rows), -1), (13, 16), axis=1
        )
        return FlightLog(
            time=time_s,
            truth=States(*motion),
            estimate=States.from_odometry(odometry),
            imu=ImuColumns(ang_vel, force),
            setpoint_pos_world=setpoints,
            wind_world=wind,
            command=commands,
            kind=self._loop.rules.command,
            actuators=actuators,
            actuator_names=tuple(world.plant.actuator_names),
            mode=modes,
            neurons=neurons,
            neuron_names=neuron_names,
            step_us=step_us,
            world=world.name,
            policy=policy_name,
            vehicle=world.vehicle.name,
            seed=world.seed,
            control_rate=world.control_rate,
            crashed=world.crashed,
            crash_reason=world.crash_reason,
            late_ticks=late_ticks,
            fault=fault,
            images=Images.of(self._pictures or ()),
        )


def _measured(frame: SensorFrame) -> tuple[np.ndarray, ...]:
    """The newest odometry, 13 values, and IMU, 6; NaN where none has come.

    Arrays alone, as objects that are kept for a whole flight are work for the garbage collector.
    """
    odometry, imu = _NO_ODOMETRY, _NO_IMU
    if frame.odometry is not None:
        s = frame.odometry.sample
        odometry = (s.pos_world, s.quat_world_body, s.vel_body, s.ang_vel_body)
    if frame.imu is not None:
        imu = (frame.imu.sample.ang_vel_body, frame.imu.sample.specific_force_body)
    return odometry + imu


def _wait_until(deadline: float, period: float) -> bool:
    """Sleep until the deadline; True if it passed more than one period ago."""
    left = deadline - time.perf_counter()
    if left > 0:
        time.sleep(left)
    return left < -period


def _row(
    world: World, setpoint: Setpoint, step: LoopStep, loop: ControlLoop, stepped: bool
) -> tuple:
    """One row of the log, before the world moves on."""
    pos, quat, vel, ang_vel = world.truth
    command = step.command
    return (
        world.time_ns * 1e-9,
        pos,
        quat,
        vel,
        ang_vel,
        setpoint.pos_world,
        world.plant.wind,
        world.plant.actuators,
        (np.nan,) * loop.rules.command.layout.size if command is None else command.values,
        step.mode.value,
        loop.policy.neurons,
        step.policy_time * 1e6 if stepped else np.nan,
    )
