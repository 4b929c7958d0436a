"""From where a picture is looked at: world points to pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Viewpoint:
    """A pinhole at ``eye``, looking at ``target``; picture coordinates in pixels."""

    eye: np.ndarray  # (3,) m
    axes: np.ndarray  # (3, 3): rows right, down, forward
    focal: float  # px
    center: tuple[float, float]  # px
    pen: float = 1.0  # px of the thinnest line that shows well

    @classmethod
    def look_at(
        cls,
        eye: np.ndarray,
        target: np.ndarray,
        focal: float,
        center: tuple[float, float],
        pen: float = 1.0,
    ) -> Viewpoint:
        """Upright, with ``target`` in the centre."""
        forward = (target - eye) / np.linalg.norm(target - eye)
        right = np.cross(forward, [0.0, 0.0, 1.0])
        right /= np.linalg.norm(right)
        return cls(eye, np.stack([right, np.cross(forward, right), forward]), focal, center, pen)

    def project(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """World points ``(n, 3)`` to pixels ``(n, 2)`` and depth ``(n,)`` in m."""
        right, down, depth = self.axes @ (np.atleast_2d(points) - self.eye).T
        scale = self.focal / np.maximum(depth, 1e-6)
        return np.stack([self.center[0] + right * scale, self.center[1] + down * scale], 1), depth


def circle(radius: float, points: int = 24) -> np.ndarray:
    """Points ``(n, 3)`` of a level circle about the origin."""
    angle = np.linspace(0, 2 * np.pi, points, endpoint=False)
    return radius * np.stack([np.cos(angle), np.sin(angle), 0 * angle], 1)
