"""How vehicles are drawn in a film: each kind as it looks, an unknown one as a box with a nose."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

import numpy as np

from liquid_control.evaluation.views.inks import ACCENT, ARM, EDGE, HULL
from liquid_control.evaluation.views.viewpoint import Viewpoint, circle
from liquid_control.flight_log import FlightLog
from liquid_control.vehicles.kind import VehicleConfig
from liquid_control.vehicles.quadrotor.config import NAME as QUADROTOR
from liquid_control.vehicles.quadrotor.config import QuadrotorConfig

if TYPE_CHECKING:
    from PIL import ImageDraw

STROBOSCOPE = 0.02  # of the true rotor speed, slow enough for the eye
_BOX = (0.3, 0.2, 0.1)  # m, of a vehicle that does not say how large it is


class Body(Protocol):
    """A vehicle as it is drawn.

    Attributes:
        reach: m from its middle to its end, which the whole picture is scaled by.
    """

    reach: float

    def draw(
        self,
        draw: ImageDraw.ImageDraw,
        view: Viewpoint,
        pos: np.ndarray,
        R_world_body: np.ndarray,
        k: int,
    ) -> None:
        """Draw it at a place ``(3,)`` m and attitude ``(3, 3)``, at row ``k`` of the log."""


class QuadrotorBody:
    """Arms, rotors that turn, and the two at the front in another colour."""

    def __init__(self, vehicle: QuadrotorConfig, log: FlightLog):
        self._rotors = np.array(vehicle.rotor_positions)
        self.reach = max(np.linalg.norm(p) for p in vehicle.rotor_positions)
        self._radius = 0.6 * np.linalg.norm(self._rotors[0, :2])
        known = log.actuators.shape[1] == len(self._rotors)
        speeds = np.nan_to_num(log.actuators) if known else np.zeros((len(log.time), 4))
        turned = np.cumsum(speeds, axis=0) / log.control_rate
        self._blade_angle = STROBOSCOPE * turned * np.array(vehicle.rotor_directions)

    def draw(
        self,
        draw: ImageDraw.ImageDraw,
        view: Viewpoint,
        pos: np.ndarray,
        R_world_body: np.ndarray,
        k: int,
    ) -> None:
        """Draw it at row ``k``, see `Body.draw`."""
        rotors, radius, matrix = self._rotors, self._radius, R_world_body
        ends, depth = view.project(pos + rotors @ matrix.T)
        (center,), _ = view.project(pos)
        pixel = view.focal / depth.mean()
        for i in np.argsort(-depth):
            nose = rotors[i, 0] > 0
            arm = EDGE if nose else ARM
            draw.line(
                [*center, *ends[i]], arm, max(int(0.12 * self.reach * pixel), round(1.5 * view.pen))
            )
            disc, _ = view.project(pos + (rotors[i] + circle(radius) + [0, 0, 0.006]) @ matrix.T)
            tint = ACCENT if nose else (190, 200, 215)
            draw.polygon([tuple(p) for p in disc], (*tint, 60), (*tint, 190))
            angle = self._blade_angle[k, i]
            blade = radius * np.array([np.cos(angle), np.sin(angle), 0.006 / radius])
            tips = rotors[i] + np.stack([blade, blade * [-1, -1, 1]])
            tips, _ = view.project(pos + tips @ matrix.T)
            draw.line([*tips[0], *tips[1]], (255, 255, 255, 150), round(1.5 * view.pen))
        hull, _ = view.project(circle(0.32 * self.reach) @ matrix.T + pos)
        draw.polygon([tuple(p) for p in hull], HULL, EDGE)


class BoxBody:
    """A box of the vehicle's ``collision_size``, where it has one, with its front coloured."""

    # corners in halves of the sides, by face; the first is the front
    _FACES = (
        ((1, -1, -1), (1, 1, -1), (1, 1, 1), (1, -1, 1)),
        ((-1, -1, -1), (-1, 1, -1), (-1, 1, 1), (-1, -1, 1)),
        ((-1, -1, -1), (1, -1, -1), (1, -1, 1), (-1, -1, 1)),
        ((-1, 1, -1), (1, 1, -1), (1, 1, 1), (-1, 1, 1)),
        ((-1, -1, -1), (1, -1, -1), (1, 1, -1), (-1, 1, -1)),
        ((-1, -1, 1), (1, -1, 1), (1, 1, 1), (-1, 1, 1)),
    )

    def __init__(self, vehicle: VehicleConfig, log: FlightLog):
        half = np.array(getattr(vehicle, "collision_size", _BOX)) / 2
        self._faces = np.array(self._FACES) * half  # (6, 4, 3) m
        self.reach = float(np.linalg.norm(half))

    def draw(
        self,
        draw: ImageDraw.ImageDraw,
        view: Viewpoint,
        pos: np.ndarray,
        R_world_body: np.ndarray,
        k: int,
    ) -> None:
        """Draw it at row ``k``, see `Body.draw`."""
        places = pos + self._faces @ R_world_body.T
        depths = [view.project(face)[1].mean() for face in places]
        for i in np.argsort(depths)[::-1]:
            pixels, _ = view.project(places[i])
            tint = ACCENT if i == 0 else HULL
            draw.polygon([tuple(p) for p in pixels], (*tint, 255), EDGE)


# How a kind of vehicle is drawn, by its name; of a vehicle and its log.
BODIES: dict[str, Callable[[VehicleConfig, FlightLog], Body]] = {QUADROTOR: QuadrotorBody}


def body_of(vehicle: VehicleConfig, log: FlightLog) -> Body:
    """The body of a vehicle's kind; a box for a kind that `BODIES` has not."""
    return BODIES.get(vehicle.kind, BoxBody)(vehicle, log)
