"""What the controller of a quadrotor can be told besides what every controller can.

python -m liquid_control.vehicles.quadrotor.parameters > config/controller.yaml
"""

from __future__ import annotations

from liquid_control.config import StrictModel
from liquid_control.parameters import (
    ControllerParameters,
    EnvelopeParameters,
    controller_yaml,
    parameter,
)

COMMAND = "python -m liquid_control.vehicles.quadrotor.parameters > config/controller.yaml"


class OutputGateParameters(StrictModel):
    """What may be sent."""

    max_thrust_slew: float = parameter(
        2000.0, "largest change of thrust / mass in a second", "m/s^3", gt=0.0, le=1e5
    )
    max_rate_slew: float = parameter(
        2000.0, "largest change of a commanded body rate in a second", "rad/s^2", gt=0.0, le=1e5
    )


class QuadrotorEnvelope(EnvelopeParameters):
    """Outside of it, or after a fault, the backup controller flies."""

    max_tilt: float = parameter(
        3.2, "largest tilt that the policy may fly at; pi or more: any", "rad", gt=0.1, le=3.2
    )
    max_ang_vel: float = parameter(
        30.0, "largest body rate that the policy may fly at", "rad/s", gt=0.5, le=100.0
    )


class GeometricGains(StrictModel):
    """Gains of the geometric controller.

    The defaults are the result of ``liquid-control train config/training/expert_observer.yaml``.
    """

    position_gain: float = parameter(15.4, "position error to acceleration", "1/s^2", ge=0, le=100)
    velocity_gain: float = parameter(4.23, "velocity error to acceleration", "1/s", ge=0, le=30)
    integral_gain: float = parameter(0.0, "integral of position error", "1/s^3", ge=0, le=200)
    observer_gain: float = parameter(
        1.67, "bandwidth of the acceleration disturbance observer; 0: none", "1/s", ge=0, le=100
    )
    tilt_gain: float = parameter(9.23, "tilt error to body rate", "1/s", gt=0, le=50)
    yaw_gain: float = parameter(5.28, "heading error to yaw rate", "1/s", ge=0, le=20)
    max_tilt: float = parameter(1.3, "largest commanded tilt", "rad", gt=0.05, le=1.4)
    max_integral: float = parameter(12.0, "largest integral acceleration", "m/s^2", ge=0, le=20)
    descend_speed: float = parameter(
        0.5, "downward speed when the position is lost", "m/s", gt=0, le=3
    )


class QuadrotorParameters(ControllerParameters):
    """All parameters of the controller of a quadrotor."""

    output_gate: OutputGateParameters = OutputGateParameters()
    envelope: QuadrotorEnvelope = QuadrotorEnvelope()
    backup: GeometricGains = GeometricGains()


if __name__ == "__main__":
    import sys

    sys.stdout.write(controller_yaml(QuadrotorParameters, COMMAND))
