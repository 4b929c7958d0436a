"""An oracle trains on the truth, which every noise of the sensors leaves alone."""

import numpy as np
import pytest
import torch

from liquid_control.config import ConfigError
from liquid_control.control.observation import observer_of
from liquid_control.runtime.catalogue import make_controller, make_loop, make_parameters
from liquid_control.sim.flight import prepare
from liquid_control.sim.scenario import read_world
from liquid_control.structs import RATES_THRUST, TRUTH
from liquid_control.training.config import load_training
from liquid_control.training.gradient import GradientTrainer
from liquid_control.training.policy import make_policy
from liquid_control.training.run import train

QUICK = {
    "optimiser.updates": 3,
    "optimiser.environments": 16,
    "optimiser.window": 8,
    "network.wiring.units": 16,
}


def trainer(**changes):
    return GradientTrainer(load_training("comparison/oracle", {**QUICK, **changes}), compiled=False)


def losses(**changes):
    run = trainer(**changes)
    return [run.step().loss for _ in range(2)]


def test_noise_does_not_reach_it():
    """Setpoints are brought within reach of the measured position: none is that far here."""
    near = {"start.position": 0.1, "reference.amplitude": [0.01, 0.02], "reference.step": 0.0}
    quiet = {f"randomisation.noise.{name}": 0.0 for name in ("velocity", "attitude", "gyro")}
    assert losses(**near) == losses(**near, **quiet)


def test_what_it_is_told_is_the_motion_and_the_wind_of_its_environments():
    run = trainer()
    names = [name for name in run.layout.names if name.startswith("true_")]
    seen = []
    step = run.policy.step
    run.policy.step = lambda *a: (seen.append(a[0].detach().clone()), step(*a))[1]
    vehicle = run.environments.flight.vehicle
    run.step()
    first = dict(zip(run.layout.names, torch.split(seen[0], [s.size for s in run.layout.slots], 1)))
    assert len(names) == 8
    torch.testing.assert_close(first["true_ang_vel"].T, vehicle.ang_vel_body)
    mean = run.environments.conditions.wind_mean
    assert float(first["true_wind"].norm(dim=1).max()) > 0.5 * float(mean.norm(dim=0).max()) > 0


def test_its_policy_flies_in_a_world_and_never_a_vehicle(tmp_path, vehicle):
    path = train("comparison/oracle", tmp_path / "run", changes=QUICK, compiled=False)
    parameters = make_parameters(vehicle)
    policy, _ = make_controller(str(path), vehicle, parameters)
    with pytest.raises(ConfigError, match="only a simulated world can tell"):
        make_loop(policy, vehicle, parameters)
    flight = prepare(read_world("hover_calm", {}, source="test"), str(path))
    assert TRUTH in flight.scenario.sensors
    with flight.world(1) as world:
        log = flight.fly(world, duration=0.5)
    assert set(log.mode) == {"policy"}
    assert np.isfinite(log.command).all()


def test_it_has_the_weights_of_the_comparison():
    """1840 within 5 %, and sees in place of each measured slot the true one, and the wind."""
    config, other = load_training("comparison/oracle"), load_training("comparison/liquid_ncp")
    assert make_policy(config).cell.parameter_count() == pytest.approx(1840, rel=0.05)
    offered = observer_of("quadrotor", RATES_THRUST).layout.names
    told = {name.removeprefix("true_"): scale for name, scale in config.observation.items()}
    assert told.pop("wind") == 5.0
    assert told == other.observation
    assert set(config.observation) & set(offered) == {"previous_thrust", "previous_ang_vel"}
    for part in ("start", "reference", "randomisation", "loss", "optimiser"):
        assert getattr(config, part) == getattr(other, part)
