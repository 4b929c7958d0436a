"""The mixer: what it allots, and what gives way when the rotors saturate."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liquid_control.config import ConfigError
from liquid_control.structs import GRAVITY
from liquid_control.vehicles.catalogue import load_vehicle
from liquid_control.vehicles.quadrotor.autopilot import rotor_speed_command
from liquid_control.vehicles.quadrotor.params import QuadrotorParams, RateLoopParams

VEHICLE = load_vehicle("crazyflie")
LOOP = RateLoopParams.from_vehicle(VEHICLE)
PARAMS = QuadrotorParams.from_vehicle(VEHICLE)
STILL = np.zeros(3)


def wrench(speeds):
    """Collective thrust and torques of steady rotors."""
    x, y, _ = PARAMS.rotor_pos_body
    thrust = PARAMS.thrust_coefficient * speeds**2
    yaw = -PARAMS.torque_coefficient * np.dot(PARAMS.rotor_direction, speeds**2)
    return np.array([thrust.sum(), np.dot(y, thrust), -np.dot(x, thrust), yaw])


def test_within_limits_the_wrench_is_exact():
    rates = np.array([0.1, -0.2, 0.05])
    got = wrench(rotor_speed_command(GRAVITY, rates, STILL, LOOP))
    torque = np.array(VEHICLE.inertia) * VEHICLE.autopilot.rate_gain * rates
    np.testing.assert_allclose(got, [VEHICLE.mass * GRAVITY, *torque], rtol=1e-9)


@settings(max_examples=200, deadline=None)
@given(
    st.floats(-50, 100),
    *(st.floats(-100, 100) for _ in range(6)),
)
def test_speeds_never_leave_the_limits(thrust, cx, cy, cz, wx, wy, wz):
    speeds = rotor_speed_command(thrust, np.array([cx, cy, cz]), np.array([wx, wy, wz]), LOOP)
    assert np.all(speeds >= VEHICLE.motor.min_speed * (1 - 1e-6))
    assert np.all(speeds <= VEHICLE.motor.max_speed * (1 + 1e-6))


@pytest.mark.parametrize("thrust", [0.0, 100.0])
def test_attitude_comes_before_thrust(thrust):
    """At zero or full thrust the roll torque is still the one asked for; thrust gives way."""
    rates = np.array([2.0, 0.0, 0.0])
    got = wrench(rotor_speed_command(thrust, rates, STILL, LOOP))
    asked = VEHICLE.inertia[0] * VEHICLE.autopilot.rate_gain[0] * 2.0
    np.testing.assert_allclose(got[1], asked, rtol=1e-6)


def test_yaw_gives_way_to_thrust():
    full = 4 * LOOP.max_thrust / VEHICLE.mass
    got = wrench(rotor_speed_command(full, np.array([0.0, 0.0, 4.0]), STILL, LOOP))
    np.testing.assert_allclose(got[0], 4 * LOOP.max_thrust, rtol=1e-6)
    assert abs(got[3]) < 1e-9


def test_an_unbalanced_layout_is_refused():
    positions = [list(p) for p in VEHICLE.rotor_positions]
    positions[0][0] *= 2
    bad = VEHICLE.model_copy(update={"rotor_positions": tuple(map(tuple, positions))})
    with pytest.raises(ConfigError, match="balance"):
        RateLoopParams.from_vehicle(bad)
