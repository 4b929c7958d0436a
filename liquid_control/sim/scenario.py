"""The YAML of a world: vehicle, start, task, wind, sensors, success criteria.

`read_world` is the one way from a file to a `WorldConfig`, for whoever flies in it and whoever
checks it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    BeforeValidator,
    Field,
    TypeAdapter,
    ValidationError,
    field_validator,
    model_validator,
)

from liquid_control.config import (
    ConfigError,
    NonNegativeFloat,
    Share,
    StrictModel,
    find_file,
    merge,
    parse,
)
from liquid_control.extending import read_extended
from liquid_control.sim.faults import FaultConfig
from liquid_control.sim.named import Named
from liquid_control.sim.old_keys import refuse_old
from liquid_control.sim.quantities import (
    MAX_PHYSICS_RATE,
    Charge,
    Height,
    Span,
    Strength,
    Time,
    key,
)
from liquid_control.sim.scenery import course  # noqa: F401, registers its shape
from liquid_control.sim.scenery.config import SceneObjectConfig
from liquid_control.sim.sensors import FOLDER, AnySensor
from liquid_control.sim.sensors.camera import CameraConfig
from liquid_control.sim.sensors.imu import ImuConfig
from liquid_control.sim.sensors.odometry import OdometryConfig
from liquid_control.sim.start import StartConfig
from liquid_control.sim.task import SegmentConfig
from liquid_control.sim.wind.field import WindSourceConfig
from liquid_control.vehicles.catalogue import load_vehicle

MIN_PHYSICS_RATE = 400  # Hz; the semi-implicit step loses centimetres below
DURATION = 15.0  # s, of a world that says neither duration nor task
# where a world names files, which it looks for beside itself, see `extending.located`
PLACES = (
    *("vehicle:config/vehicle", "wind.*.kind", "wind.*.file", "faults.*.kind", "task.*.kind"),
    *("obstacles.*.shape", "sensors.*.kind"),
    *(
        f"{sensor}{end}:{FOLDER}"
        for sensor in ("imu", "odometry", "camera", "sensors.*")
        for end in ("", ".extends")
    ),
)
SENSORS = {"imu": "imu_bmi088", "odometry": "mocap"}  # a world's keys of them change these


def _without_null(limits: Any) -> Any:
    if not isinstance(limits, dict):
        return limits
    return {metric: limit for metric, limit in limits.items() if limit is not None}


Limits = Annotated[
    dict[str, NonNegativeFloat],
    BeforeValidator(_without_null, json_schema_input_type=dict[str, NonNegativeFloat | None]),
]


class SuccessConfig(StrictModel):
    """What a flight must reach beside not crashing."""

    settle_time: Time = key("errors before don't count", "s", default=3.0)
    limits: Limits = key(
        "largest allowed value of each metric, by its name in metrics; null takes away the limit "
        "of a world that this one extends",
        default={},
    )


class ArenaConfig(StrictModel):
    """Limits whose violation is a crash."""

    max_distance: float = key("from the setpoint", "m", default=3.0, gt=0, le=10_000)
    max_impact_speed: Annotated[Strength, Field(gt=0)] = key(
        "touching anything faster is a crash", "m/s", default=1.0
    )
    max_ground_tilt_deg: float = key("while touching the ground", "°", default=60.0, gt=0, le=180)


class PayloadConfig(StrictModel):
    """A point mass fixed under the vehicle."""

    mass: float = key("of the load", "kg", gt=0, le=1000)
    below: Annotated[Height, Field(le=100)] = key("under the centre of mass", "m")


class WorldConfig(StrictModel):
    """A world, every key of which has a default."""

    name: str = key("the file's name without its suffix", default="")
    description: str = key("a line about it", default="")
    vehicle: str = key("path, or a file in config/vehicle", default="crazyflie")
    policy: str = key(
        "what flies where nobody says so; default: that of the vehicle's parameters", default=""
    )
    vehicle_spread: Share = key(
        "0 the nominal vehicle, 1 drawn from the whole tolerances of its kind", default=0.0
    )
    payload: PayloadConfig | None = key("a load; null for none", default=None)
    battery_charge: Charge | None = key(
        "share at the start; null for constant voltage", default=None
    )
    control_rate: int = key("divides the physics rate", "Hz", default=100, gt=0)
    physics_rate: int = key(
        "steps of physics", "Hz", default=500, ge=MIN_PHYSICS_RATE, le=MAX_PHYSICS_RATE
    )
    duration: Span = key("default: as long as the task, or 15 s", "s", default=DURATION)
    start: StartConfig = key("where the flight begins", default=StartConfig())
    task: tuple[SegmentConfig, ...] = key(
        "segments in a row; a shorter one than the duration holds its last position; default: "
        "hover all along",
        default=(),
        min_length=1,
    )
    wind: tuple[WindSourceConfig, ...] = key("sources that add up", default=())
    imu: Annotated[ImuConfig, Named(FOLDER)] = key(
        "the IMU", default=SENSORS["imu"], validate_default=True
    )
    odometry: Annotated[OdometryConfig, Named(FOLDER)] = key(
        "the source of pose and twist", default=SENSORS["odometry"], validate_default=True
    )
    camera: Annotated[CameraConfig, Named(FOLDER)] | None = key(
        "a camera; null for none", default=None
    )
    sensors: dict[str, AnySensor] = key("further sensors by name", default={})
    obstacles: tuple[SceneObjectConfig, ...] = key("what can be hit and seen", default=())
    faults: tuple[FaultConfig, ...] = key("what goes wrong, and when", default=())
    arena: ArenaConfig = key("what is a crash", default=ArenaConfig())
    success: SuccessConfig = key("what a good flight is", default=SuccessConfig())

    @model_validator(mode="before")
    @classmethod
    def _fill(cls, data: Any) -> Any:
        """Sensors given in part; duration and task, each of which follows from the other."""
        if not isinstance(data, dict):
            return data
        refuse_old(data)
        data = merge(SENSORS, data)
        if "task" not in data:
            duration = _valid(_SPAN, data.get("duration")) or DURATION
            return {**data, "task": [{"kind": "hover", "duration": duration}]}
        if "duration" not in data:
            segments = _valid(_TASK, data["task"])
            duration = sum(segment.duration for segment in segments) if segments else DURATION
            return {**data, "duration": duration}
        return data

    @field_validator("vehicle")
    @classmethod
    def _vehicle_flies(cls, name: str) -> str:
        load_vehicle(name)
        # one in the working folder is found from any other
        return str(Path(name).absolute()) if Path(name).is_file() else name

    @field_validator("sensors")
    @classmethod
    def _own_names(cls, sensors: dict[str, Any]) -> dict[str, Any]:
        taken = sorted({"imu", "odometry", "image"} & set(sensors))
        if taken:
            raise ValueError(f"a further sensor must have a name of its own, got {taken[0]!r}")
        for name in sensors:
            if not _TOPIC_TOKEN.fullmatch(name):
                raise ValueError(
                    "the name of a sensor is that of its topic: expected letters, digits and "
                    f"single _, not beginning with a digit nor ending with _, got {name!r}"
                )
        return sensors

    @model_validator(mode="after")
    def _settles(self):
        settle_time, rate = self.success.settle_time, self.control_rate
        if round(self.duration * rate) - 1 <= settle_time * rate:
            raise ValueError(
                f"success.settle_time (3 s if not given) must end before the last control period "
                f"of the {self.duration:g} s, got {settle_time:g} s"
            )
        return self

    @model_validator(mode="after")
    def _stands_on(self):
        shapes = {item.shape for item in self.obstacles}
        for k, segment in enumerate(self.task):
            wanted = getattr(segment, "stands_on", None)
            if wanted is not None and not shapes & set(wanted):
                raise ValueError(
                    f"task.{k}: {segment.kind} needs an obstacle of the shape "
                    f"{' or '.join(map(repr, wanted))}, got {sorted(shapes)}"
                )
        return self

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


_TOPIC_TOKEN = re.compile(r"_?[A-Za-z][A-Za-z0-9]*(_[A-Za-z0-9]+)*")  # of ROS names
_SPAN, _TASK = TypeAdapter(Span), TypeAdapter(tuple[SegmentConfig, ...])


def _valid(adapter: TypeAdapter, value: Any) -> Any:
    """``None`` for a mistake, which is named with all others."""
    try:
        return adapter.validate_python(value)
    except ValidationError:
        return None


def read_world(
    name: str | Path,
    changes: Mapping[str, Any] | None = None,
    *,
    source: str | Path | None = None,
) -> WorldConfig:
    """A world by path or by name (``sim_worlds/<name>.yaml``), with changes.

    A file may extend another, and changes go into it by the same rule, see `config.merge`. A world
    has the name of its file, unless the changes give another.

    Args:
        source: what the error names in place of the file, where the changes matter.

    Raises:
        ConfigError: for any mistake; its `details` name each by key and reason.
    """
    path = find_file(name, "sim_worlds")
    data = read_extended(path, "sim_worlds", own=("name", "description"), places=PLACES)
    if data is None:
        data = {}  # every key has a default
    if isinstance(data, dict):
        if data.get("name", path.stem) != path.stem:
            detail = ("name", f"expected {path.stem!r} or no name, got {data['name']!r}")
            raise ConfigError(f"{path}: {': '.join(detail)}", [detail])
        data = merge({"name": path.stem, **data}, dict(changes or {}))
    try:
        return parse(data, WorldConfig, source or path, path=path)
    except ConfigError as error:
        raise _first_cause(error, source or path) from None


def _first_cause(error: ConfigError, source: str | Path) -> ConfigError:
    """Without the kinds that nobody knows only because their vehicle's file could not be read."""
    if "vehicle" not in dict(error.details):
        return error
    details = [
        (key, reason)
        for key, reason in error.details
        if not (key.endswith((".kind", ".shape")) and reason.startswith("expected one of "))
    ]
    text = "; ".join(": ".join(filter(None, detail)) for detail in details)
    return ConfigError(f"{source}: {text}", details)


def load_world(name: str | Path) -> WorldConfig:
    """A world by path or by name, as it stands: use it to make a `World`; see `read_world`.

    Raises:
        ConfigError: that names file, key and reason of every mistake.
    """
    return read_world(name)
