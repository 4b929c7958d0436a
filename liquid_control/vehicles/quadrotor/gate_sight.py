"""A pilot that is told where the next gate is: teacher of the policies that fly courses by sight.

Besides what `sight` tells, it is told of the nearest gate before the vehicle whose opening is in
view. It flies onto the gate's axis and through; where it sees no gate it is the pilot of `sight`,
which goes to the target.
"""

from __future__ import annotations

import math

import numpy as np

from liquid_control.control.observation import Situation, observer_of
from liquid_control.structs import TRUTH, VELOCITY, Slot, TruthSample
from liquid_control.vehicles.quadrotor import sight
from liquid_control.vehicles.quadrotor.config import NAME
from liquid_control.vehicles.quadrotor.sight import (
    SightPilot,
    heading_of,
    in_view,
    register_goal,
    register_told,
    within,
)

PASSED = 0.05  # m before its plane, from where on a gate counts as passed
BEHIND = 0.3  # m behind a gate, until where it flies straight on
STEEPEST = math.radians(70)  # from its axis, beyond which an opening is not seen as one


def gate_seen(truth: TruthSample) -> tuple[float, float, float, float] | None:
    """Where the middle of the next gate is, m ahead, to the left and up, and its heading relative
    to the vehicle's, rad; None if none is in view."""
    time, heading = truth.stamp / 1e9, heading_of(truth.quat_world_body)
    nearest, found = math.inf, None
    for gate in truth.scene:
        if not hasattr(gate, "missed") or gate.place(truth.pos_world, time)[0] > -PASSED:
            continue
        dx, dy, dz = (a - b for a, b in zip(gate.at(time), truth.pos_world, strict=True))
        away, seen = math.hypot(dx, dy), in_view(truth, dx, dy, dz)
        if seen is None or away >= nearest:
            continue
        turned = math.remainder(gate.heading - heading, 2 * math.pi)
        off_axis = math.remainder(math.atan2(seen[1], seen[0]) - turned, 2 * math.pi)
        if abs(off_axis) < STEEPEST:
            nearest, found = away, (*seen, turned)
    return found


def _turned(situation: Situation) -> tuple[float]:
    reading = situation.readings.get(TRUTH)
    seen = None if reading is None else gate_seen(reading.sample)
    return (0.0 if seen is None else seen[3],)


register_goal("gate", gate_seen)
register_told(Slot("gate_heading", 1, "rad", "heading"), _turned)
GATE_SLOTS = ("gate_direction", "gate_nearness", "gate_heading")
SLOTS = (*GATE_SLOTS, *sight.SLOTS)
_LAYOUT = observer_of(NAME, VELOCITY).select(SLOTS).layout
_TOLD = 5  # numbers of `GATE_SLOTS`


class GatePilot(SightPilot):
    """The pilot; see the module and `parameters.PilotGains`."""

    observation_layout = _LAYOUT

    def reset(self) -> None:
        """Forget target and gate."""
        super().reset()
        self._through = 0.0  # s that are left of the way through the last gate
        self._straight = np.zeros(4)

    def step(self, observation: np.ndarray, dt: float) -> np.ndarray:
        """Velocity and yaw rate for `SLOTS`."""
        gains, elsewhere = self.gains, super().step(observation[_TOLD:], dt)
        dx, dy, dz, nearness, turned = observation[:_TOLD].tolist()
        self._through -= dt
        if nearness * gains.gate_near < 1:  # none, or the next one, while it is still in the last
            if self._through > 0:
                return self._straight
            if not nearness:
                return elsewhere
        x, y, z = dx / nearness, dy / nearness, dz / nearness
        cos, sin = math.cos(turned), math.sin(turned)
        before, aside = cos * x + sin * y, cos * y - sin * x  # along and across the axis
        # slower where what is left to the axis is much of what is left to the gate
        off = math.hypot(aside, z)
        speed = gains.gate_speed * max(1 - off / max(gains.gate_funnel * before, 0.1), 0.0)
        across = within(gains.gate_gain * aside, gains.gate_speed)
        climb = within(gains.gate_gain * z, gains.max_climb)
        turn = gains.yaw_gain * (0.5 * turned + 0.5 * math.atan2(y, x))
        command = np.array(
            [
                cos * speed - sin * across,
                sin * speed + cos * across,
                climb,
                within(turn, gains.max_yaw_rate),
            ]
        )
        if nearness * gains.gate_near >= 1:
            self._through = (gains.gate_near + BEHIND) / gains.gate_speed
            self._straight = np.array([cos * gains.gate_speed, sin * gains.gate_speed, 0.0, 0.0])
        return command
