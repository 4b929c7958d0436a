"""One control period of a batch of quadrotors: what trainer, Gymnasium environments and bench fly.

    true motion -> `measure` -> Situation -> Observer -> a policy -> command -> `fly_period`

Array-neutral and pure: NumPy, or torch with gradients through all of it; torch itself is never
imported. Arrays are component-first, ``(n, *batch)``. The physics and the rate loop are those of
the PyBullet world; there is no ground but its lift, and nothing to touch. Use it to learn, or to
sweep over many vehicles; use `sim.world.World` to judge what was learned.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from liquid_control.control.observation import Situation, within_reach
from liquid_control.frames import (
    Array,
    is_tensor,
    namespace,
    quat_from_rotation_vector,
    quat_multiply,
    rotate_inverse,
)
from liquid_control.structs import TRUTH, Reading, TruthSample
from liquid_control.vehicles.quadrotor import dynamics
from liquid_control.vehicles.quadrotor.autopilot import rotor_speed_command
from liquid_control.vehicles.quadrotor.dynamics import QuadrotorState
from liquid_control.vehicles.quadrotor.params import QuadrotorParams, RateLoopParams


class SensorErrors(NamedTuple):
    """What the sensors add to the truth in one control step."""

    pos: Array  # (3, *batch) m
    vel: Array  # (3, *batch) m/s, body frame
    attitude: Array | None  # (3, *batch) rad, rotation vector in the body frame; None for none
    gyro: Array  # (3, *batch) rad/s
    accelerometer: Array  # (3, *batch) m/s²
    gyro_bias: Array  # (3, *batch) rad/s
    accelerometer_bias: Array  # (3, *batch) m/s²


class Reference(NamedTuple):
    """The setpoints of one control step."""

    pos: Array  # (3, *batch) m
    vel: Array  # (3, *batch) m/s
    acc: Array  # (3, *batch) m/s²
    yaw: Array  # (*batch) rad


def measure(
    vehicle: QuadrotorState,
    specific_force: Array,
    errors: SensorErrors,
    reference: Reference,
    previous_command: Array,
    max_pos_error: float,
    wind_world: Array | None = None,
) -> Situation:
    """What the vehicle knows, as the input gate of the flying loop would have it.

    ``specific_force`` ``(3, *batch)`` in m/s² is the true one of the newest physics step, where the
    IMU is; ``previous_command`` ``(4, *batch)`` was sent last; a setpoint further away than
    ``max_pos_error`` m is brought that close. With ``wind_world`` ``(3, *batch)`` in m/s, that of
    now, it is also told the truth, which the flying loop takes from `sim.sensors.truth`.
    """
    quat = vehicle.quat_world_body
    if errors.attitude is not None:
        quat = quat_multiply(quat, quat_from_rotation_vector(errors.attitude))
    measured = vehicle.pos_world + errors.pos
    readings = {} if wind_world is None else _truth(vehicle, specific_force, wind_world)
    return Situation(
        pos_world=measured,
        quat_world_body=quat,
        vel_body=rotate_inverse(vehicle.quat_world_body, vehicle.vel_world) + errors.vel,
        ang_vel_body=vehicle.ang_vel_body + errors.gyro + errors.gyro_bias,
        specific_force_body=specific_force + errors.accelerometer + errors.accelerometer_bias,
        setpoint_pos_world=within_reach(reference.pos, measured, max_pos_error),
        setpoint_vel_world=reference.vel,
        setpoint_acc_world=reference.acc,
        setpoint_yaw=reference.yaw,
        previous_command=previous_command,
        readings=readings,
    )


def _truth(vehicle: QuadrotorState, specific_force: Array, wind_world: Array) -> dict[str, Reading]:
    """What the world's sensor of the truth would tell."""
    pos, quat, vel, ang_vel, _ = vehicle
    return {
        TRUTH: Reading(TruthSample(0, pos, quat, vel, ang_vel, specific_force, wind_world), 0.0)
    }


class Flown(NamedTuple):
    """What a control period ends with."""

    vehicle: QuadrotorState
    before: QuadrotorState  # when the newest physics step began, for an IMU off the centre
    specific_force: Array  # (3, *batch) m/s², of the newest physics step at the centre of mass


def physics_step(
    vehicle: QuadrotorState,
    command: Array,
    wind_world: Array,
    params: QuadrotorParams,
    rate_loop: RateLoopParams,
    dt: Array,
    push_world: Array | None = None,
) -> tuple[QuadrotorState, Array]:
    """Rate loop and rigid body over one physics step of ``dt`` s.

    ``command`` ``(4, *batch)`` is thrust / mass in m/s² and body rates in rad/s; ``push_world``
    ``(3, *batch)`` in m/s² is a further force over mass at the centre of mass. Returns the state
    after the step and its specific force ``(3, *batch)`` in m/s².
    """
    speeds = rotor_speed_command(command[0], command[1:], vehicle.ang_vel_body, rate_loop)
    after, force = dynamics.advance(vehicle, speeds, wind_world, params, dt)
    if push_world is None:
        return after, force
    # the step is semi-implicit: what changes the velocity changes the position by dt times that
    gained = push_world * dt
    after = after._replace(
        pos_world=after.pos_world + gained * dt, vel_world=after.vel_world + gained
    )
    return after, force + rotate_inverse(vehicle.quat_world_body, push_world)


def fly_period(
    vehicle: QuadrotorState,
    commands: Array,
    wind_world: Array,
    params: QuadrotorParams,
    rate_loop: RateLoopParams,
    dt: Array,
    substeps: int,
    delay: Array | None = None,
    push_world: Array | None = None,
) -> Flown:
    """One control period of ``dt`` s, a float or ``(*batch)``, in ``substeps`` physics steps.

    Args:
        vehicle: at the start of the period.
        commands: ``(K, 4, *batch)``, the newest first, which is that of this period. A `delay`
            reaches back as many periods as there are.
        wind_world: ``(3, *batch)`` m/s, held over the period.
        params: the true vehicles.
        rate_loop: what their autopilots know.
        delay: s, from a command to when it acts, ``(*batch)``; ``None`` for none.
        push_world: see `physics_step`.
    """
    step = dt / substeps
    before, force = vehicle, None
    acting = commands[0]
    for i in range(substeps):
        if delay is not None:
            # how many periods old the command is that the delay lets act in this physics step
            age = _ceil((delay - i * step) / dt, len(commands) - 1)
            acting = _pick(commands, age)
        before = vehicle
        vehicle, force = physics_step(
            vehicle, acting, wind_world, params, rate_loop, step, push_world
        )
    return Flown(vehicle, before, force)


def _ceil(periods: Array, most: int) -> Array:
    xp = namespace(periods)
    return xp.clip(xp.ceil(periods), 0.0, float(most))


def _pick(commands: Array, age: Array) -> Array:
    """The command of each environment that is ``age`` periods old."""
    if hasattr(commands, "of_age"):  # commands that are traced
        return commands.of_age(age)
    if is_tensor(commands):
        return commands.gather(0, age.long().expand(1, 4, -1))[0]
    index = np.broadcast_to(age.astype(int), commands.shape[1:])
    return np.take_along_axis(commands, index[None], 0)[0]
