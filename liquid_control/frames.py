"""Rotations and frames: the one place where frames and quaternion orders change.

World frame ENU, body frame FLU (REP-103). Quaternions are ``xyzw`` with the body-to-world sense:
``quat_world_body`` rotates a vector given in the body frame into the world frame.

Vectors and quaternions are *component-first*: shape ``(3, *batch)`` and ``(4, *batch)``. A single
vehicle is the empty batch, so the same formula serves one vehicle in NumPy, ``(3,)``, and a batch
in NumPy or torch, ``(3, B)``, and each component of a batch is contiguous in memory.
"""

from __future__ import annotations

import math
import sys
from types import SimpleNamespace
from typing import Any

import numpy as np

Array = Any  # numpy.ndarray or torch.Tensor

# What the formulas take of `numpy`, for Python floats in a fraction of the time.
_FLOATS = SimpleNamespace(
    sin=math.sin,
    cos=math.cos,
    tan=math.tan,
    exp=math.exp,
    arctan2=math.atan2,
    maximum=max,
    clip=lambda x, low, high: min(max(x, low), high),
    where=lambda condition, a, b: a if condition else b,
    ones_like=lambda x: 1.0,
)


def namespace(x: Array):
    """What serves ``x`` as its module: ``torch`` for a tensor, else ``numpy``.

    For a Python float it is a namespace with the few functions that the formulas here need.
    """
    if type(x) is float:
        return _FLOATS
    return sys.modules["torch"] if is_tensor(x) else np


def is_tensor(x: Array) -> bool:
    """True for a torch tensor; torch itself is never imported here."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(x, torch.Tensor)


def stack(like: Array, *components: Array) -> Array:
    """Components ``(*batch)`` to one array ``(n, *batch)`` of the kind of ``like``.

    A component that is one number is that of the whole batch.
    """
    if is_tensor(like):
        torch = sys.modules["torch"]
        return torch.stack([c if is_tensor(c) else torch.full_like(like, c) for c in components])
    try:
        return np.array(components)
    except ValueError:  # numbers among arrays
        tensor = next(filter(is_tensor, components), None)
        if tensor is not None:
            return stack(tensor, *components)
        return np.array(np.broadcast_arrays(*components))


def components(a: Array):
    """What ``x, y, z = ...`` takes apart.

    For one vehicle in NumPy as Python floats: the same arithmetic, bit for bit, in a third of the
    time of NumPy's scalars.
    """
    return a.tolist() if type(a) is np.ndarray and a.ndim == 1 else a


def quat_multiply(a: Array, b: Array) -> Array:
    """Hamilton product ``a ⊗ b`` of quaternions ``(4, *batch)``."""
    return stack(a, *multiply_components(components(a), components(b)))


def multiply_components(a, b):
    """`quat_multiply` of tuples of components."""
    ax, ay, az, aw = a
    bx, by, bz, bw = b
    return (
        aw * bx + ax * bw + ay * bz - az * by,
        aw * by - ax * bz + ay * bw + az * bx,
        aw * bz + ax * by - ay * bx + az * bw,
        aw * bw - ax * bx - ay * by - az * bz,
    )


def quat_conjugate(q: Array) -> Array:
    """The inverse of a unit quaternion ``(4, *batch)``."""
    x, y, z, w = q
    return stack(q, -x, -y, -z, w)


def quat_normalize(q: Array) -> Array:
    """``q / |q|`` for ``(4, *batch)``; a zero quaternion gives NaN."""
    x, y, z, w = components(q)
    return q / (x * x + y * y + z * z + w * w) ** 0.5


def rotate_components(x: Array, y: Array, z: Array, w: Array, vx: Array, vy: Array, vz: Array):
    """``R(q) v`` as a tuple of components; plain floats serve as well as arrays."""
    # v + 2 w (q × v) + 2 q × (q × v), the usual two cross products
    tx, ty, tz = 2 * (y * vz - z * vy), 2 * (z * vx - x * vz), 2 * (x * vy - y * vx)
    return (
        vx + w * tx + y * tz - z * ty,
        vy + w * ty + z * tx - x * tz,
        vz + w * tz + x * ty - y * tx,
    )


def rotate(q: Array, v: Array) -> Array:
    """``R(q) v``: with ``quat_world_body``, body vector ``(3, *batch)`` to world."""
    x, y, z, w = components(q)
    return stack(v, *rotate_components(x, y, z, w, *components(v)))


def rotate_inverse(q: Array, v: Array) -> Array:
    """``R(q)ᵀ v``: with ``quat_world_body``, world vector ``(3, *batch)`` to body."""
    x, y, z, w = components(q)
    return stack(v, *rotate_components(-x, -y, -z, w, *components(v)))


def matrix_from_quat(q: Array) -> Array:
    """Rotation matrix ``(3, 3, *batch)`` of a unit quaternion ``(4, *batch)``."""
    x, y, z, w = q
    return stack(
        q,
        stack(q, 1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)),
        stack(q, 2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)),
        stack(q, 2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)),
    )


def quat_from_rotation_vector(v: Array) -> Array:
    """Unit quaternion ``(4, *batch)`` of the rotation vector ``(3, *batch)``, rad.

    The exponential map, with the Taylor series of sin(θ/2)/θ near zero so that the function and
    its gradient stay finite at no rotation.
    """
    return stack(v, *_rotation_vector_components(*components(v)))


def _rotation_vector_components(x: Array, y: Array, z: Array):
    xp = namespace(x)
    square = x * x + y * y + z * z
    small = square < 1e-8
    angle = xp.where(small, xp.ones_like(square), square) ** 0.5
    scale = xp.where(small, 0.5 - square / 48, xp.sin(0.5 * angle) / angle)
    w = xp.where(small, 1 - square / 8, xp.cos(0.5 * angle))
    return x * scale, y * scale, z * scale, w


def quat_integrate(q: Array, ang_vel_body: Array, dt: float) -> Array:
    """Attitude ``(4, *batch)`` after ``dt`` s at constant body rates ``(3, *batch)`` in rad/s."""
    return stack(q, *integrate_components(components(q), components(ang_vel_body), dt))


def integrate_components(q, ang_vel_body, dt: Array):
    """`quat_integrate` of tuples of components."""
    wx, wy, wz = ang_vel_body
    turn = _rotation_vector_components(wx * dt, wy * dt, wz * dt)
    x, y, z, w = multiply_components(q, turn)
    norm = (x * x + y * y + z * z + w * w) ** 0.5
    return x / norm, y / norm, z / norm, w / norm


def quat_from_yaw(yaw: Array) -> Array:
    """Attitude ``(4, *batch)`` that is level with heading ``yaw`` ``(*batch)``, rad from East."""
    xp = namespace(yaw)
    half = yaw * 0.5
    zero = half * 0
    return stack(yaw, zero, zero, xp.sin(half), xp.cos(half))


def yaw_from_quat(q: Array) -> Array:
    """Heading ``(*batch)`` in rad from East, counter-clockwise, of the body x axis."""
    xp = namespace(q)
    x, y, z, w = q
    return xp.arctan2(2 * (x * y + z * w), 1 - 2 * (y * y + z * z))


def wxyz_from_xyzw(q: Array) -> Array:
    """Reorder ``(4, *batch)`` for transforms3d, MAVLink and others that put the scalar first."""
    x, y, z, w = q
    return stack(q, w, x, y, z)


def xyzw_from_wxyz(q: Array) -> Array:
    """Reorder ``(4, *batch)`` from scalar-first order."""
    w, x, y, z = q
    return stack(q, x, y, z, w)


def ned_from_enu(v: Array) -> Array:
    """World vector ``(3, *batch)`` ENU to NED; its own inverse."""
    x, y, z = v
    return stack(v, y, x, -z)


def frd_from_flu(v: Array) -> Array:
    """Body vector ``(3, *batch)`` FLU to FRD; its own inverse."""
    x, y, z = v
    return stack(v, x, -y, -z)


def quat_ned_frd_from_enu_flu(q: Array) -> Array:
    """Attitude ``(4, *batch)`` of FRD in NED from that of FLU in ENU; its own inverse."""
    x, y, z, w = q
    s = 0.5**0.5
    # −(q_ned_enu ⊗ q ⊗ q_flu_frd) with q_ned_enu = (s, s, 0, 0) and q_flu_frd = (1, 0, 0, 0)
    return stack(q, s * (x + y), s * (x - y), s * (w - z), s * (w + z))
