"""The autopilot below the controller: body-rate loop, mixer, and its own failsafe.

It takes what a PX4, ArduPilot or Crazyflie takes in rate mode, collective thrust / mass and body
rates, and knows only nominal parameters. Array-neutral like `quadrotor`; the formulas stand in
`kernel`.
"""

from __future__ import annotations

from liquid_control.frames import Array, stack
from liquid_control.structs import GRAVITY
from liquid_control.vehicles.quadrotor import physics
from liquid_control.vehicles.quadrotor.params import RateLoopParams

FAILSAFE_DESCENT = 0.5  # m/s
FAILSAFE_LEVEL_GAIN = 5.0  # 1/s, tilt to body rate
FAILSAFE_DESCENT_GAIN = 4.0  # 1/s; enough to sink through the ground effect


def rotor_speed_command(
    thrust: Array, ang_vel_cmd_body: Array, ang_vel_body: Array, params: RateLoopParams
) -> Array:
    """Rotor speeds ``(4, *batch)``, rad/s, for thrust / mass ``(*batch)`` in m/s² and body rates
    ``(3, *batch)`` in rad/s, with the measured rates ``ang_vel_body`` ``(3, *batch)``."""
    return stack(
        ang_vel_body,
        *physics.rotor_speed_command(thrust, tuple(ang_vel_cmd_body), tuple(ang_vel_body), params),
    )


def failsafe_command(quat_world_body: Array, vel_world: Array) -> tuple[Array, Array]:
    """Thrust ``(*batch)`` and body rates ``(3, *batch)`` that level the vehicle and let it down.

    What the autopilot flies on its own sensors once the command stream has stopped for
    ``command_timeout``. Levelling turns about the axis from body z to world z.
    """
    x, y, z, w = quat_world_body
    up_x, up_y = 2 * (x * z - y * w), 2 * (y * z + x * w)  # world z in the body frame
    up_z = 1 - 2 * (x * x + y * y)
    # thrust only where it points up; gain so that the vertical velocity settles at the descent
    thrust = (GRAVITY - FAILSAFE_DESCENT_GAIN * (vel_world[2] + FAILSAFE_DESCENT)) * (
        physics.maximum(up_z, 0.0)
    )
    rates = stack(
        quat_world_body, -FAILSAFE_LEVEL_GAIN * up_y, FAILSAFE_LEVEL_GAIN * up_x, up_x * 0
    )
    return thrust, rates
