"""One control step of the environments that a policy learns in, on both sides of the policy.

    flight -> `observe` -> a policy -> command -> `fly` -> flight and cost

Array-neutral: torch tensors ``(n, B)``, or arrays of `lanes.symbols`, so that what is compiled is
the same text. Use `fly` where the command is known, whatever gave it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from liquid_control.control.observation import Observer
from liquid_control.frames import Array, stack
from liquid_control.parameters import ControllerParameters
from liquid_control.sim.batched import fly_period, measure
from liquid_control.structs import TRUTH
from liquid_control.training.conditions import (
    Conditions,
    StepInputs,
    autopilot_of,
    lateness,
    vehicle_of,
)
from liquid_control.training.config import LossConfig
from liquid_control.vehicles.quadrotor.dynamics import QuadrotorState
from liquid_control.vehicles.quadrotor.params import QuadrotorParams, RateLoopParams
from liquid_control.vehicles.quadrotor.physics import clip, maximum

MAX_SPIN = 35.0  # rad/s, about what a gyro of 2000 °/s measures
MAX_POS_ERROR = ControllerParameters().max_pos_error  # m, as in the flying loop


class Task(NamedTuple):
    """What is the same for every environment and every step of a run."""

    observer: Observer
    nominal: QuadrotorParams  # the vehicle whose parameters are varied
    rate_loop: RateLoopParams  # what its autopilot knows
    physics_steps: int  # of a control step
    loss: LossConfig | Any  # weights by name: numbers, or tensors without axes
    command_offset: Array  # (C, 1) SI units; (C) for a trace
    command_scale: Array  # (C, 1)


def observe(
    task: Task,
    vehicle: QuadrotorState,
    specific_force: Array,
    previous_command: Array,
    now: StepInputs,
    conditions: Conditions,
) -> Array:
    """What the policy sees (N, B) in SI units, of noisy measurements."""
    situation = measure(
        vehicle,
        specific_force,
        now.errors(conditions),
        now.reference(conditions),
        previous_command,
        MAX_POS_ERROR,
        now.wind if TRUTH in task.observer.sensors else None,  # an oracle's
    )
    return task.observer(situation)


def fly(
    task: Task, vehicle: QuadrotorState, commands: Array, now: StepInputs, conditions: Conditions
) -> tuple[QuadrotorState, Array, Array, Array]:
    """The vehicle after the step, its specific force (3, B), cost (B), and squared error (B) in m².

    ``commands`` (K, 4, B), the newest first, which is that of this step.
    """
    vehicle, _, force = fly_period(
        vehicle,
        commands,
        now.wind,
        vehicle_of(conditions, task.nominal),
        autopilot_of(conditions, task.rate_loop),
        now.dt,
        task.physics_steps,
        conditions.delay,
        conditions.push,
    )
    # Faster, the steps of a slow control rate would not follow a tumble, and one environment that
    # is lost would spoil the gradient of all.
    spin = (clip(rate, -MAX_SPIN, MAX_SPIN) for rate in vehicle.ang_vel_body)
    vehicle = vehicle._replace(ang_vel_body=stack(vehicle.ang_vel_body, *spin))
    miss = vehicle.pos_world - now.next_pos
    pos_error = (miss * miss).sum(0)
    return vehicle, force, _cost(task, vehicle, commands, pos_error, now, conditions), pos_error


def _cost(
    task: Task,
    vehicle: QuadrotorState,
    commands: Array,
    pos_error: Array,
    now: StepInputs,
    conditions: Conditions,
) -> Array:
    """Cost (B) at the end of a control step; ``pos_error`` (B) in m² is squared."""
    lag, spin = vehicle.vel_world - now.next_vel, vehicle.ang_vel_body
    x, y, z, w = vehicle.quat_world_body
    up = 1 - 2 * (x * x + y * y)
    forward_x, forward_y = 1 - 2 * (y * y + z * z), 2 * (x * y + z * w)
    newest, before = ((commands[k] - task.command_offset) / task.command_scale for k in (0, 1))
    change, rates, loss, yaw = newest - before, newest[1:], task.loss, conditions.yaw
    late = loss.lateness * lateness(conditions, task.nominal, task.rate_loop)
    cost = (
        loss.position * (pos_error + loss.position_smoothing**2).sqrt()
        + loss.velocity * ((lag * lag).sum(0) + 0.01).sqrt()
        + loss.yaw * (1 - forward_x * yaw.cos() - forward_y * yaw.sin())
        + loss.ang_vel * (spin * spin).sum(0)
        + loss.command_change * (change * change).sum(0)
        + loss.command_rate * (rates * rates).sum(0)
        + loss.inverted * maximum(-up, 0.0)
    )
    return cost / (1 + late * late)
