"""The nodes' parameters: one table of type, default, range, unit and description.

The ROS parameter descriptors, `config/controller.yaml` and the README table come from it. A field
marked ``read_only`` can't change while the node runs.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import annotated_types
from pydantic import BaseModel, Field

from liquid_control.config import MAX_SEED, StrictModel


def _parameter(
    default: Any, description: str, unit: str = "", read_only: bool = False, **bounds: float
) -> Any:
    extra = {"unit": unit, "read_only": read_only}
    return Field(default, description=description, json_schema_extra=extra, **bounds)


class InputGateParameters(StrictModel):
    """When a measurement is fit to fly on."""

    max_imu_age: float = _parameter(
        0.02, "older IMU samples stop the command stream", "s", ge=0.001, le=1.0
    )
    max_odometry_age: float = _parameter(
        0.1, "older odometry means level and descend", "s", ge=0.005, le=2.0
    )
    max_quat_error: float = _parameter(
        0.01, "largest deviation of the quaternion norm from 1", "", gt=0.0, le=0.1
    )
    max_stamp_jump: float = _parameter(
        0.5,
        "how far a stamp may run ahead of the time that passed",
        "s",
        gt=0,
        le=60,
    )
    new_clock_samples: int = _parameter(
        5, "refused stamps in a row that, if they agree, are a new clock", ge=2, le=1000
    )


class OutputGateParameters(StrictModel):
    """What may be sent."""

    max_thrust_slew: float = _parameter(
        2000.0, "largest change of thrust / mass in a second", "m/s^3", gt=0.0, le=1e5
    )
    max_rate_slew: float = _parameter(
        2000.0, "largest change of a commanded body rate in a second", "rad/s^2", gt=0.0, le=1e5
    )


class EnvelopeParameters(StrictModel):
    """Outside of it, or after a fault, the backup controller flies."""

    max_tilt: float = _parameter(
        3.2, "largest tilt that the policy may fly at; pi or more: any", "rad", gt=0.1, le=3.2
    )
    max_ang_vel: float = _parameter(
        30.0, "largest body rate that the policy may fly at", "rad/s", gt=0.5, le=100.0
    )
    max_dt: float = _parameter(
        0.1, "longest step that the policy may integrate over", "s", ge=0.002, le=1.0
    )
    recovery_time: float = _parameter(
        1.0, "time without a fault before the policy flies again", "s", ge=0.0, le=60.0
    )


class BackupParameters(StrictModel):
    """Gains of the geometric controller that takes over from the policy.

    The defaults are the result of ``liquid-control train config/training/expert_observer.yaml``.
    """

    position_gain: float = _parameter(15.4, "position error to acceleration", "1/s^2", ge=0, le=100)
    velocity_gain: float = _parameter(4.23, "velocity error to acceleration", "1/s", ge=0, le=30)
    integral_gain: float = _parameter(0.0, "integral of position error", "1/s^3", ge=0, le=200)
    observer_gain: float = _parameter(
        1.67, "bandwidth of the acceleration disturbance observer; 0: none", "1/s", ge=0, le=100
    )
    tilt_gain: float = _parameter(9.23, "tilt error to body rate", "1/s", gt=0, le=50)
    yaw_gain: float = _parameter(5.28, "heading error to yaw rate", "1/s", ge=0, le=20)
    max_tilt: float = _parameter(1.3, "largest commanded tilt", "rad", gt=0.05, le=1.4)
    max_integral: float = _parameter(12.0, "largest integral acceleration", "m/s^2", ge=0, le=20)
    descend_speed: float = _parameter(
        0.5, "downward speed when the position is lost", "m/s", gt=0, le=3
    )


class ControllerParameters(StrictModel):
    """All parameters of the controller."""

    policy: str = _parameter(
        "hover_liquid", "policy file, or the name of a shipped one", read_only=True
    )
    vehicle: str = _parameter(
        "crazyflie", "vehicle file, or the name of a shipped one", read_only=True
    )
    control_rate: float = _parameter(
        100.0, "steps in a second", "Hz", read_only=True, ge=10.0, le=1000.0
    )
    lockstep: bool = _parameter(
        False, "step on each odometry stamp in place of a timer (simulation)", read_only=True
    )
    autostart: bool = _parameter(
        False, "configure and activate at start, without a lifecycle manager", read_only=True
    )
    world_frame: str = _parameter(
        "odom", "frame that odometry and setpoints must be in (ENU)", read_only=True
    )
    body_frame: str = _parameter(
        "base_link", "frame that IMU and twist must be in (FLU)", read_only=True
    )
    max_pos_error: float = _parameter(
        1.5, "a setpoint further away is brought this close", "m", gt=0.05, le=20.0
    )
    input_gate: InputGateParameters = InputGateParameters()
    output_gate: OutputGateParameters = OutputGateParameters()
    envelope: EnvelopeParameters = EnvelopeParameters()
    backup: BackupParameters = BackupParameters()


class SimulatorParameters(StrictModel):
    """All parameters of the simulator node."""

    world: str = _parameter("hover_gusts", "world file, or the name of a shipped one")
    vehicle: str = _parameter("", "vehicle file, or the name of a shipped one; empty: the world's")
    seed: int = _parameter(0, "of wind, sensors and start", ge=0, le=MAX_SEED)
    duration: float = _parameter(0.0, "length of the flight; 0: the world's", "s", ge=0, le=1e5)
    lockstep: bool = _parameter(True, "wait for the command of each step; else in real time")
    answer_timeout: float = _parameter(
        10.0, "lockstep: then the controller is given up and the world flies on", "s", gt=0, le=600
    )
    start_timeout: float = _parameter(
        120.0, "wait so long for a controller and recorders, then fail", "s", gt=0, le=86400
    )
    subscribers: int = _parameter(
        1, "begin when each topic has as many: controller, recorders", ge=0, le=100
    )
    progress: bool = _parameter(False, "write JSON lines of the progress to standard output")


class RecorderParameters(StrictModel):
    """All parameters of the recorder node."""

    path: str = _parameter("flight.mcap", "file to write")
    hold_simulator: bool = _parameter(
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
            low=bounds.get("ge", bounds.get("gt")),
            high=bounds.get("le"),
            low_excluded="gt" in bounds,
        )


def controller_yaml() -> str:
    """The text of `config/controller.yaml`: every parameter of the controller at its default."""
    lines = [
        "# ROS parameters of the controller, at their defaults. Made from parameters.py:",
        "#     python -m liquid_control.parameters > config/controller.yaml",
        "/**/controller:",
        "  ros__parameters:",
    ]
    group: list[str] = []
    for row in parameter_table(ControllerParameters):
        *parents, name = row.name.split(".")
        if parents != group:
            lines += [f"{'  ' * (i + 2)}{parent}:" for i, parent in enumerate(parents)]
            group = parents
        notes = [row.description, row.unit, row.range, "read-only" if row.read_only else ""]
        comment = "; ".join(note for note in notes if note)
        lines.append(f"{'  ' * (len(parents) + 2)}{name}: {json.dumps(row.default)}  # {comment}")
    return "\n".join(lines) + "\n"


def parameter_markdown() -> str:
    """The table of the README."""
    lines = ["| parameter | default | range | unit | meaning |", "|---|---|---|---|---|"]
    for row in parameter_table(ControllerParameters):
        fixed = " (read-only)" if row.read_only else ""
        lines.append(
            f"| `{row.name}` | {json.dumps(row.default)} | {row.range} | {row.unit} "
            f"| {row.description}{fixed} |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    import sys

    sys.stdout.write(parameter_markdown() if "--markdown" in sys.argv else controller_yaml())
