"""One physics step of one vehicle in an external rigid-body engine: what is compiled as a whole.

Autopilot, motors and aerodynamics are those of `physics`; there is one kernel for each kind of
command. ``packed`` is from `pack`: the form that a compiled call takes fastest.
"""

from __future__ import annotations

import numpy as np

from liquid_control import packing
from liquid_control.frames import rotate_components
from liquid_control.vehicles.quadrotor.params import (
    Quad,
    QuadrotorParams,
    RateLoopParams,
    Triple,
)
from liquid_control.vehicles.quadrotor.physics import (
    air_velocity_body,
    motor_lag,
    rotor_speed_command,
    wrench,
)


def pack(p: QuadrotorParams, loop: RateLoopParams) -> np.ndarray:
    """Parameters of one vehicle as a flat array."""
    return packing.pack(p, loop)


unpack = packing.unpacker(QuadrotorParams, RateLoopParams)  # the inverse of `pack`


def vehicle_wrench(
    pos_world: Triple,
    quat: Quad,
    vel_world: Triple,
    ang_vel_world: Triple,
    wind_world: Triple,
    command: Quad,
    armed: float,
    speeds: Quad,
    decay_up: float,
    decay_down: float,
    dt: float,
    packed: np.ndarray,
):
    """The step of a vehicle that is told ``command`` (thrust / mass, body rates).

    ``armed`` is 1, or 0 for rotors that are told to stop. Returns new rotor speeds, body rates, and
    force and torque at the centre of mass in the body frame: for a rigid body the same as four
    forces at the rotors, with three calls of the engine less.
    """
    p, loop = unpack(packed)
    qx, qy, qz, qw = quat
    gx, gy, gz = ang_vel_world
    w = rotate_components(-qx, -qy, -qz, qw, gx, gy, gz)
    thrust, cx, cy, cz = command
    wanted = rotor_speed_command(thrust, (cx, cy, cz), w, loop)
    air = air_velocity_body(quat, vel_world, wind_world)
    return _turn(pos_world[2], quat, w, air, wanted, armed, speeds, decay_up, decay_down, dt, p)


def rotor_wrench(
    pos_world: Triple,
    quat: Quad,
    vel_world: Triple,
    ang_vel_world: Triple,
    wind_world: Triple,
    command: Quad,
    armed: float,
    speeds: Quad,
    decay_up: float,
    decay_down: float,
    dt: float,
    packed: np.ndarray,
):
    """The same of a vehicle that is told ``command`` rotor speeds, rad/s, past its rate loop."""
    p, _ = unpack(packed)
    qx, qy, qz, qw = quat
    gx, gy, gz = ang_vel_world
    w = rotate_components(-qx, -qy, -qz, qw, gx, gy, gz)
    air = air_velocity_body(quat, vel_world, wind_world)
    return _turn(pos_world[2], quat, w, air, command, armed, speeds, decay_up, decay_down, dt, p)


def _turn(
    height: float,
    quat: Quad,
    ang_vel_body: Triple,
    air_vel: Triple,
    wanted: Quad,
    armed: float,
    speeds: Quad,
    decay_up: float,
    decay_down: float,
    dt: float,
    p: QuadrotorParams,
):
    """Rotors on their way to the speeds that are wanted of them, and what they and the air do."""
    c0, c1, c2, c3 = wanted
    s0, s1, s2, s3 = speeds
    n0 = motor_lag(s0, c0 * armed, decay_up, decay_down, p)
    n1 = motor_lag(s1, c1 * armed, decay_up, decay_down, p)
    n2 = motor_lag(s2, c2 * armed, decay_up, decay_down, p)
    n3 = motor_lag(s3, c3 * armed, decay_up, decay_down, p)
    turned = (n0, n1, n2, n3)
    accelerations = ((n0 - s0) / dt, (n1 - s1) / dt, (n2 - s2) / dt, (n3 - s3) / dt)
    force, torque = wrench(height, quat, ang_vel_body, air_vel, turned, accelerations, p)
    return turned, ang_vel_body, force, torque
