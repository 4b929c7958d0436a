"""The arithmetic of one physics step, in components.

Symbols, SI units, body FLU:

    v_a = Rᵀ(v − wind)                          air velocity of the body, m/s
    v_i = v_a + ω × r_i                         air velocity at rotor i
    F_i = [g_i η_i k_f Ω_i² + k_h (v_ix² + v_iy²)] ẑ − Ω_i D_r v_i      force of rotor i, N
    F_b = −(D_l + D_q |v_a|) v_a                body drag, N
    τ   = Σ r_i × F_i + τ_i − ω × h − ḣ,   h = J_r Σ d_i Ω_i ẑ
    τ_i = −d_i η_i k_m Ω_i² ẑ + k_β Ω_i v_a × ẑ     reaction and blade flapping torque, N m
    Ω⁺  = Ω_t + (Ω − Ω_t) e^(−dt/τ_m)           motor lag, exact for a target held over the step
    g_i = 1 + c (R_p / 4 z_i)²                  ground effect at rotor height z_i

Sources: Mahony, Kumar, Corke, "Multirotor aerial vehicles", IEEE RAM 2012 (thrust, reaction
torque, rotor drag, flapping); Folk, Paulos, Kumar, "RotorPy", 2023 (translational lift); Cheeseman
and Bennett, ARC R&M 3021, 1955 (ground effect, leading term); field values in ``config/vehicle``.

Every function takes and returns plain components and uses nothing but arithmetic, `maximum` and
`minimum`, so the same source serves floats (compiled by numba or not), NumPy arrays and torch
tensors, and no second copy of a formula exists.
"""

from __future__ import annotations

import numpy as np

from liquid_control.frames import is_tensor, rotate_components
from liquid_control.vehicles.quadrotor.params import (
    Array,
    Quad,
    QuadrotorParams,
    RateLoopParams,
    Triple,
)

MIN_GROUND_HEIGHT = 0.5  # rotor radii; the leading term of the ground effect diverges below


def maximum(a: Array, b: Array) -> Array:
    """Larger of two floats or arrays of either kind."""
    if isinstance(a, float) and isinstance(b, float):
        return a if a > b else b
    if is_tensor(a):
        return a.clamp(min=b)
    return b.clamp(min=a) if is_tensor(b) else np.maximum(a, b)


def minimum(a: Array, b: Array) -> Array:
    """Smaller of two floats or arrays of either kind."""
    if isinstance(a, float) and isinstance(b, float):
        return a if a < b else b
    if is_tensor(a):
        return a.clamp(max=b)
    return b.clamp(max=a) if is_tensor(b) else np.minimum(a, b)


# what a compiler of floats takes in place of the two; see `sim.compiled`
maximum.on_floats = lambda a, b: a if a > b else b
minimum.on_floats = lambda a, b: a if a < b else b


def clip(x: Array, low: Array, high: Array) -> Array:
    """``x`` held between ``low`` and ``high``."""
    return minimum(maximum(x, low), high)


def motor_lag(
    speed: Array, command: Array, decay_up: Array, decay_down: Array, p: QuadrotorParams
) -> Array:
    """Speed of one rotor after a step; ``decay_*`` is ``exp(−dt / time_constant_*)``."""
    target = clip(command, 0.0, p.max_speed) * p.supply
    gap = speed - target
    below = minimum(gap, 0.0)
    return target + below * decay_up + (gap - below) * decay_down


def air_velocity_body(quat: Quad, vel_world: Triple, wind_world: Triple) -> Triple:
    """Velocity of the body relative to the air, body frame, m/s."""
    x, y, z, w = quat
    vx, vy, vz = vel_world
    ux, uy, uz = wind_world
    return rotate_components(-x, -y, -z, w, vx - ux, vy - uy, vz - uz)


def body_drag(air_vel: Triple, p: QuadrotorParams) -> Triple:
    """Drag on the body at the centre of mass, body frame, N."""
    ax, ay, az = air_vel
    lx, ly, lz = p.drag_linear
    qx, qy, qz = p.drag_quadratic
    # the tiny summand keeps the gradient of the root finite in still air
    speed = (ax * ax + ay * ay + az * az + 1e-12) ** 0.5
    return -(lx + qx * speed) * ax, -(ly + qy * speed) * ay, -(lz + qz * speed) * az


def rotor_force(
    position: Triple,
    speed: Array,
    efficiency: Array,
    height: Array,
    quat: Quad,
    ang_vel_body: Triple,
    air_vel: Triple,
    p: QuadrotorParams,
) -> Triple:
    """Thrust and drag of one rotor, body frame, N; ``height`` is that of the body, m."""
    rx, ry, rz = position
    wx, wy, wz = ang_vel_body
    ax, ay, az = air_vel
    kx, ky, kz = p.drag_rotor
    x, y, z, w = quat
    rotor_height = height + (
        2 * (x * z - y * w) * rx + 2 * (y * z + x * w) * ry + (1 - 2 * (x * x + y * y)) * rz
    )
    ratio = p.rotor_radius / (4 * maximum(rotor_height, MIN_GROUND_HEIGHT * p.rotor_radius))
    gain = 1.0 + p.ground_effect * ratio * ratio
    vx, vy, vz = ax + wy * rz - wz * ry, ay + wz * rx - wx * rz, az + wx * ry - wy * rx
    return (
        -speed * kx * vx,
        -speed * ky * vy,
        gain * efficiency * p.thrust_coefficient * speed * speed
        + p.translational_lift * (vx * vx + vy * vy)
        - speed * kz * vz,
    )


def rotor_torque(
    speeds: Quad, accelerations: Quad, ang_vel_body: Triple, air_vel: Triple, p: QuadrotorParams
) -> Triple:
    """Reaction, flapping and gyroscopic torque of the four rotors, body frame, N m.

    Flapping raises the side that meets the air, and takes the body's air velocity for all rotors.
    """
    s0, s1, s2, s3 = speeds
    a0, a1, a2, a3 = accelerations
    d0, d1, d2, d3 = p.rotor_direction
    e0, e1, e2, e3 = p.efficiency
    wx, wy, _ = ang_vel_body
    ax, ay, _ = air_vel
    flap = p.flapping * (s0 + s1 + s2 + s3)
    momentum = p.rotor_inertia * (d0 * s0 + d1 * s1 + d2 * s2 + d3 * s3)
    spin_up = p.rotor_inertia * (d0 * a0 + d1 * a1 + d2 * a2 + d3 * a3)
    reaction = p.torque_coefficient * (
        d0 * e0 * s0 * s0 + d1 * e1 * s1 * s1 + d2 * e2 * s2 * s2 + d3 * e3 * s3 * s3
    )
    return -wy * momentum + flap * ay, wx * momentum - flap * ax, -reaction - spin_up


def moment(position: Triple, force: Triple) -> Triple:
    """Moment of a force that acts at a position, ``r × F``."""
    rx, ry, rz = position
    fx, fy, fz = force
    return ry * fz - rz * fy, rz * fx - rx * fz, rx * fy - ry * fx


def wrench(
    height: Array,
    quat: Quad,
    ang_vel_body: Triple,
    air_vel: Triple,
    speeds: Quad,
    accelerations: Quad,
    p: QuadrotorParams,
) -> tuple[Triple, Triple]:
    """Force (N) and torque (N m) of rotors and air at the centre of mass, body frame."""
    w = ang_vel_body
    (x0, x1, x2, x3), (y0, y1, y2, y3), (z0, z1, z2, z3) = p.rotor_pos_body
    s0, s1, s2, s3 = speeds
    e0, e1, e2, e3 = p.efficiency
    r0, r1, r2, r3 = (x0, y0, z0), (x1, y1, z1), (x2, y2, z2), (x3, y3, z3)
    f0 = rotor_force(r0, s0, e0, height, quat, w, air_vel, p)
    f1 = rotor_force(r1, s1, e1, height, quat, w, air_vel, p)
    f2 = rotor_force(r2, s2, e2, height, quat, w, air_vel, p)
    f3 = rotor_force(r3, s3, e3, height, quat, w, air_vel, p)
    force = sum_of_five(body_drag(air_vel, p), f0, f1, f2, f3)
    torque = sum_of_five(
        rotor_torque(speeds, accelerations, w, air_vel, p),
        moment(r0, f0),
        moment(r1, f1),
        moment(r2, f2),
        moment(r3, f3),
    )
    return force, torque


def sum_of_five(a: Triple, b: Triple, c: Triple, d: Triple, e: Triple) -> Triple:
    """Sum of five vectors."""
    ax, ay, az = a
    bx, by, bz = b
    cx, cy, cz = c
    dx, dy, dz = d
    ex, ey, ez = e
    return ax + bx + cx + dx + ex, ay + by + cy + dy + ey, az + bz + cz + dz + ez


def rotor_speed_command(
    thrust: Array, ang_vel_cmd: Triple, ang_vel_body: Triple, p: RateLoopParams
) -> Quad:
    """Rotor speeds, rad/s, that a body-rate P loop and the mixer ask for.

    ``thrust`` is collective thrust / mass, m/s². Where the rotors saturate, roll and pitch torque
    come first, then collective thrust, then yaw torque (as the mixers of PX4 and Betaflight).
    """
    cx, cy, cz = ang_vel_cmd
    mx, my, mz = p.max_rate
    gx, gy, gz = p.rate_gain
    wx, wy, wz = ang_vel_body
    ix, iy, iz = p.inertia
    hx, hy, hz = ix * wx, iy * wy, iz * wz
    tx = ix * gx * (clip(cx, -mx, mx) - wx) + wy * hz - wz * hy
    ty = iy * gy * (clip(cy, -my, my) - wy) + wz * hx - wx * hz
    tz = iz * gz * (clip(cz, -mz, mz) - wz) + wx * hy - wy * hx
    (x0, y0, z0), (x1, y1, z1), (x2, y2, z2), (x3, y3, z3) = p.mixer

    # roll and pitch, scaled so that the spread fits between the rotors' limits
    r0, r1, r2, r3 = x0 * tx + y0 * ty, x1 * tx + y1 * ty, x2 * tx + y2 * ty, x3 * tx + y3 * ty
    top = maximum(maximum(r0, r1), maximum(r2, r3))
    bottom = minimum(minimum(r0, r1), minimum(r2, r3))
    span = p.max_thrust - p.min_thrust
    scale = span / maximum(span, top - bottom)
    r0, r1, r2, r3 = scale * r0, scale * r1, scale * r2, scale * r3

    # collective thrust within what is left
    lift = 0.25 * p.mass * thrust
    lift = clip(lift, p.min_thrust - scale * bottom, p.max_thrust - scale * top)
    r0, r1, r2, r3 = lift + r0, lift + r1, lift + r2, lift + r3

    # yaw with the room of the tightest rotor
    y0, y1, y2, y3 = z0 * tz, z1 * tz, z2 * tz, z3 * tz
    room = minimum(
        minimum(_room(r0, y0, p), _room(r1, y1, p)), minimum(_room(r2, y2, p), _room(r3, y3, p))
    )
    return (
        _speed(r0 + room * y0, p),
        _speed(r1 + room * y1, p),
        _speed(r2 + room * y2, p),
        _speed(r3 + room * y3, p),
    )


def _room(base: Array, change: Array, p: RateLoopParams) -> Array:
    """The share in [0, 1] of ``change`` that keeps ``base + change`` within the limits."""
    size = abs(change) + 1e-9 * p.max_thrust
    upward = (change > 0.0) * 1.0
    available = upward * (p.max_thrust - base) + (1.0 - upward) * (base - p.min_thrust)
    return clip(available / size, 0.0, 1.0)


def _speed(thrust: Array, p: RateLoopParams) -> Array:
    """Rotor speed for a thrust; rounding below the smallest thrust must not reach the root."""
    return (maximum(thrust, p.min_thrust) / p.thrust_coefficient) ** 0.5
