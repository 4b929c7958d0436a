"""The nodes' parameters: one table of type, default, range, unit and description.

The ROS parameter descriptors, `config/controller.yaml` and the README table come from it. A field
marked ``read_only`` can't change while the node runs.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce
from typing import Any

import annotated_types
from pydantic import BaseModel, Field

from liquid_control.config import MAX_SEED, StrictModel


def parameter(
    default: Any,
    description: str,
    unit: str = "",
    read_only: bool = False,
    ros_only: bool = False,
    **bounds: float,
) -> Any:
    """A row of the table: a field of a model of parameters.

    With ``ros_only`` it says how a node finds its inputs and is started, and changes no flight of
    a given policy and vehicle; see `flown_values`.
    """
    extra = {"unit": unit, "read_only": read_only, "ros_only": ros_only}
    return Field(default, description=description, json_schema_extra=extra, **bounds)


class InputGateParameters(StrictModel):
    """When a measurement is fit to fly on."""

    max_imu_age: float = parameter(
        0.02, "older IMU samples stop the command stream", "s", ge=0.001, le=1.0
    )
    max_odometry_age: float = parameter(
        0.1, "older odometry means level and descend", "s", ge=0.005, le=2.0
    )
    max_image_age: float = parameter(
        0.3,
        "of a vehicle that steers by camera: older images mean brake and hold",
        "s",
        ge=0.01,
        le=5.0,
    )
    max_quat_error: float = parameter(
        0.01, "largest deviation of the quaternion norm from 1", "", gt=0.0, le=0.1
    )
    max_stamp_jump: float = parameter(
        0.5,
        "how far a stamp may run ahead of the time that passed",
        "s",
        gt=0,
        le=60,
    )
    new_clock_samples: int = parameter(
        5, "refused stamps in a row that, if they agree, are a new clock", ge=2, le=1000
    )


class EnvelopeParameters(StrictModel):
    """Outside of it, or after a fault, the backup controller flies."""

    max_dt: float = parameter(
        0.1, "longest step that the policy may integrate over", "s", ge=0.002, le=1.0
    )
    recovery_time: float = parameter(
        1.0, "time without a fault before the policy flies again", "s", ge=0.0, le=60.0
    )


class ControllerParameters(StrictModel):
    """What every controller can be told; each kind of vehicle adds groups of its own.

    Use `runtime.catalogue.make_parameters`, which makes those of a vehicle.
    """

    policy: str = parameter(
        "hover_liquid", "policy file, or the name of a shipped one", read_only=True, ros_only=True
    )
    vehicle: str = parameter(
        "crazyflie", "vehicle file, or the name of a shipped one", read_only=True, ros_only=True
    )
    control_rate: float = parameter(
        100.0, "steps in a second", "Hz", read_only=True, ge=10.0, le=1000.0
    )
    lockstep: bool = parameter(
        False,
        "step on each odometry stamp in place of a timer (simulation)",
        read_only=True,
        ros_only=True,
    )
    autostart: bool = parameter(
        False,
        "configure and activate at start, without a lifecycle manager",
        read_only=True,
        ros_only=True,
    )
    arming: bool = parameter(
        False,
        "stand by until the topic `armed` says true; else every command acts",
        read_only=True,
        ros_only=True,
    )
    compressed_images: bool = parameter(
        False,
        "hear the camera's compressed images (JPEG, PNG) in place of the raw ones",
        read_only=True,
        ros_only=True,
    )
    world_frame: str = parameter(
        "odom", "frame that odometry and setpoints must be in (ENU)", read_only=True, ros_only=True
    )
    body_frame: str = parameter(
        "base_link", "frame that IMU and twist must be in (FLU)", read_only=True, ros_only=True
    )
    max_pos_error: float = parameter(
        1.5, "a setpoint further away is brought this close", "m", gt=0.05, le=20.0
    )
    input_gate: InputGateParameters = InputGateParameters()
    envelope: EnvelopeParameters = EnvelopeParameters()


class SimulatorParameters(StrictModel):
    """All parameters of the simulator node."""

    world: str = parameter("hover_gusts", "world file, or the name of a shipped one")
    vehicle: str = parameter("", "vehicle file, or the name of a shipped one; empty: the world's")
    command: str = parameter("", "kind of command that it is flown by; empty: the vehicle's first")
    seed: int = parameter(0, "of wind, sensors and start", ge=0, le=MAX_SEED)
    duration: float = parameter(0.0, "length of the flight; 0: the world's", "s", ge=0, le=1e5)
    lockstep: bool = parameter(True, "wait for the command of each step; else in real time")
    answer_timeout: float = parameter(
        10.0, "lockstep: then the controller is given up and the world flies on", "s", gt=0, le=600
    )
    start_timeout: float = parameter(
        120.0, "wait so long for a controller and recorders, then fail", "s", gt=0, le=86400
    )
    subscribers: int = parameter(
        1, "begin when each topic has as many: controller, recorders", ge=0, le=100
    )
    imports: str = parameter(
        "", "package.module:Name or file.py:Name, imported before the world is read"
    )
    progress: bool = parameter(False, "write JSON lines of the progress to standard output")


class RecorderParameters(StrictModel):
    """All parameters of the recorder node."""

    path: str = parameter("flight.mcap", "file to write")
    command: str = parameter("", "kind of command that is recorded; empty: every kind there is")
    images: bool = parameter(False, "record what the camera sees, too")
    hold_simulator: bool = parameter(
        False, "let the simulator (its `subscribers`) begin only once all nodes are discovered"
    )


@dataclass(frozen=True)
class Parameter:
    """One row of the table; the name is dotted as in ROS 2."""

    name: str
    type: type
    default: Any
    unit: str
    description: str
    read_only: bool
    ros_only: bool
    low: float | None  # None: no bound
    high: float | None
    low_excluded: bool  # the value must be larger than `low`

    @property
    def range(self) -> str:
        """The bounds for people, ``(0, 50]``; empty where there are none."""
        if self.low is None:
            return ""
        return f"{'(' if self.low_excluded else '['}{self.low:g}, {self.high:g}]"


def parameter_table(model: type[BaseModel], prefix: str = "") -> Iterator[Parameter]:
    """The rows of a model and of the models in it."""
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from parameter_table(field.annotation, f"{prefix}{name}.")
            continue
        bounds: dict[str, float] = {}
        for bound in field.metadata:
            for kind in ("ge", "gt", "le"):
                if isinstance(bound, getattr(annotated_types, kind.capitalize())):
                    bounds[kind] = getattr(bound, kind)
        yield Parameter(
            name=prefix + name,
            type=field.annotation,
            default=field.default,
            unit=field.json_schema_extra["unit"],
            description=field.description,
            read_only=field.json_schema_extra["read_only"],
            ros_only=field.json_schema_extra["ros_only"],
            low=bounds.get("ge", bounds.get("gt")),
            high=bounds.get("le"),
            low_excluded="gt" in bounds,
        )


def flown_values(parameters: ControllerParameters) -> dict[str, Any]:
    """The values that a flight depends on, by dotted name: all that are not ``ros_only``."""
    return {
        row.name: reduce(getattr, row.name.split("."), parameters)
        for row in parameter_table(type(parameters))
        if not row.ros_only
    }


def controller_yaml(model: type[ControllerParameters], command: str) -> str:
    """The text of a parameter file with everything at its default; ``command`` makes the file."""
    lines = [
        "# ROS parameters of the controller, at their defaults. Made by:",
        f"#     {command}",
        "/**/controller:",
        "  ros__parameters:",
    ]
    group: list[str] = []
    for row in parameter_table(model):
        *parents, name = row.name.split(".")
        if parents != group:
            lines += [f"{'  ' * (i + 2)}{parent}:" for i, parent in enumerate(parents)]
            group = parents
        notes = [row.description, row.unit, row.range, "read-only" if row.read_only else ""]
        comment = "; ".join(note for note in notes if note)
        lines.append(f"{'  ' * (len(parents) + 2)}{name}: {json.dumps(row.default)}  # {comment}")
    return "\n".join(lines) + "\n"


def parameter_markdown(model: type[ControllerParameters]) -> str:
    """The table of the documentation."""
    lines = ["| parameter | default | range | unit | meaning |", "|---|---|---|---|---|"]
    for row in parameter_table(model):
        fixed = " (read-only)" if row.read_only else ""
        lines.append(
            f"| `{row.name}` | {json.dumps(row.default)} | {row.range} | {row.unit} "
            f"| {row.description}{fixed} |"
        )
    return "\n".join(lines) + "\n"
