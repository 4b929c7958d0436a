"""Battery, spread of vehicles, payload."""

import numpy as np
import pytest

from liquid_control.vehicles.quadrotor.battery import Battery
from liquid_control.vehicles.quadrotor.params import QuadrotorParams
from liquid_control.vehicles.quadrotor.variation import draw_params, with_payload


def test_battery_sags_under_load_and_recovers(vehicle):
    config = vehicle.battery
    battery = Battery(config, 1.0)
    assert battery.drain((0.0,) * 4, 1.0) == pytest.approx(
        config.full_voltage / config.rated_voltage
    )
    hover = (vehicle.hover_speed,) * 4
    battery.drain(hover, 1.0)
    power = 4 * config.power_coefficient * vehicle.hover_speed**3
    current = power / battery.voltage
    assert battery.voltage == pytest.approx(
        config.full_voltage - current * config.resistance, abs=1e-3
    )


def test_battery_lasts_as_long_as_its_data_sheet_says(vehicle):
    battery, seconds = Battery(vehicle.battery, 1.0), 0
    while battery.drain((vehicle.hover_speed,) * 4, 1.0) > 0:
        seconds += 1
    assert seconds == pytest.approx(7 * 60, rel=0.1)


def test_spread_stays_within_the_tolerances(vehicle, rng):
    nominal = QuadrotorParams.from_vehicle(vehicle)
    assert draw_params(vehicle, rng, 0.0) == nominal
    masses = [draw_params(vehicle, rng, 1.0).mass / nominal.mass for _ in range(300)]
    limit = vehicle.tolerances.mass
    assert max(masses) <= 1 + limit
    assert min(masses) >= 1 - limit
    assert np.std(masses) == pytest.approx(limit / np.sqrt(3), rel=0.1)


def test_a_batch_is_drawn_with_the_same_spread(vehicle, rng):
    nominal = QuadrotorParams.from_vehicle(vehicle)
    params = draw_params(vehicle, rng, 1.0, (4000,))
    for value, whole, limit in (
        (params.mass, nominal.mass, vehicle.tolerances.mass),
        (params.inertia[2], nominal.inertia[2], vehicle.tolerances.inertia),
        (params.efficiency[3], 1.0, vehicle.tolerances.thrust),
        (params.drag_linear[0], nominal.drag_linear[0], vehicle.tolerances.drag),
        (
            params.time_constant_up,
            nominal.time_constant_up,
            vehicle.tolerances.time_constant,
        ),
    ):
        assert value.shape == (4000,)
        assert np.abs(value / whole - 1).max() <= limit + 1e-12
        assert np.std(value / whole) == pytest.approx(limit / np.sqrt(3), rel=0.1, abs=1e-12)
    assert params.max_speed == nominal.max_speed


def test_payload_shifts_the_centre_of_mass(vehicle):
    nominal = QuadrotorParams.from_vehicle(vehicle)
    loaded = with_payload(nominal, 0.009, 0.04)
    assert loaded.mass == pytest.approx(0.036)
    # rotors 1 cm above the common centre; two point masses about it, plus the body's own inertia
    np.testing.assert_allclose(loaded.rotor_pos_body[2], 0.01)
    expected = nominal.inertia[0] + 0.027 * 0.01**2 + 0.009 * 0.03**2
    assert loaded.inertia[0] == pytest.approx(expected)
    assert loaded.inertia[2] == nominal.inertia[2]
