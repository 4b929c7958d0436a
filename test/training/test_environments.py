"""What environments fly in: draws, turbulence, lost samples, new starts, held-out episodes."""

import math

import numpy as np
import pytest
import torch
from small_runs import CONFIG, small

from liquid_control.sim.batched import physics_step
from liquid_control.training import held_out
from liquid_control.training.conditions import (
    Draw,
    autopilot_of,
    draw_conditions,
    draw_start,
    draw_window,
    lateness,
    start_process,
    vehicle_of,
)
from liquid_control.training.config import grown, load_training
from liquid_control.training.control_step import MAX_SPIN
from liquid_control.training.environments import choose, leaves
from liquid_control.training.gradient import GradientTrainer
from liquid_control.vehicles.catalogue import load_vehicle
from liquid_control.vehicles.quadrotor.dynamics import hover_state
from liquid_control.vehicles.quadrotor.params import QuadrotorParams, RateLoopParams

VEHICLE = load_vehicle("crazyflie")
NOMINAL = QuadrotorParams.from_vehicle(VEHICLE), RateLoopParams.from_vehicle(VEHICLE), 4
WIDE = {
    "rate_gain": (0.25, 3.0),
    "max_thrust": (0.7, 1.8),
    "motor_time_constant": (0.1, 4.0),
    "mass": (0.5, 2.0),
    "push": (0.0, 8.0),
    "max_gain_lag": 0.9,
    "min_thrust_to_weight": 1.6,
}


def test_conditions_cover_their_ranges_and_the_reference_is_consistent():
    config = load_training(CONFIG)
    # steps short enough for the trapezoid below
    random = config.randomisation.model_copy(update={"control_rate": (50.0, 200.0)})
    reference = config.reference
    draw = Draw(torch.Generator().manual_seed(0), torch.device("cpu"))
    conditions = draw_conditions(draw, 4000, random, reference, *NOMINAL)
    for values, (low, high) in (
        (conditions.mass, random.mass),
        (conditions.delay, random.delay),
        (1 / conditions.period, random.control_rate),
    ):
        span = high - low
        assert low <= values.min() < low + 0.05 * span
        assert high - 0.05 * span < values.max() <= high * 1.0001
    process = start_process(draw, 4000, random)
    window, _ = draw_window(draw, 20, conditions, process, random, reference)
    still = conditions.step_size == 0
    moved = (window.setpoint_pos[1:] - window.setpoint_pos[:-1])[:, :, still]
    mean_vel = 0.5 * (window.setpoint_vel[1:] + window.setpoint_vel[:-1])[:, :, still]
    assert torch.allclose(moved, mean_vel * window.dt[:, None, still], atol=2e-4)
    assert float(window.setpoint_vel.norm(dim=1).max()) <= reference.max_speed * 1.001
    quat = draw_start(draw, 4000, config.start)[1]
    assert torch.allclose(quat.norm(dim=0), torch.ones(4000), atol=1e-5)
    up = 1 - 2 * (quat[0] ** 2 + quat[1] ** 2)
    assert float(up.min()) < np.cos(0.95 * config.start.max_tilt)
    assert float(up.min()) >= np.cos(config.start.max_tilt) - 1e-5


def test_only_vehicles_that_can_be_flown_are_drawn():
    config = load_training(CONFIG)
    random = config.randomisation.model_copy(update=WIDE)
    draw = Draw(torch.Generator().manual_seed(0), torch.device("cpu"))
    conditions = draw_conditions(draw, 4000, random, config.reference, *NOMINAL)
    gain = 18.0 * conditions.rate_gain
    assert float(gain.min()) == pytest.approx(18 * 0.25, rel=0.02)
    assert float(gain.max()) == pytest.approx(18 * 3.0, rel=0.02)
    vehicles = vehicle_of(conditions, NOMINAL[0])
    late = vehicles.time_constant_up + conditions.period / 4
    true_gain = gain / conditions.inertia.min(dim=0).values
    assert float((true_gain * late).max()) == pytest.approx(0.9, rel=1e-4)
    assert float(vehicles.time_constant_up.min()) > 0
    thrust = 4 * vehicles.thrust_coefficient * vehicles.max_speed**2
    thrust = thrust * conditions.motor_efficiency.mean(dim=0)
    ratio = thrust / (vehicles.mass * 9.80665)
    assert float(ratio.min()) == pytest.approx(1.6, rel=1e-4)
    assert float(ratio.max()) > 3.5
    loops = autopilot_of(conditions, NOMINAL[1])
    assert torch.allclose(loops.rate_gain[2], 8.0 * conditions.rate_gain)
    assert torch.allclose(
        loops.max_thrust, vehicles.thrust_coefficient * vehicles.max_speed**2, rtol=1e-5
    )
    push = conditions.push.norm(dim=0)
    assert float(push.max()) == pytest.approx(8.0, rel=0.01)
    assert abs(float(conditions.push.mean())) < 0.15


def wide_conditions(count=4000, reference=None, **changes):
    config = load_training(CONFIG)
    random = config.randomisation.model_copy(update={**WIDE, **changes})
    reference = config.reference.model_copy(update=reference or {})
    draw = Draw(torch.Generator().manual_seed(0), torch.device("cpu"))
    return draw_conditions(draw, count, random, reference, *NOMINAL)


def test_no_vehicle_answers_later_than_may_be():
    limit = 0.25
    free, kept = wide_conditions(), wide_conditions(max_lateness=limit)
    before, after = (lateness(c, *NOMINAL[:2]) for c in (free, kept))
    assert float(before.max()) > 1.5 * limit
    assert torch.allclose(after, before.clamp(max=limit), rtol=1e-4)
    # gain times lag stays, so what was damped is
    assert torch.allclose(
        kept.rate_gain * kept.motor_time_constant, free.rate_gain * free.motor_time_constant
    )


def test_a_rate_loop_can_hold_the_rotors_that_it_is_given():
    kept = wide_conditions(256, max_trim=2.0, motor_efficiency=(0.7, 1.1), push=(0.0, 0.0))
    rates, _ = turned_by_rotors(kept)
    assert 1.6 < float(rates.max()) < 2.6  # it swings over
    free = wide_conditions(256, motor_efficiency=(0.7, 1.1), push=(0.0, 0.0))
    assert float(turned_by_rotors(free)[0].max()) > 4.0
    mean = kept.motor_efficiency.mean(dim=0)
    assert torch.allclose(mean, free.motor_efficiency.mean(dim=0))


def turned_by_rotors(conditions):
    """Body rates (B) rad/s after 0.3 s of thrust that hovers and no commanded rate."""
    params, loop = vehicle_of(conditions, NOMINAL[0]), autopilot_of(conditions, NOMINAL[1])
    batch = len(conditions.mass)
    params = params._replace(drag_linear=(0.0,) * 3, drag_quadratic=(0.0,) * 3, flapping=0.0)
    vehicle = hover_state(
        params, torch.zeros(3, batch), torch.tensor([[0.0, 0, 0, 1]]).T.repeat(1, batch)
    )
    command = torch.zeros(4, batch)
    command[0] = 9.80665 * conditions.mass / conditions.motor_efficiency.mean(dim=0)
    for _ in range(600):
        vehicle, _ = physics_step(vehicle, command, torch.zeros(3, batch), params, loop, 0.0005)
    return vehicle.ang_vel_body.abs().amax(dim=0), vehicle


def test_a_push_leaves_the_vehicle_thrust_to_hold_it():
    conditions = wide_conditions(push=(0.0, 12.0), min_thrust_to_weight=1.4)
    params = vehicle_of(conditions, NOMINAL[0])
    rotors = 4 * params.thrust_coefficient * NOMINAL[0].max_speed ** 2
    rotors = rotors * conditions.max_thrust.clamp(max=1) * conditions.motor_efficiency.mean(dim=0)
    needed = -conditions.push
    needed[2] += 9.80665
    share = needed.norm(dim=0) / (rotors / params.mass)
    assert float(share.max()) == pytest.approx(0.85, rel=1e-3)
    assert float(conditions.push.norm(dim=0).max()) > 9.0


def test_references_are_no_faster_than_a_vehicle_can_follow():
    limits = {"max_speed": 6.0, "max_acceleration": 8.0, "max_lag": 0.4}
    conditions = wide_conditions(reference=limits)
    swing = conditions.amplitude * conditions.frequency**2
    assert float(swing.max()) == pytest.approx(8.0, rel=1e-4)
    phase = conditions.frequency * lateness(conditions, *NOMINAL[:2])
    assert float(phase.max()) == pytest.approx(0.4, rel=1e-4)


def test_what_a_run_does_not_vary_draws_nothing():
    config = load_training("hover_base")
    draws = [Draw(torch.Generator().manual_seed(0), torch.device("cpu")) for _ in range(2)]
    wide = config.randomisation.model_copy(update={"rate_gain": (0.5, 2.0)})
    few, many = (
        draw_conditions(draw, 64, random, config.reference, *NOMINAL)
        for draw, random in zip(draws, (config.randomisation, wide))
    )
    assert torch.equal(few.rate_gain, torch.ones(64))
    assert not few.push.any()
    assert not torch.equal(many.rate_gain, few.rate_gain)
    for name in ("mass", "delay", "phase", "step_size"):
        assert torch.equal(getattr(few, name), getattr(many, name)), name


def test_turbulence_has_the_strength_that_was_drawn():
    config = load_training(CONFIG)
    draw = Draw(torch.Generator().manual_seed(1), torch.device("cpu"))
    conditions = draw_conditions(draw, 2000, config.randomisation, config.reference, *NOMINAL)
    conditions = conditions._replace(
        turbulence=torch.full((2000,), 1.5), gust_amplitude=torch.zeros(2000)
    )
    process = start_process(draw, 2000, config.randomisation)
    for _ in range(8):
        window, process = draw_window(
            draw, 50, conditions, process, config.randomisation, config.reference
        )
    deviation = window.wind - conditions.wind_mean
    assert float(deviation.std()) == pytest.approx(1.5, rel=0.05)


def test_lost_odometry_keeps_the_error_of_the_sample_before():
    config = load_training(CONFIG)
    random, reference = config.randomisation, config.reference
    draw = Draw(torch.Generator().manual_seed(2), torch.device("cpu"))
    conditions = draw_conditions(draw, 500, random, reference, *NOMINAL)
    conditions = conditions._replace(dropout=torch.full((500,), 0.3), noise=torch.ones(500))
    process = start_process(draw, 500, random)
    noise = draw_window(draw, 40, conditions, process, random, reference)[0].noise
    held = noise[1:] == noise[:-1]
    assert float(held[:, :9].float().mean()) == pytest.approx(0.3, abs=0.02)
    assert torch.equal(held[:, :9].all(dim=1), held[:, :9].any(dim=1))  # a sample is lost whole
    assert not held[:, 9:].any()  # the IMU goes on


def test_environments_start_anew_whole_whatever_the_number_of_states():
    """As many states as environments: it is environments that are reset, not neurons."""
    config = small(environments=58)
    network = {**config.network, "wiring": {**config.network["wiring"], "units": 58}}
    trainer = GradientTrainer(config.model_copy(update={"network": network}), compiled=False)
    old = trainer.environments
    state = old.flight.policy_state
    assert state.shape == (58, 58)
    old = old._replace(flight=old.flight._replace(policy_state=torch.ones_like(state)))
    fresh = trainer.start(58)
    again = torch.arange(58) % 3 == 0
    chosen = choose(again, fresh, old)
    expected = torch.where(again[:, None], fresh.flight.policy_state, 1.0)
    assert torch.equal(chosen.flight.policy_state, expected)
    for name in ("vehicle", "specific_force", "commands"):
        for got, new, was in zip(
            leaves(getattr(chosen.flight, name)),
            leaves(getattr(fresh.flight, name)),
            leaves(getattr(old.flight, name)),
            strict=True,
        ):
            assert torch.equal(got[..., again], new[..., again])
            assert torch.equal(got[..., ~again], was[..., ~again])
    assert torch.equal(chosen.conditions.mass[again], fresh.conditions.mass[again])
    assert torch.equal(chosen.process.turbulence[:, ~again], old.process.turbulence[:, ~again])


def test_held_out_episodes_are_the_same_for_every_run_and_leave_it_as_it_was(monkeypatch):
    monkeypatch.setattr(held_out, "STEPS", 16)
    first, second = (
        GradientTrainer(small().model_copy(update={"seed": seed}), compiled=False)
        for seed in (1, 2)
    )
    first.step()
    second.policy.load_state_dict(first.policy.state_dict())
    before = first.draw.generator.get_state(), leaves(first.environments)
    error = held_out.held_out_error(first, settled=0.0, strayed=4.5)
    assert 0 < error < 4.5
    assert held_out.held_out_error(second, settled=0.0, strayed=4.5) == error
    assert torch.equal(first.draw.generator.get_state(), before[0])
    assert all(map(torch.equal, leaves(first.environments), before[1]))
    for parameter in second.policy.parameters():
        parameter.data.fill_(math.nan)
    assert held_out.held_out_error(second, settled=0.0, strayed=4.5) == 4.5


def test_ranges_grow_from_the_nominal_vehicle_to_the_whole():
    config = load_training(CONFIG, {"optimiser.updates": 10, "randomisation.growth": 0.5})
    random = config.randomisation
    half, none = grown(random, 0.5, 100.0), grown(random, 0.0, 100.0)
    assert half.mass == pytest.approx((random.mass[0] ** 0.5, random.mass[1] ** 0.5))
    assert half.control_rate == pytest.approx((57.4, 141.4), abs=0.1)
    assert none.mass == (1.0, 1.0)
    assert none.noise.accelerometer_bias == 0.0
    assert none.wind == random.wind
    assert grown(random, 1.0, 100.0) is random
    trainer = GradientTrainer(small(updates=10).model_copy(update={"randomisation": random}))
    shares = []
    for _ in range(6):
        shares.append(trainer.grown)
        trainer.step()
    assert shares == pytest.approx([0.0, 0.2, 0.4, 0.6, 0.8, 1.0])


def test_one_environment_that_is_lost_leaves_the_gradient_of_the_others():
    trainer = GradientTrainer(small())
    vehicle = trainer.environments.flight.vehicle
    vehicle.ang_vel_body[:, 0] = torch.tensor([300.0, -200.0, 100.0])  # rad/s
    loss, *_ = trainer._window()
    loss.backward()
    assert loss.isfinite()
    assert all(p.grad.isfinite().all() for p in trainer.policy.parameters())
    assert float(trainer.environments.flight.vehicle.ang_vel_body.abs().max()) <= MAX_SPIN
