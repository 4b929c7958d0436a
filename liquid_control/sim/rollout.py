"""Fly a controller in a world, without ROS: the same `ControlLoop.step` as in the node."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from liquid_control.control.loop import ControlLoop, LoopStep
from liquid_control.sim.world import World
from liquid_control.structs import FlightLog, SensorFrame


def fly(
    world: World,
    loop: ControlLoop,
    *,
    policy_name: str,
    neuron_names: tuple[str, ...] = (),
    duration: float | None = None,
    real_time: bool = False,
    on_step: Callable[[World, LoopStep], None] | None = None,
) -> FlightLog:
    """One flight from a reset world and loop until ``duration`` (s) or a crash.

    Args:
        duration: simulated seconds; the world's own duration if ``None``.
        real_time: pace the steps by a steady clock and count those that begin late.
        on_step: called after each step, for progress.
    """
    period = 1.0 / world.control_rate
    steps = round((world.duration if duration is None else duration) * world.control_rate)
    frame = world.reset()
    loop.reset()
    rows: list[tuple] = []
    late = 0
    start = time.perf_counter()
    for k in range(steps):
        if real_time:
            late += _wait_until(start + k * period, period)
        done, frame = _step(world, loop, frame, period)
        rows.append(done[1:])
        if on_step is not None:
            on_step(world, done[0])
        if world.crashed:
            break
    columns = [np.array(column) for column in zip(*rows, strict=True)]
    return FlightLog(
        *columns,
        neuron_names=neuron_names,
        world=world.name,
        policy=policy_name,
        vehicle=world.vehicle.name,
        seed=world.seed,
        control_rate=world.control_rate,
        crashed=world.crashed,
        crash_reason=world.crash_reason,
        late_ticks=late,
    )


def _wait_until(deadline: float, period: float) -> bool:
    """Sleep until the deadline; True if it passed more than one period ago."""
    left = deadline - time.perf_counter()
    if left > 0:
        time.sleep(left)
    return left < -period


def _step(
    world: World, loop: ControlLoop, frame: SensorFrame, period: float
) -> tuple[tuple, SensorFrame]:
    """The loop's step on ``frame``, its row of the log, and the world's next frame."""
    state, setpoint = world.state, world.setpoint()
    step = loop.step(frame, setpoint, period)
    command = step.command
    row = (
        step,
        world.time_ns * 1e-9,
        state.pos_world,
        state.quat_world_body,
        state.vel_world,
        state.ang_vel_body,
        setpoint.pos_world,
        world.wind_world,
        state.rotor_speed,
        np.full(4, np.nan) if command is None else [command.thrust, *command.ang_vel_body],
        step.mode.value,
        np.array(loop.policy.neurons),
        step.policy_time * 1e6,
    )
    return row, world.step(command)
