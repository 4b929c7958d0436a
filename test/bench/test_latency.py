import json
import time

import numpy as np
import pytest

from liquid_control.bench.latency import command
from liquid_control.bench.latency.step import measure_step_latency
from liquid_control.vehicles.quadrotor.geometric import GeometricController
from liquid_control.vehicles.quadrotor.parameters import GeometricGains
from liquid_control.vehicles.quadrotor.rules import observer


class _Waits:
    """Every tenth step takes 1 ms more."""

    observation_layout = observer(("pos_error", "previous_thrust")).layout

    def __init__(self):
        self.steps = 0

    def reset(self):
        self.steps = 0

    def step(self, observation, dt):
        assert observation.shape == (4,)
        assert dt == 0.02
        self.steps += 1
        stop = time.perf_counter() + (1e-3 if self.steps % 10 == 0 else 0)
        while time.perf_counter() < stop:
            pass
        return np.zeros(4)


def test_percentiles_see_the_slow_steps():
    figures = measure_step_latency(_Waits(), 1000, dt=0.02)
    assert figures["step_us_p50"] < 100
    assert figures["step_us_p99"] >= 1000
    assert 100 <= figures["step_us_mean"] <= figures["step_us_p99"]


def test_a_real_controller_is_measured():
    figures = measure_step_latency(GeometricController(GeometricGains()), 500)
    assert 1 < figures["step_us_p50"] <= figures["step_us_p99"] <= figures["step_us_max"]


def test_steps_must_be_positive():
    with pytest.raises(ValueError, match="steps is 0"):
        measure_step_latency(_Waits(), 0)


@pytest.mark.parametrize("policy", ["hover_19", "geometric"])
def test_the_command_measures_a_policy_by_name(policy, parse, capsys):
    assert command.run(parse(command, policy, "--steps", 200, "--json")) == 0
    figures = json.loads(capsys.readouterr().out)
    assert (figures["policy"], figures["steps"]) == (policy, 200)
    assert 0 < figures["step_us_p50"] <= figures["step_us_max"]
