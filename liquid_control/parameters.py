"""The controller's parameters: one table of type, default, range, unit and description.

The ROS parameter descriptors, `config/controller.yaml` and the README table come from it. A field
marked ``read_only`` can't change while the node runs.
"""

from __future__ import annotations

from typing import Any

from pydantic import Field

from liquid_control.config import StrictModel


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
    """Gains of the geometric controller that takes over from the policy."""

    position_gain: float = _parameter(7.0, "position error to acceleration", "1/s^2", ge=0, le=50)
    velocity_gain: float = _parameter(4.5, "velocity error to acceleration", "1/s", ge=0, le=30)
    integral_gain: float = _parameter(3.0, "integral of position error", "1/s^3", ge=0, le=30)
    tilt_gain: float = _parameter(10.0, "tilt error to body rate", "1/s", gt=0, le=50)
    yaw_gain: float = _parameter(3.0, "heading error to yaw rate", "1/s", ge=0, le=20)
    max_tilt: float = _parameter(0.8, "largest commanded tilt", "rad", gt=0.05, le=1.4)
    max_integral: float = _parameter(4.0, "largest integral acceleration", "m/s^2", ge=0, le=20)
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
    max_pos_error: float = _parameter(
        1.5, "a setpoint further away is brought this close", "m", gt=0.05, le=20.0
    )
    input_gate: InputGateParameters = InputGateParameters()
    output_gate: OutputGateParameters = OutputGateParameters()
    envelope: EnvelopeParameters = EnvelopeParameters()
    backup: BackupParameters = BackupParameters()
