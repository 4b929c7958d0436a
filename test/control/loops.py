"""A loop with a scripted policy, its frames, and what must hold of every command."""

import numpy as np
from readings import sensor_frame

from liquid_control.runtime.catalogue import make_loop
from liquid_control.structs import (
    GRAVITY,
    RATES_THRUST,
    ImuSample,
    OdometrySample,
    Setpoint,
)
from liquid_control.vehicles.catalogue import load_vehicle
from liquid_control.vehicles.quadrotor.parameters import QuadrotorParameters
from liquid_control.vehicles.quadrotor.rules import observer

DT = 0.01
HERE = Setpoint(np.array([0.0, 0.0, 1.0]))


class ScriptedPolicy:
    """Answers what the test says; counts its resets."""

    observation_layout = observer(("pos_error", "ang_vel")).layout
    command_layout = RATES_THRUST.layout
    neurons = np.zeros(0)

    def __init__(self, answer=(GRAVITY, 0.1, 0.2, 0.3)):
        self.answer, self.resets, self.seen = answer, 0, None

    def reset(self):
        self.resets += 1

    def step(self, observation, dt):
        self.seen = observation
        if isinstance(self.answer, Exception):
            raise self.answer
        return np.array(self.answer)


def make(policy=None, **parameters):
    parameters = QuadrotorParameters(**parameters)
    return make_loop(policy or ScriptedPolicy(), load_vehicle("crazyflie"), parameters)


def frame(k, pos=(0.0, 0.0, 1.0), rate=(0.0, 0.0, 0.0), quat=(0.0, 0.0, 0.0, 1.0), **ages):
    stamp = round(k * 10_000_000)
    return sensor_frame(
        ImuSample(stamp, np.array(rate), np.array([0.0, 0.0, GRAVITY])),
        OdometrySample(stamp, np.array(pos), np.array(quat), np.zeros(3), np.array(rate)),
        **ages,
    )


def assert_within_limits(loop, command):
    limits = zip(loop.rules.low, command.values, loop.rules.high, strict=True)
    assert all(low <= value <= high for low, value, high in limits)  # NaN is not


def fly_well(loop, k, steps, setpoint=HERE):
    """Good steps from ``k`` on; gives the last."""
    for i in range(k, k + steps):
        step = loop.step(frame(i), setpoint, DT)
        if step.command is not None:
            assert_within_limits(loop, step.command)
    return step
