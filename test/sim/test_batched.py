"""The batched control period: NumPy as torch, each alone as together, and what it knows."""

import numpy as np
import pytest
import torch

from liquid_control.frames import quat_from_rotation_vector, quat_multiply, rotate_inverse
from liquid_control.sim.batched import (
    Reference,
    SensorErrors,
    fly_period,
    measure,
    physics_step,
)
from liquid_control.vehicles.quadrotor.dynamics import QuadrotorState
from liquid_control.vehicles.quadrotor.params import QuadrotorParams, RateLoopParams
from liquid_control.vehicles.quadrotor.rules import observer

BATCH = 7


@pytest.fixture
def params(vehicle):
    return QuadrotorParams.from_vehicle(vehicle), RateLoopParams.from_vehicle(vehicle)


@pytest.fixture
def state(rng):
    quat = rng.normal(size=(4, BATCH))
    return QuadrotorState(
        pos_world=rng.normal(size=(3, BATCH)) + np.array([[0], [0], [5]]),
        quat_world_body=quat / np.linalg.norm(quat, axis=0),
        vel_world=rng.normal(size=(3, BATCH)),
        ang_vel_body=rng.normal(size=(3, BATCH)),
        rotor_speed=rng.uniform(500, 2000, size=(4, BATCH)),
    )


def to_torch(value):
    if isinstance(value, tuple):
        return type(value)(*map(to_torch, value))
    return torch.tensor(value) if isinstance(value, np.ndarray) else value


def draw_commands(rng, kept=4):
    commands = rng.normal(size=(kept, 4, BATCH))
    commands[:, 0] += 9.8
    return commands


def test_a_period_is_the_same_in_numpy_and_torch(params, state, rng):
    commands, wind = draw_commands(rng), rng.normal(size=(3, BATCH))
    dt, delay = rng.uniform(0.005, 0.02, BATCH), rng.uniform(0.0, 0.03, BATCH)
    mine = fly_period(state, commands, wind, *params, dt, 3, delay)
    other = fly_period(
        to_torch(state), *map(torch.tensor, (commands, wind)), *params, torch.tensor(dt), 3,
        torch.tensor(delay),
    )  # fmt: skip
    for a, b in zip((*mine.vehicle, *mine.before), (*other.vehicle, *other.before), strict=True):
        np.testing.assert_allclose(b.numpy(), a, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(other.specific_force.numpy(), mine.specific_force, atol=1e-9)


def test_a_delay_lets_older_commands_act_until_the_new_one_arrives(params, state, rng):
    """A period of 4 steps with a delay of 1½: the old command acts twice, then the new one."""
    commands, wind = draw_commands(rng), np.zeros((3, BATCH))
    dt = 0.008
    late = fly_period(state, commands, wind, *params, dt, 4, np.full(BATCH, 1.5 * dt / 4))
    expected = state
    for command in (commands[1], commands[1], commands[0], commands[0]):
        expected, _ = physics_step(expected, command, wind, *params, dt / 4)
    np.testing.assert_array_equal(late.vehicle.pos_world, expected.pos_world)
    np.testing.assert_array_equal(late.vehicle.rotor_speed, expected.rotor_speed)
    at_once = fly_period(state, commands, wind, *params, dt, 4)
    no_delay = fly_period(state, commands, wind, *params, dt, 4, np.zeros(BATCH))
    np.testing.assert_array_equal(at_once.vehicle.rotor_speed, no_delay.vehicle.rotor_speed)
    assert np.any(at_once.vehicle.rotor_speed != late.vehicle.rotor_speed)
    # no older command is known than the oldest that is kept
    ancient = fly_period(state, commands, wind, *params, dt, 4, np.full(BATCH, 99.0))
    oldest = fly_period(state, commands[-1:], wind, *params, dt, 4)
    np.testing.assert_array_equal(ancient.vehicle.pos_world, oldest.vehicle.pos_world)


def test_a_batch_is_each_alone(params, state, rng):
    commands, wind = draw_commands(rng), rng.normal(size=(3, BATCH))
    delay = rng.uniform(0, 0.02, BATCH)
    together = fly_period(state, commands, wind, *params, 0.01, 2, delay)
    for i in range(BATCH):
        one = slice(i, i + 1)
        alone = fly_period(
            QuadrotorState(*(x[:, one] for x in state)),
            commands[..., one], wind[:, one], *params, 0.01, 2, delay[one],
        )  # fmt: skip
        np.testing.assert_allclose(
            alone.vehicle.pos_world, together.vehicle.pos_world[:, one], rtol=1e-12
        )


def test_errors_are_added_where_the_sensors_are(state, rng):
    """Attitude errors turn about the body's axes; velocity is measured in the body."""
    parts = rng.normal(size=(7, 3, BATCH))
    errors, force = SensorErrors(*parts), rng.normal(size=(3, BATCH))
    reference = Reference(*rng.normal(size=(3, 3, BATCH)), rng.normal(size=BATCH))
    previous = rng.normal(size=(4, BATCH))
    seen = measure(state, force, errors, reference, previous, 100.0)
    quat = state.quat_world_body
    np.testing.assert_array_equal(seen.pos_world, state.pos_world + parts[0])
    np.testing.assert_allclose(
        seen.vel_body, rotate_inverse(quat, state.vel_world) + parts[1], rtol=1e-12
    )
    np.testing.assert_array_equal(
        seen.quat_world_body, quat_multiply(quat, quat_from_rotation_vector(parts[2]))
    )
    np.testing.assert_allclose(seen.ang_vel_body, state.ang_vel_body + parts[3] + parts[5])
    np.testing.assert_allclose(seen.specific_force_body, force + parts[4] + parts[6])
    observation = observer()(seen)
    assert observation.shape == (observer().layout.size, BATCH)
    np.testing.assert_array_equal(observation[-4:], previous)
    none = measure(state, force, errors._replace(attitude=None), reference, previous, 100.0)
    np.testing.assert_array_equal(none.quat_world_body, quat)


def test_a_far_setpoint_is_brought_within_reach(state, rng):
    zero = np.zeros((3, BATCH))
    errors = SensorErrors(zero, zero, None, zero, zero, zero, zero)
    reference = Reference(state.pos_world + np.array([[30.0], [0], [0]]), zero, zero, zero[0])
    seen = measure(state, zero, errors, reference, np.zeros((4, BATCH)), 1.5)
    np.testing.assert_allclose(seen.setpoint_pos_world[0] - state.pos_world[0], 1.5)


def test_gradients_flow_from_a_command_to_the_motion(params, state):
    commands = torch.zeros(1, 4, BATCH, dtype=torch.float64)
    commands[:, 0] = 9.8
    commands.requires_grad_()
    wind = torch.zeros(3, BATCH, dtype=torch.float64)

    def height(value):
        flown = fly_period(to_torch(state), value, wind, *params, 0.02, 4)
        return flown.vehicle.vel_world

    assert torch.autograd.gradcheck(height, (commands,), eps=1e-6, atol=1e-6)
