"""Where a flight begins."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from pydantic import Field, model_validator

from liquid_control.config import StrictModel
from liquid_control.frames import quat_from_rotation_vector, quat_from_yaw, quat_multiply
from liquid_control.sim.quantities import (
    Angle,
    Coordinate,
    Heading,
    Height,
    Strength,
    Tilt,
    Time,
    Uniform,
    draw,
    key,
)


class StartConfig(StrictModel):
    """Where a flight begins. Spreads are half widths, uniform, picked by the seed."""

    place: Literal["ground", "air"] = key("at rest on the ground, or flying", default="air")
    pos: tuple[Coordinate, Coordinate, Height] = key(
        "world; on the ground its height is ignored", "m", default=(0.0, 0.0, 1.0)
    )
    pos_spread: Height = key("per axis", "m", default=0.1)
    vel_spread: Strength = key("per axis, in the air", "m/s", default=0.1)
    tilt_deg: Tilt = key(
        "about a horizontal axis that the seed picks, in the air",
        "°",
        default=Uniform(uniform=(0.0, 5.0)),
    )
    yaw_deg: Heading = key("heading of the task, from East counter-clockwise", "°", default=0.0)
    armed_at: Time = key("the motors are off until then; on the ground only", "s", default=0.0)
    yaw_spread_deg: Annotated[Angle, Field(ge=0)] = key(
        "of the vehicle about the heading of the task", "°", default=5.0
    )

    @model_validator(mode="after")
    def _above_ground(self):
        if self.armed_at > 0 and self.place != "ground":
            raise ValueError(
                f"armed_at: a vehicle whose motors are off starts on the ground, got "
                f"{self.armed_at:g} s and place: {self.place}"
            )
        height = self.pos[2]
        if self.place == "air" and height <= self.pos_spread:
            raise ValueError(
                f"a start in the air must be higher than pos_spread ({self.pos_spread:g} m), got "
                f"{height:g} m"
            )
        return self


def draw_start(config: StartConfig, rng: np.random.Generator):
    """Position (3,), attitude (4,) xyzw, velocity (3,) and the task's yaw for one seed."""
    spread = config.pos_spread * rng.uniform(-1, 1, 3)
    vel = config.vel_spread * rng.uniform(-1, 1, 3)
    yaw = np.deg2rad(draw(config.yaw_deg, rng))
    vehicle_yaw = yaw + np.deg2rad(config.yaw_spread_deg) * rng.uniform(-1, 1)
    axis_angle = rng.uniform(0, 2 * np.pi)
    tilt = np.deg2rad(draw(config.tilt_deg, rng)) if config.place == "air" else 0.0
    axis = np.array([np.cos(axis_angle), np.sin(axis_angle), 0.0])
    quat = quat_multiply(quat_from_yaw(vehicle_yaw), quat_from_rotation_vector(tilt * axis))
    return np.array(config.pos) + spread, quat, vel, float(yaw)
