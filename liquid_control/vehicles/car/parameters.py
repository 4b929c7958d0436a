"""What the controller of a car can be told besides what every controller can."""

from __future__ import annotations

from liquid_control.config import StrictModel
from liquid_control.parameters import ControllerParameters, parameter


class CarOutputGate(StrictModel):
    """What may be sent."""

    max_acceleration: float = parameter(
        3.0, "largest change of the commanded speed in a second", "m/s^2", gt=0.0, le=20.0
    )
    max_yaw_acceleration: float = parameter(
        4.0, "largest change of the commanded yaw rate in a second", "rad/s^2", gt=0.0, le=100.0
    )


class PursuitGains(StrictModel):
    """Gains of the lane follower, which only a simulated world can tell where the lane is."""

    cruise_speed: float = parameter(8.0, "where the lane is straight", "m/s", gt=0, le=30)
    bandwidth: float = parameter(
        1.5, "of the return to the middle of the lane", "rad/s", gt=0, le=5
    )
    damping: float = parameter(0.85, "of that return", "", gt=0, le=3)
    preview: float = parameter(0.35, "how far ahead it steers", "s", ge=0, le=2)
    max_lateral_acceleration: float = parameter(
        2.2, "it slows down in a bend so as not to exceed it", "m/s^2", gt=0, le=8
    )
    max_turn: float = parameter(
        4.0, "lateral acceleration that it steers with at most", "m/s^2", gt=0, le=8
    )


class CarParameters(ControllerParameters):
    """All parameters of the controller of a car."""

    vehicle: str = parameter(
        "car", "vehicle file, or the name of a shipped one", read_only=True, ros_only=True
    )
    policy: str = parameter(
        "lane_liquid", "policy file, or the name of a shipped one", read_only=True, ros_only=True
    )
    control_rate: float = parameter(
        50.0, "steps in a second", "Hz", read_only=True, ge=10.0, le=1000.0
    )
    output_gate: CarOutputGate = CarOutputGate()
    pursuit: PursuitGains = PursuitGains()
