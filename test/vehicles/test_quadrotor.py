"""The dynamics against mechanics, and NumPy against torch."""

import numpy as np
import pytest
import torch

from liquid_control.frames import quat_from_yaw, rotate, rotate_inverse
from liquid_control.structs import GRAVITY
from liquid_control.vehicles.quadrotor import dynamics
from liquid_control.vehicles.quadrotor.autopilot import failsafe_command, rotor_speed_command
from liquid_control.vehicles.quadrotor.dynamics import QuadrotorState, advance, hover_state, step
from liquid_control.vehicles.quadrotor.params import QuadrotorParams, RateLoopParams

LEVEL = np.array([0.0, 0.0, 0.0, 1.0])
STILL = np.zeros(3)
OFF = np.zeros(4)


@pytest.fixture
def params(vehicle):
    return QuadrotorParams.from_vehicle(vehicle)


@pytest.fixture
def vacuum(params):
    """No air but for the rotors' thrust: no drag, no ground effect, no rotor inertia."""
    none = (0.0, 0.0, 0.0)
    return params._replace(
        drag_linear=none, drag_quadratic=none, drag_rotor=none, ground_effect=0.0, rotor_inertia=0.0
    )


def random_state(rng, batch):
    quat = rng.normal(size=(4, *batch))
    return QuadrotorState(
        pos_world=rng.normal(size=(3, *batch))
        + np.array([0, 0, 5.0]).reshape(3, *[1] * len(batch)),
        quat_world_body=quat / np.linalg.norm(quat, axis=0),
        vel_world=3 * rng.normal(size=(3, *batch)),
        ang_vel_body=4 * rng.normal(size=(3, *batch)),
        rotor_speed=rng.uniform(0, 2200, size=(4, *batch)),
    )


def test_free_fall(vacuum):
    dt, n = 1 / 500, 500
    state = QuadrotorState(np.array([0, 0, 9.0]), LEVEL, STILL, STILL, OFF)
    for _ in range(n):
        state, force = advance(state, OFF, STILL, vacuum, dt)
        np.testing.assert_allclose(force, 0, atol=1e-12)
    # the semi-implicit step sums g dt (k + 1) dt: ½ g t² and a first-order rest
    fall = 9.0 - state.pos_world[2]
    np.testing.assert_allclose(fall, 0.5 * GRAVITY * (n * dt) ** 2 * (1 + 1 / n), rtol=1e-12)
    np.testing.assert_allclose(state.vel_world, [0, 0, -GRAVITY], rtol=1e-12)


def test_hover_speed_carries_the_weight_at_any_heading(vacuum, vehicle):
    state = hover_state(vacuum, np.array([1.0, 2.0, 3.0]), quat_from_yaw(np.float64(1.1)))
    np.testing.assert_allclose(state.rotor_speed, vehicle.hover_speed)
    command = state.rotor_speed
    for _ in range(200):
        state, force = advance(state, command, STILL, vacuum, 1 / 500)
    np.testing.assert_allclose(state.pos_world, [1, 2, 3], atol=1e-9)
    np.testing.assert_allclose(force, [0, 0, GRAVITY], rtol=1e-12)


def test_terminal_velocity(params, vehicle):
    """Falling with the rotors off: weight = linear + quadratic drag."""
    state = QuadrotorState(np.array([0, 0, 1e3]), LEVEL, STILL, STILL, OFF)
    for _ in range(1500):
        state = step(state, OFF, STILL, params, 1 / 100)
    linear, quadratic = vehicle.drag.linear[2], vehicle.drag.quadratic[2]
    weight = vehicle.mass * GRAVITY
    speed = (-linear + np.sqrt(linear**2 + 4 * quadratic * weight)) / (2 * quadratic)
    np.testing.assert_allclose(state.vel_world, [0, 0, -speed], rtol=1e-6)


@pytest.mark.parametrize("yaw", [0.0, 0.7, -2.5])
def test_wind_from_the_north_pushes_south_at_any_yaw(params, yaw):
    north_wind = np.array([0.0, -5.0, 0.0])
    state = hover_state(params, np.array([0, 0, 5.0]), quat_from_yaw(np.float64(yaw)))
    command = state.rotor_speed
    for _ in range(100):
        state = step(state, command, north_wind, params, 1 / 500)
    east, north, _ = state.pos_world
    assert north < -0.01
    assert abs(east) < 1e-6
    # the body's own frame sees it from ahead only when heading north
    seen = rotate_inverse(quat_from_yaw(np.float64(np.pi / 2)), north_wind)
    np.testing.assert_allclose(seen, [-5, 0, 0], atol=1e-12)


def test_drag_vanishes_when_moving_with_the_air(params):
    wind = np.array([3.0, -2.0, 1.0])
    state = QuadrotorState(np.array([0, 0, 9.0]), LEVEL, wind, STILL, OFF)
    _, force = advance(state, OFF, wind, params, 1 / 500)
    np.testing.assert_allclose(force, 0, atol=1e-9)


def test_torque_free_motion_conserves_energy_and_angular_momentum(vacuum, rng):
    """Errors of the first-order step shrink with dt."""
    inertia = np.array([1.0, 2.0, 3.0]) * 1e-5
    params = vacuum._replace(inertia=tuple(inertia))
    start = QuadrotorState(np.array([0, 0, 9.0]), LEVEL, STILL, np.array([3.0, 1.0, 2.0]), OFF)

    def drift(dt):
        state = start
        for _ in range(round(1.0 / dt)):
            state = step(state, OFF, STILL, params, dt)
        momentum = [rotate(s.quat_world_body, inertia * s.ang_vel_body) for s in (start, state)]
        energy = [0.5 * inertia @ s.ang_vel_body**2 for s in (start, state)]
        return (
            np.linalg.norm(momentum[1] - momentum[0]) / np.linalg.norm(momentum[0]),
            abs(energy[1] / energy[0] - 1),
        )

    coarse, fine = drift(1 / 500), drift(1 / 5000)
    assert coarse[0] < 0.02
    assert coarse[1] < 0.02
    np.testing.assert_allclose(np.divide(coarse, fine), 10, rtol=0.1)


def test_gyroscopic_precession_of_the_rotors(vacuum):
    """Unbalanced rotor momentum h along z with a torque about x turns the body about y.

    In steady precession τ = ω × h, hence ω_y = τ_x / h.
    """
    params = vacuum._replace(
        rotor_inertia=1e-4, rotor_direction=(1.0, 1.0, 1.0, 1.0), torque_coefficient=0.0
    )
    speed = 1000.0
    momentum = 4 * params.rotor_inertia * speed
    _, y, _ = params.rotor_pos_body
    change = np.array([10.0, -10.0, -10.0, 10.0])  # more thrust on the left: torque about +x
    speeds = speed + change
    torque = params.thrust_coefficient * np.dot(y, speeds**2)
    state = QuadrotorState(np.array([0, 0, 9.0]), LEVEL, STILL, STILL, speeds)
    rates = []
    # the nutation averages out over whole turns: frequency h / I
    turns = 2 * np.pi * params.inertia[0] / momentum
    dt = turns / 2000
    for _ in range(2000):
        state = step(state, speeds, STILL, params, dt)
        rates.append(state.ang_vel_body)
    mean = np.mean(rates, axis=0)
    assert torque > 0
    np.testing.assert_allclose(mean[1], torque / momentum, rtol=0.02)
    assert abs(mean[0]) < 0.02 * mean[1]


def test_motor_lag_is_exact_at_any_step(params):
    params = params._replace(time_constant_up=0.03, time_constant_down=0.06)
    state = QuadrotorState(np.array([0, 0, 9.0]), LEVEL, STILL, STILL, np.full(4, 1000.0))
    command = np.array([2000.0, 0.0, 9999.0, 1000.0])
    for n in (1, 7):
        s = state
        for _ in range(n):
            s = step(s, command, STILL, params, 0.05 / n)
        up, down = np.exp(-0.05 / 0.03), np.exp(-0.05 / 0.06)
        top = params.max_speed
        expected = [2000 - 1000 * up, 1000 * down, top - (top - 1000) * up, 1000]
        np.testing.assert_allclose(s.rotor_speed, expected, rtol=1e-12)


def test_ground_effect_lifts_near_the_ground_only(params):
    for height, gain in ((0.03, 1 + (0.0231 / 0.12) ** 2), (1.0, 1.0)):
        state = hover_state(params, np.array([0, 0, height]), LEVEL)
        _, force = advance(state, state.rotor_speed, STILL, params, 1 / 500)
        np.testing.assert_allclose(force[2], gain * GRAVITY, rtol=1e-4)


def test_a_weak_rotor_turns_and_yaws_the_body(vacuum):
    weak = vacuum._replace(efficiency=(0.8, 1.0, 1.0, 1.0))  # front left
    state = hover_state(vacuum, np.array([0, 0, 5.0]), LEVEL)
    state = step(state, state.rotor_speed, STILL, weak, 1 / 500)
    roll, pitch, yaw = state.ang_vel_body
    assert roll < 0  # left side drops
    assert pitch > 0  # nose drops: positive about the left axis
    # the weak rotor turns clockwise, so less torque counter-clockwise remains
    assert yaw < 0


def test_numpy_and_torch_agree(params, vehicle, rng):
    batch = (5,)
    loop = RateLoopParams.from_vehicle(vehicle)
    mine = random_state(rng, batch)
    theirs = QuadrotorState(*map(torch.tensor, mine))
    varied = params._replace(mass=params.mass * rng.uniform(0.8, 1.2, batch))
    varied_torch = params._replace(mass=torch.tensor(varied.mass))
    for _ in range(30):
        thrust, rates = rng.uniform(0, 20, batch), 6 * rng.normal(size=(3, *batch))
        wind = 3 * rng.normal(size=(3, *batch))
        speeds = rotor_speed_command(thrust, rates, mine.ang_vel_body, loop)
        mine, force = advance(mine, speeds, wind, varied, 1 / 500)
        speeds = rotor_speed_command(
            torch.tensor(thrust), torch.tensor(rates), theirs.ang_vel_body, loop
        )
        theirs, force_torch = advance(theirs, speeds, torch.tensor(wind), varied_torch, 1 / 500)
        for a, b in zip((*mine, force), (*theirs, force_torch), strict=True):
            np.testing.assert_allclose(b.numpy(), a, rtol=1e-9, atol=1e-9)


def test_batch_is_each_alone(params, rng):
    batch = random_state(rng, (4,))
    command, wind = rng.uniform(0, 2200, (4, 4)), rng.normal(size=(3, 4))
    together = step(batch, command, wind, params, 1 / 500)
    for i in range(4):
        alone = QuadrotorState(*(x[:, i] for x in batch))
        alone = step(alone, command[:, i], wind[:, i], params, 1 / 500)
        for a, b in zip(alone, together, strict=True):
            np.testing.assert_allclose(a, b[:, i], rtol=1e-12, atol=1e-12)


def test_gradients_match_finite_differences(params, vehicle, rng):
    """Through rate loop, saturation, motors and aerodynamics."""
    loop = RateLoopParams.from_vehicle(vehicle)
    start = QuadrotorState(*map(torch.tensor, random_state(rng, (2,))))

    def landing(thrust, rates):
        state = start
        for _ in range(2):
            speeds = rotor_speed_command(thrust, rates, state.ang_vel_body, loop)
            state = step(state, speeds, torch.zeros(3, 2, dtype=torch.float64), params, 1 / 500)
        return torch.cat([state.pos_world, state.quat_world_body, state.vel_world])

    thrust = torch.tensor([8.0, 15.0], dtype=torch.float64, requires_grad=True)
    rates = torch.tensor(rng.normal(size=(3, 2)), requires_grad=True)
    assert torch.autograd.gradcheck(landing, (thrust, rates), eps=1e-6, atol=1e-6)


def test_hover_gradient_is_finite(params, vehicle):
    loop = RateLoopParams.from_vehicle(vehicle)
    thrust = torch.tensor([0.0, GRAVITY, 1e3], dtype=torch.float64, requires_grad=True)
    zeros = torch.zeros(3, 3, dtype=torch.float64)
    level = torch.tensor(LEVEL)[:, None].expand(4, 3)
    state = hover_state(params, zeros, level)
    speeds = rotor_speed_command(thrust, zeros, zeros, loop)
    state = dynamics.step(state, speeds, zeros, params, 1 / 500)
    (gradient,) = torch.autograd.grad(state.vel_world.sum() + state.quat_world_body.sum(), thrust)
    assert torch.isfinite(gradient).all()
    assert gradient[1] > 0


def test_failsafe_levels_and_descends(params, vehicle):
    loop = RateLoopParams.from_vehicle(vehicle)
    tilted = np.array([np.sin(0.5), 0.0, 0.0, np.cos(0.5)])
    state = hover_state(params, np.array([0, 0, 20.0]), tilted)
    for _ in range(1500):
        thrust, rates = failsafe_command(state.quat_world_body, state.vel_world)
        speeds = rotor_speed_command(thrust, rates, state.ang_vel_body, loop)
        state = step(state, speeds, STILL, params, 1 / 500)
    up = rotate(state.quat_world_body, np.array([0.0, 0.0, 1.0]))
    np.testing.assert_allclose(up, [0, 0, 1], atol=1e-3)
    # drag carries part of the descent
    assert -0.8 < state.vel_world[2] < -0.3
