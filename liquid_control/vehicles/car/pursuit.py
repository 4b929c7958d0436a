"""A lane follower that is told where the lane is: teacher of the policies that see it.

It steers for the curvature of the lane a little ahead and back to its middle, and slows down for
what bends more. All that it is told lies before the vehicle, in view of a camera.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from liquid_control.control.observation import Situation, observer_of, register_slot
from liquid_control.frames import yaw_from_quat
from liquid_control.structs import STEERING, TRUTH, Slot
from liquid_control.vehicles.car.config import NAME
from liquid_control.vehicles.car.parameters import CarParameters

AHEAD = tuple(float(s) for s in range(0, 25, 3))  # m, where the lane's curvature is told


def _where(situation: Situation) -> tuple[Any, Any, Any] | None:
    """The true motion, the road and the place on it; None at rest, where nobody tells."""
    reading = situation.readings.get(TRUTH)
    if reading is None:
        return None
    truth = reading.sample
    road = next((item for item in truth.scene if hasattr(item, "locate")), None)
    if road is None:
        return None
    return truth, road, road.locate(truth.pos_world[0], truth.pos_world[1])


def _deviation(situation: Situation) -> tuple[float]:
    found = _where(situation)
    return (0.0 if found is None else found[2].offset,)


def _heading(situation: Situation) -> tuple[float]:
    found = _where(situation)
    if found is None:
        return (0.0,)
    truth, _, place = found
    turned = float(yaw_from_quat(np.asarray(truth.quat_world_body))) - place.heading
    return (math.remainder(turned, 2 * math.pi),)


def _curvature(situation: Situation) -> tuple[float, ...]:
    found = _where(situation)
    if found is None:
        return (0.0,) * len(AHEAD)
    _, road, place = found
    return tuple(road.curvature(place.s + ahead) for ahead in AHEAD)


_KNOWN = {"vehicles": (NAME,), "sensors": (TRUTH,), "simulated": True}
register_slot(Slot("lane_deviation", 1, "m", "body"), _deviation, **_KNOWN)
register_slot(Slot("lane_heading", 1, "rad", "body"), _heading, **_KNOWN)
register_slot(Slot("lane_curvature", len(AHEAD), "1/m", "body"), _curvature, **_KNOWN)
register_slot(Slot("true_speed", 1, "m/s", "body"), lambda s: (_speed(s),), **_KNOWN)
SLOTS = ("lane_deviation", "lane_heading", "lane_curvature", "true_speed")


def _speed(situation: Situation) -> float:
    reading = situation.readings.get(TRUTH)
    return 0.0 if reading is None else math.hypot(*reading.sample.vel_world[:2])


class Pursuit:
    """The lane follower; see the module and `parameters.PursuitGains`."""

    observation_layout = observer_of(NAME, STEERING).select(SLOTS).layout
    command_layout = STEERING.layout
    neurons = np.zeros(0)

    def __init__(self, parameters: CarParameters):
        self.set_parameters(parameters)

    def set_parameters(self, parameters: CarParameters) -> None:
        """Take new gains; it steers on with them."""
        self.gains = parameters.pursuit

    def reset(self) -> None:
        """There is nothing that it would remember."""

    def warm_up(self) -> None:
        """Nothing to warm up."""

    def step(self, observation: np.ndarray, dt: float) -> np.ndarray:
        """Speed and yaw rate for `SLOTS`."""
        gains = self.gains
        deviation, heading, *curvatures, speed = observation.tolist()
        speed = max(speed, 1.0)
        preview = float(np.interp(gains.preview * speed, AHEAD, curvatures))
        # of the deviation y, with y'' = v² (κ − κ_lane): a damped oscillator in time
        rate = gains.bandwidth
        back = rate * rate * deviation / speed**2 + 2 * gains.damping * rate / speed * heading
        bend = max(map(abs, curvatures))
        slow = math.sqrt(gains.max_lateral_acceleration / max(bend, 1e-6))
        turn, most = speed * (preview - back), gains.max_turn / speed
        return np.array([min(gains.cruise_speed, slow), min(max(turn, -most), most)])
