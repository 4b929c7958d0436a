"""Views with labels from the simulator, on which an eye learns to see before anything moves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from liquid_control.config import ConfigError
from liquid_control.sim.scenario import WorldConfig
from liquid_control.sim.scenery.road import RoadConfig
from liquid_control.sim.scenery.road_views import RoadPainter
from liquid_control.vehicles.car.pursuit import AHEAD
from liquid_control.vehicles.kind import VehicleConfig


class Views(Protocol):
    """One kind of scene."""

    def draw(self, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Pictures (B, height, width, 3) uint8, depths (B, height, width) m, and what the expert is
        told there (B, E) float32."""


class RoadLessons:
    """Views of a world's road, with what the named slots of its lane follower tell."""

    def __init__(
        self,
        world: WorldConfig,
        vehicle: VehicleConfig,
        slots: Sequence[str],
        rng: np.random.Generator,
    ):
        road = next(item for item in world.obstacles if isinstance(item, RoadConfig))
        height = 0.5 * vehicle.collision_size[2]
        self._painter = RoadPainter(road, world.camera, height, rng)
        self._slots = tuple(slots)

    def draw(self, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """See `Views`; what a picture can't tell is 0."""
        views = self._painter.draw(count, AHEAD)
        known = {
            "lane_deviation": views.offset[:, None],
            "lane_heading": views.heading[:, None],
            "lane_curvature": views.curvature,
        }
        nothing = np.zeros((count, 1), np.float32)
        told = [known.get(name, nothing) for name in self._slots]
        return views.pictures, views.depths, np.concatenate(told, axis=1).astype(np.float32)


def views_of(
    world: WorldConfig, vehicle: VehicleConfig, slots: Sequence[str], rng: np.random.Generator
) -> Views:
    """The views that belong to a world.

    Raises:
        ConfigError: for a world of a kind that none are drawn of.
    """
    if any(isinstance(item, RoadConfig) for item in world.obstacles):
        return RoadLessons(world, vehicle, slots, rng)
    raise ConfigError(f"views: {world.name}: expected a world with a road")
