"""A made-up flight with the shape of a real one, for tests that must not wait for a simulation."""

import dataclasses

import numpy as np

from liquid_control.flight_log import FlightLog, Images, ImuColumns, States
from liquid_control.structs import GRAVITY, RATES_THRUST, STEERING

INTER, COMMANDS, MOTOR = 18, 12, 4


def made_up_log(duration=8.0, rate=100.0, seed=3, **changes) -> FlightLog:
    """Take-off and a figure-8 whose error answers to wind; thrust and tilt follow the path."""
    rng = np.random.default_rng(seed)
    n = round(duration * rate)
    t = np.arange(n) / rate
    w = 2 * np.pi / 6
    setpoint = np.stack([0.8 * np.sin(w * t), 0.4 * np.sin(2 * w * t), np.tanh(t)], 1)
    noise = np.cumsum(rng.normal(0, 0.05, (n, 3)), axis=0)
    wind = np.array([1.6, 1.2, 0.0]) + noise - np.linspace(0, 1, n)[:, None] * noise[-1]
    wind[(t > 5) & (t < 6)] += [2.0, -1.0, 0.3]
    pos = setpoint + 0.012 * wind * np.sin(3 * t)[:, None]
    vel = np.gradient(pos, t, axis=0)
    acc = np.gradient(np.gradient(setpoint, t, axis=0), t, axis=0)
    acc[:, 2] += GRAVITY
    up = acc / np.linalg.norm(acc, axis=1, keepdims=True)
    quat = np.stack([-up[:, 1], up[:, 0], 0 * t, 1 + up[:, 2]], 1)
    quat /= np.linalg.norm(quat, axis=1, keepdims=True)
    rates = np.stack([np.gradient(-up[:, 1], t), np.gradient(up[:, 0], t), 0 * t], 1)
    phase = rng.uniform(0, 2 * np.pi, INTER + COMMANDS + MOTOR)
    fields = dict(
        time=t,
        truth=States(pos, quat, vel, rates),
        estimate=States(pos + rng.normal(0, 1e-3, pos.shape), quat, vel, rates),
        imu=ImuColumns(rates, np.tile([0.0, 0.0, GRAVITY], (n, 1))),
        setpoint_pos_world=setpoint,
        wind_world=wind,
        command=np.column_stack([np.linalg.norm(acc, axis=1), rates]),
        kind=RATES_THRUST,
        actuators=1500 + 60 * np.sin(np.outer(t, [5, 6, 7, 8])),
        actuator_names=tuple(f"rotor{i} rad/s" for i in range(4)),
        mode=np.where((t > 4.0) & (t < 4.5), "backup", "policy"),
        neurons=np.tanh(np.sin(np.outer(t, 1 + phase) + phase)),
        step_us=rng.gamma(9, 2, n),
        neuron_names=_neuron_names(),
        world="figure8_gusts",
        policy="hover_liquid",
        vehicle="crazyflie",
        seed=seed,
        control_rate=rate,
        crashed=False,
        crash_reason="",
        late_ticks=0,
    )
    return FlightLog(**{**fields, **changes})


def made_up_drive(duration=4.0, rate=50.0) -> FlightLog:
    """A car that sways about the middle of a straight lane, with a camera of 25 Hz."""
    log = made_up_log(duration, rate)
    t, n = log.time, len(log.time)
    speed, sway = 8.0 * np.tanh(t), 0.3 * np.sin(t)
    middle = np.stack([np.cumsum(speed) / rate, 0 * t, 0 * t], axis=1)
    ahead = np.tile([0.0, 0.0, 0.0, 1.0], (n, 1))
    rows = {"pos_world": middle + np.outer(sway, [0, 1, 0]), "quat_world_body": ahead}
    rng = np.random.default_rng(0)
    return dataclasses.replace(
        moved(log, **rows),
        setpoint_pos_world=middle,
        wind_world=np.zeros((n, 3)),
        command=np.stack([np.full(n, 8.0), -sway], axis=1),
        kind=STEERING,
        actuators=np.stack([-0.1 * sway, speed], axis=1),
        actuator_names=("steering rad", "speed m/s"),
        neurons=log.neurons[:, :19],
        neuron_names=log.neuron_names[:19],
        world="lane_keeping",
        policy="lane_liquid",
        vehicle="car",
        images=Images(
            np.arange(0.04, duration, 0.04),
            rng.integers(0, 256, (len(np.arange(0.04, duration, 0.04)), 32, 64, 3), np.uint8),
            np.array([44.0, 44.0, 32.0, 16.0]),
        ),
    )


def moved(log: FlightLog, **columns) -> FlightLog:
    """The same flight with other true columns."""
    return dataclasses.replace(log, truth=dataclasses.replace(log.truth, **columns))


def real(log: FlightLog) -> FlightLog:
    """The same flight as if nobody had simulated it."""
    n = len(log.time)
    return dataclasses.replace(
        log,
        truth=None,
        wind_world=None,
        actuators=np.zeros((n, 0)),
        actuator_names=(),
        world="",
        seed=None,
    )


def _neuron_names() -> tuple[str, ...]:
    """As an artifact has them: motor neurons bear the names of what they command."""
    groups = (("inter", INTER), ("command", COMMANDS))
    inner = (f"{name}{i}" for name, k in groups for i in range(k))
    return (*inner, *RATES_THRUST.layout.component_names)
