"""Flights without ROS: what the loop is told, and what the log holds."""

from itertools import cycle

import numpy as np

from liquid_control.runtime.catalogue import make_loop
from liquid_control.sim.rollout import rollout
from liquid_control.sim.scenario import load_world
from liquid_control.sim.world import World
from liquid_control.vehicles.catalogue import load_vehicle
from liquid_control.vehicles.quadrotor.geometric import GeometricController
from liquid_control.vehicles.quadrotor.parameters import QuadrotorParameters


class _Told(GeometricController):
    """Keeps the dt of each step."""

    def reset(self):
        super().reset()
        self.told = []

    def step(self, observation, dt):
        self.told.append(dt)
        return super().step(observation, dt)


def _fly(**settings):
    parameters = QuadrotorParameters()
    vehicle = load_vehicle("crazyflie")
    controller = _Told(parameters.backup)
    loop = make_loop(controller, vehicle, parameters)
    with World(load_world("hover_gusts"), vehicle, 3) as world:
        log = rollout(world, loop, policy_name="geometric", duration=2.0, **settings)
    return log, controller.told


def test_log_has_a_row_for_each_period():
    log, told = _fly()
    assert np.allclose(log.time, np.arange(200) / 100)
    assert told == [0.01] * 200
    assert np.isfinite(log.step_us).all()
    assert not log.crashed


def test_uneven_steps_are_told_their_true_dt_and_hold_the_command():
    log, told = _fly(ticks=cycle([1, 3, 2]))
    # The first step comes one period after nothing; then 1, 3 and 2 periods pass.
    assert np.allclose(told[:5], [0.01, 0.01, 0.03, 0.02, 0.01])
    assert np.isclose(sum(told), 2.0, atol=0.03)
    stepped = np.isfinite(log.step_us)
    assert list(np.flatnonzero(stepped)[:4]) == [0, 1, 4, 6]
    held = ~stepped[1:]
    assert (log.command[1:][held] == log.command[:-1][held]).all()
    assert (log.command[1:][~held] != log.command[:-1][~held]).any(axis=1).all()
    assert not log.crashed
