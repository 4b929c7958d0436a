"""A quadrotor as a pure function: state, rotor speed command and wind in, next state out.

One vehicle or a batch, NumPy or torch (differentiable, no branch on data): arrays are
component-first, ``(3, *batch)``. The formulas are those of `kernel`. The integrator is the
semi-implicit Euler step of Bullet, so that this function and the PyBullet world agree at equal
step:

    Ω⁺ by the exact lag,  a, α from the forces of (x, Ω⁺),
    v⁺ = v + a dt,  ω⁺ = ω + α dt,  p⁺ = p + v⁺ dt,  q⁺ = q ⊗ exp(ω⁺ dt)
"""

from __future__ import annotations

import math
from typing import NamedTuple

from liquid_control.frames import namespace, quat_integrate, rotate_components, stack
from liquid_control.structs import GRAVITY
from liquid_control.vehicles.quadrotor import physics
from liquid_control.vehicles.quadrotor.params import Array, QuadrotorParams


class QuadrotorState(NamedTuple):
    """Rigid body and rotors; every array ends in the batch dimensions."""

    pos_world: Array  # (3, *batch) m
    quat_world_body: Array  # (4, *batch) xyzw, unit
    vel_world: Array  # (3, *batch) m/s
    ang_vel_body: Array  # (3, *batch) rad/s
    rotor_speed: Array  # (4, *batch) rad/s


def hover_state(params: QuadrotorParams, pos_world: Array, quat_world_body: Array):
    """State at rest at ``pos_world`` ``(3, *batch)``, rotors at the speed that carries the weight
    (with the mean efficiency)."""
    mean_efficiency = sum(params.efficiency) / 4
    speed = (
        params.mass * GRAVITY / (4 * params.thrust_coefficient * mean_efficiency)
    ) ** 0.5 / params.supply
    level = pos_world[0] * 0 + speed
    return QuadrotorState(
        pos_world,
        quat_world_body,
        pos_world * 0,
        pos_world * 0,
        stack(pos_world, level, level, level, level),
    )


def _decay(time_constant: Array, dt: Array) -> Array:
    """``exp(−dt / time_constant)`` for floats or arrays of either kind."""
    exponent = -dt / time_constant
    if isinstance(exponent, float):
        return math.exp(exponent)
    return namespace(exponent).exp(exponent)


def advance(
    state: QuadrotorState,
    rotor_speed_command: Array,
    wind_world: Array,
    params: QuadrotorParams,
    dt: Array,
) -> tuple[QuadrotorState, Array]:
    """The state after ``dt`` s and the specific force of the step.

    ``rotor_speed_command`` ``(4, *batch)`` in rad/s and ``wind_world`` ``(3, *batch)`` in m/s are
    held over the step of ``dt`` s, a float or ``(*batch)``. The specific force ``(3, *batch)``,
    m/s² in the body frame, is what an ideal accelerometer at the centre of mass reads: all forces
    but gravity, over mass.
    """
    pos, quat, vel, ang_vel, rotor_speed = state
    q = tuple(quat)
    w = tuple(ang_vel)
    up, down = _decay(params.time_constant_up, dt), _decay(params.time_constant_down, dt)
    speeds = tuple(
        physics.motor_lag(s, c, up, down, params)
        for s, c in zip(rotor_speed, rotor_speed_command, strict=True)
    )
    accelerations = tuple((n - s) / dt for n, s in zip(speeds, rotor_speed, strict=True))

    air_vel = physics.air_velocity_body(q, tuple(vel), tuple(wind_world))
    (fx, fy, fz), (tx, ty, tz) = physics.wrench(
        pos[2], q, w, air_vel, speeds, accelerations, params
    )

    sx, sy, sz = fx / params.mass, fy / params.mass, fz / params.mass
    ax, ay, az = rotate_components(*q, sx, sy, sz)
    ix, iy, iz = params.inertia
    wx, wy, wz = w
    new_vel = stack(vel, vel[0] + ax * dt, vel[1] + ay * dt, vel[2] + (az - GRAVITY) * dt)
    new_ang_vel = stack(
        vel,
        wx + (tx - (iz - iy) * wy * wz) / ix * dt,
        wy + (ty - (ix - iz) * wz * wx) / iy * dt,
        wz + (tz - (iy - ix) * wx * wy) / iz * dt,
    )
    new_state = QuadrotorState(
        pos + new_vel * dt,
        quat_integrate(quat, new_ang_vel, dt),
        new_vel,
        new_ang_vel,
        stack(vel, *speeds),
    )
    return new_state, stack(vel, sx, sy, sz)


def step(
    state: QuadrotorState,
    rotor_speed_command: Array,
    wind_world: Array,
    params: QuadrotorParams,
    dt: Array,
) -> QuadrotorState:
    """The state after ``dt`` s; see `advance`."""
    return advance(state, rotor_speed_command, wind_world, params, dt)[0]
