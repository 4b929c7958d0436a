"""Shapes as the arguments that PyBullet takes for them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pybullet

from liquid_control.frames import quat_from_yaw


def box(size: tuple[float, float, float]) -> dict[str, Any]:
    """A box of these sides, m, to be hit or seen."""
    x, y, z = size
    return {"shapeType": pybullet.GEOM_BOX, "halfExtents": [x / 2, y / 2, z / 2]}


def cylinder(radius: float, **height: float) -> dict[str, Any]:
    """An upright cylinder, m; PyBullet says ``height`` to be hit and ``length`` to be seen."""
    return {"shapeType": pybullet.GEOM_CYLINDER, "radius": radius, **height}


def turn(yaw_deg: float) -> list[float]:
    """The quaternion xyzw of an object that is turned about the vertical, degrees."""
    return quat_from_yaw(np.float64(math.radians(yaw_deg))).tolist()


def ball(radius: float) -> dict[str, Any]:
    """A ball, m, to be hit."""
    return {"shapeType": pybullet.GEOM_SPHERE, "radius": radius}


def round_mesh(radius: float, rings: int = 5, sides: int = 8) -> dict[str, Any]:
    """A ball, m, to be seen, of so few triangles that a small camera draws it fast."""
    down, around = np.meshgrid(
        np.linspace(0, math.pi, rings + 1), np.linspace(0, 2 * math.pi, sides + 1), indexing="ij"
    )
    normals = np.stack(
        [np.sin(down) * np.cos(around), np.sin(down) * np.sin(around), np.cos(down)], axis=-1
    ).reshape(-1, 3)
    first = (np.arange(rings)[:, None] * (sides + 1) + np.arange(sides)).reshape(-1, 1)
    quads = first + np.array([0, sides + 1, sides + 2, 0, sides + 2, 1])
    return {
        "shapeType": pybullet.GEOM_MESH,
        "vertices": (radius * normals).tolist(),
        "normals": normals.tolist(),
        "uvs": [[0.0, 0.0]] * len(normals),
        "indices": quads.reshape(-1).tolist(),
    }


def ribbons(
    columns: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray]],
    height: float,
    texture_period: float | None,
) -> dict[str, Any]:
    """Flat ribbons that face upwards, one mesh: of each its right and left edge, (n, 2) m, and
    which of the n - 1 quads between them are there. To be seen only."""
    quads = [
        np.stack([right[:-1], right[1:], left[1:], left[:-1]], axis=1)[there]
        for right, left, there in columns
    ]
    corners = np.concatenate(quads).reshape(-1, 2)
    first = 4 * np.arange(len(corners) // 4)[:, None]
    triangles = first + np.array([0, 1, 2, 0, 2, 3])
    # the renderer wants no negative texture coordinates
    uvs = (corners - corners.min(axis=0)) / (texture_period or 1.0)
    return {
        "shapeType": pybullet.GEOM_MESH,
        "vertices": np.column_stack([corners, np.full(len(corners), height)]).tolist(),
        "normals": [[0.0, 0.0, 1.0]] * len(corners),
        "uvs": uvs.tolist(),
        "indices": triangles.reshape(-1).tolist(),
    }


def prism(size: tuple[float, float, float], sides: int, texture_period: float) -> dict[str, Any]:
    """An upright prism, a box for 4 sides, whose texture repeats after so many m on every side.

    To be seen only. PyBullet's own boxes and cylinders stretch a texture over their sides.
    """
    x, y, z = size
    angle = 2 * math.pi * (np.arange(sides) + 0.5) / sides
    outline = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    outline *= np.array([x, y]) / (2 * outline[0, 0] if sides == 4 else 2)
    vertices, normals, uvs, indices = [], [], [], []

    def face(corners, normal, places):
        first = len(vertices)
        vertices.extend(corners)
        normals.extend([normal] * len(corners))
        uvs.extend([u / texture_period, v / texture_period] for u, v in places)
        for k in range(1, len(corners) - 1):
            indices.extend([first, first + k, first + k + 1])

    along = 0.0
    for (ax, ay), (bx, by) in zip(outline.tolist(), np.roll(outline, -1, axis=0).tolist()):
        length = math.hypot(bx - ax, by - ay)
        face(
            [[ax, ay, -z / 2], [bx, by, -z / 2], [bx, by, z / 2], [ax, ay, z / 2]],
            [(by - ay) / length, (ax - bx) / length, 0.0],
            [(along, 0.0), (along + length, 0.0), (along + length, z), (along, z)],
        )
        along += length
    for up in (1, -1):
        corners = outline[::up].tolist()
        places = [(px + x / 2, py + y / 2) for px, py in corners]
        face([[px, py, up * z / 2] for px, py in corners], [0.0, 0.0, float(up)], places)
    return {
        "shapeType": pybullet.GEOM_MESH,
        "vertices": vertices,
        "normals": normals,
        "uvs": uvs,
        "indices": indices,
    }
