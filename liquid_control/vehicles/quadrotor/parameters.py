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
    max_acceleration: float = parameter(
        5.0, "largest change of a commanded velocity in a second", "m/s^2", gt=0.0, le=100.0
    )
    max_yaw_acceleration: float = parameter(
        10.0, "largest change in a second of a yaw rate beside it", "rad/s^2", gt=0.0, le=1e3
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


class PilotGains(StrictModel):
    """Gains of the pilot that only a simulated world can tell what a camera would see."""

    stand_off: float = parameter(
        1.5, "horizontal distance of the target that it keeps", "m", gt=0, le=20
    )
    approach_gain: float = parameter(1.3, "distance that is left to speed", "1/s", gt=0, le=5)
    max_speed: float = parameter(1.6, "towards the target", "m/s", gt=0, le=10)
    max_back: float = parameter(0.6, "away from the target", "m/s", ge=0, le=5)
    climb_gain: float = parameter(1.0, "height that is missing to climb", "1/s", ge=0, le=5)
    max_climb: float = parameter(0.7, "up and down", "m/s", ge=0, le=5)
    yaw_gain: float = parameter(2.0, "bearing of the target to yaw rate", "1/s", gt=0, le=10)
    max_yaw_rate: float = parameter(1.2, "towards the target", "rad/s", gt=0, le=5)
    search_rate: float = parameter(0.9, "yaw rate until the target is seen", "rad/s", gt=0, le=5)
    memory: float = parameter(
        6.0, "how long it flies to a target that is out of sight", "s", ge=0, le=60
    )
    look: float = parameter(3.0, "how far ahead it looks for a free way", "m", gt=0, le=20)
    keep_clear: float = parameter(0.5, "from its middle to the surface of a tree", "m", gt=0, le=5)
    margin: float = parameter(0.4, "before a tree, where it stands still", "m", ge=0, le=5)
    braking: float = parameter(1.0, "with which it slows down before a tree", "m/s^2", gt=0, le=10)
    commitment: float = parameter(0.5, "how much it sticks to the way it flies", "", ge=0, le=10)
    caution: float = parameter(
        2.0, "how much a free way counts, rad for one that is blocked", "rad", ge=0, le=20
    )
    gate_speed: float = parameter(1.2, "through a gate, on its axis", "m/s", gt=0, le=10)
    gate_near: float = parameter(
        0.4, "before a gate, from where on it flies straight through", "m", gt=0, le=5
    )
    gate_gain: float = parameter(2.0, "distance from the axis to velocity", "1/s", gt=0, le=10)
    gate_funnel: float = parameter(
        0.5, "distance from the axis over that to the gate, where it waits", "", gt=0, le=5
    )


class QuadrotorParameters(ControllerParameters):
    """All parameters of the controller of a quadrotor."""

    output_gate: OutputGateParameters = OutputGateParameters()
    envelope: QuadrotorEnvelope = QuadrotorEnvelope()
    backup: GeometricGains = GeometricGains()
    pilot: PilotGains = PilotGains()


if __name__ == "__main__":
    import sys

    sys.stdout.write(controller_yaml(QuadrotorParameters, COMMAND))
