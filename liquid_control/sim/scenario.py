"""The YAML of a world: vehicle, start, task, wind, sensors, success criteria, seeds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BeforeValidator, Field, field_validator, model_validator

from liquid_control.config import (
    PositiveFloat,
    Seed,
    StrictModel,
    find_file,
    load_yaml,
)
from liquid_control.frames import quat_from_rotation_vector, quat_from_yaw, quat_multiply
from liquid_control.sim.faults import FaultConfig
from liquid_control.sim.quantities import (
    MAX_PHYSICS_RATE,
    Angle,
    Charge,
    Coordinate,
    Heading,
    Height,
    Lag,
    Length,
    Level,
    Position,
    Span,
    Strength,
    Tilt,
    Time,
    draw,
)
from liquid_control.sim.sensors.imu import ImuConfig
from liquid_control.sim.sensors.odometry import OdometryConfig
from liquid_control.sim.task import SegmentConfig
from liquid_control.sim.wind.field import WindSourceConfig

MIN_PHYSICS_RATE = 400  # Hz; the semi-implicit step loses centimetres below
PositiveInt = Annotated[int, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1)]
FocalLength = Annotated[float, Field(gt=0, le=100_000)]  # px
Pixel = Annotated[float, Field(ge=-10_000, le=10_000)]  # px
Color = tuple[Share, Share, Share]  # red, green, blue


def _sensor(model: type[StrictModel]) -> BeforeValidator:
    """Of a sensor written out, or the name of a file in ``sim_worlds/sensors``."""

    def read(value: Any) -> Any:
        by_name = isinstance(value, str)
        return load_yaml(find_file(value, "sim_worlds/sensors"), model) if by_name else value

    return BeforeValidator(read, json_schema_input_type=str | model)


class StartConfig(StrictModel):
    """Where a flight begins. Spreads are half widths, uniform, picked by the seed."""

    place: Literal["ground", "air"]
    pos: tuple[Coordinate, Coordinate, Height]  # m; on the ground its height is ignored
    pos_spread: Height  # m per axis
    vel_spread: Strength  # m/s per axis, in the air
    tilt_deg: Tilt  # about a horizontal axis that the seed picks, in the air
    yaw_deg: Heading
    yaw_spread_deg: Annotated[Angle, Field(ge=0)]  # of the vehicle about the task's heading

    @model_validator(mode="after")
    def _above_ground(self):
        height = self.pos[2]
        if self.place == "air" and height <= self.pos_spread:
            raise ValueError(
                f"a start in the air must be higher than pos_spread ({self.pos_spread:g} m), got "
                f"{height:g} m"
            )
        return self


class SuccessConfig(StrictModel):
    """What a flight must reach; ``None`` leaves a figure open."""

    no_crash: bool
    settle_time: Time  # s, errors before don't count
    max_rmse: Length | None  # m
    max_error: Length | None  # m


class ArenaConfig(StrictModel):
    """Limits whose violation is a crash."""

    max_distance: Annotated[float, Field(gt=0, le=10_000)]  # m from the setpoint
    max_impact_speed: Annotated[Strength, Field(gt=0)]  # m/s, touching anything faster is a crash
    max_ground_tilt_deg: Annotated[float, Field(gt=0, le=180)]  # while touching the ground


class PayloadConfig(StrictModel):
    """A point mass fixed under the vehicle."""

    mass: Annotated[float, Field(gt=0, le=1000)]  # kg
    below: Annotated[Height, Field(le=100)]  # m, under the centre of mass


class ObstacleConfig(StrictModel):
    """A fixed upright box (``size`` x, y, z) or cylinder (``size`` diameter, diameter, height)."""

    shape: Literal["box", "cylinder"]
    pos: Position  # m, centre
    size: tuple[Length, Length, Length]  # m
    yaw_deg: Angle
    color: Color


class TextureConfig(StrictModel):
    """A pattern of square cells that darkens the colours of ground and obstacles."""

    kind: Literal["checker", "noise", "stripes"]  # the seed picks the noise
    contrast: Share  # by how much the darkest cells are darker
    cell_size: Annotated[float, Field(ge=0.01, le=100)]  # m


class AppearanceConfig(StrictModel):
    """How the world looks; what is left open the seed picks."""

    brightness: Level  # 1 is daylight, 0 is black
    light_toward_deg: Heading  # heading that the light shines to
    fog: Level  # 1/m, extinction; the visibility is about 3.9 / fog
    noise: Annotated[float, Field(ge=0, le=255)]  # 1 σ of a pixel, of 255
    occlusion: Share  # share of the width and height that a dark patch hides
    ground: tuple[Color, Color]  # of the ground's tiles
    texture: TextureConfig | None = None


class CameraConfig(StrictModel):
    """Intrinsics in pixels, mounting pose, timing and appearance."""

    width: Annotated[int, Field(gt=0, le=4096)]
    height: Annotated[int, Field(gt=0, le=4096)]
    focal_length: tuple[FocalLength, FocalLength]  # px, x and y
    principal_point: tuple[Pixel, Pixel]  # px, from the top left corner
    pos_body: Position  # m
    pitch_deg: Angle  # positive looks up
    update_rate: PositiveFloat  # Hz, divides the control rate
    latency: Lag  # s, from stamp to arrival, rounded up to control periods
    exposure: Lag  # s; 0 for no motion blur
    blur_frames: Annotated[int, Field(gt=0, le=100)]  # drawn per image along the exposure
    appearance: AppearanceConfig


class WorldConfig(StrictModel):
    """A world file. SI units; `wind_sources`, `task`, `imu` and `odometry` describe their parts."""

    name: str
    description: str
    vehicle: str
    vehicle_spread: Share  # 0 the nominal vehicle, 1 the whole tolerances of its kind
    payload: PayloadConfig | None = None
    battery_charge: Charge | None = None  # share; null for constant voltage
    control_rate: PositiveInt  # Hz
    physics_rate: Annotated[int, Field(ge=MIN_PHYSICS_RATE, le=MAX_PHYSICS_RATE)]  # Hz
    duration: Span  # s
    start: StartConfig
    task: Annotated[tuple[SegmentConfig, ...], Field(min_length=1)]
    wind: tuple[WindSourceConfig, ...]
    imu: Annotated[ImuConfig, _sensor(ImuConfig)]
    odometry: Annotated[OdometryConfig, _sensor(OdometryConfig)]
    camera: Annotated[CameraConfig, _sensor(CameraConfig)] | None = None
    obstacles: tuple[ObstacleConfig, ...] = ()
    faults: tuple[FaultConfig, ...] = ()
    arena: ArenaConfig
    success: SuccessConfig
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1)]

    @field_validator("vehicle")
    @classmethod
    def _vehicle_exists(cls, name: str) -> str:
        find_file(name, "config/vehicle")
        return name

    @model_validator(mode="after")
    def _rates_divide(self):
        if self.physics_rate % self.control_rate:
            raise ValueError(
                f"control_rate must divide physics_rate, got {self.control_rate} Hz and "
                f"{self.physics_rate} Hz"
            )
        imu_rate = self.imu.update_rate
        if imu_rate % self.control_rate or self.physics_rate % imu_rate:
            raise ValueError(
                f"imu.update_rate must be a multiple of control_rate ({self.control_rate} Hz) and "
                f"divide physics_rate ({self.physics_rate} Hz), got {imu_rate:g} Hz"
            )
        if self.control_rate % self.odometry.update_rate:
            raise ValueError(
                f"odometry.update_rate must divide control_rate ({self.control_rate} Hz), got "
                f"{self.odometry.update_rate:g} Hz"
            )
        periods = self.odometry.delay * self.control_rate
        if abs(periods - round(periods)) > 1e-9:
            raise ValueError(
                f"odometry.delay must be a whole number of control periods "
                f"({1 / self.control_rate:g} s), got {self.odometry.delay:g} s"
            )
        if self.camera is not None and self.control_rate % self.camera.update_rate:
            raise ValueError(
                f"camera.update_rate must divide control_rate ({self.control_rate} Hz), got "
                f"{self.camera.update_rate:g} Hz"
            )
        return self

    @property
    def substeps(self) -> int:
        """Physics steps per control period."""
        return self.physics_rate // self.control_rate


def load_world(name: str | Path) -> WorldConfig:
    """A world by path or by name (``sim_worlds/<name>.yaml``)."""
    return load_yaml(find_file(name, "sim_worlds"), WorldConfig)


def draw_start(config: StartConfig, rng: np.random.Generator):
    """Position (3,), attitude (4,) xyzw, velocity (3,) and the task's yaw for one seed."""
    spread = config.pos_spread * rng.uniform(-1, 1, 3)
    vel = config.vel_spread * rng.uniform(-1, 1, 3)
    yaw = np.deg2rad(draw(config.yaw_deg, rng))
    vehicle_yaw = yaw + np.deg2rad(config.yaw_spread_deg) * rng.uniform(-1, 1)
    axis_angle = rng.uniform(0, 2 * np.pi)
    tilt = np.deg2rad(draw(config.tilt_deg, rng))
    axis = np.array([np.cos(axis_angle), np.sin(axis_angle), 0.0])
    quat = quat_multiply(quat_from_yaw(vehicle_yaw), quat_from_rotation_vector(tilt * axis))
    return np.array(config.pos) + spread, quat, vel, float(yaw)
