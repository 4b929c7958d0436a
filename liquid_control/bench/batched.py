"""Throughput of the batched dynamics in torch: wind, IMU, controller, rate loop and physics.

torch is imported where it is used: the rest of `sim` does without.
"""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from liquid_control.bench.timing import seconds
from liquid_control.parameters import ControllerParameters
from liquid_control.sim.batched import Reference, SensorErrors, measure, physics_step
from liquid_control.sim.sensors.imu import at_lever_arm
from liquid_control.sim.wind import formulas
from liquid_control.vehicles.catalogue import load_vehicle
from liquid_control.vehicles.quadrotor.dynamics import QuadrotorState, hover_state
from liquid_control.vehicles.quadrotor.geometric import MEMORY, OBSERVER, geometric_law
from liquid_control.vehicles.quadrotor.parameters import GeometricGains
from liquid_control.vehicles.quadrotor.params import QuadrotorParams, RateLoopParams

if TYPE_CHECKING:
    import torch

PHYSICS_DT = 1 / 500  # s
MAX_POS_ERROR = ControllerParameters().max_pos_error  # m
GRADIENT_STEPS = 10  # steps between forward and backward
WHITE = (0.15, 0.03)  # 1 σ of the accelerometer, m/s², and of the gyro, rad/s
LEVER_ARM = (0.0, 0.0, 0.005)  # m
COST_BATCHES = (1, 16, 256, 1024, 4096, 16384)
COST_SUBSTEPS = (1, 2, 5, 10)


class Flight(NamedTuple):
    """What a step of the batch reads and writes."""

    state: QuadrotorState
    command: torch.Tensor  # (4, B)
    force: torch.Tensor  # (3, B) m/s², specific force of the last step
    ang_acc: torch.Tensor  # (3, B) rad/s²
    bias: torch.Tensor  # (6, B) of the IMU
    memory: torch.Tensor  # (6, B) of the controller
    turbulence: torch.Tensor  # (5, B)
    time: torch.Tensor  # (B) s


class Batch:
    """A batch of vehicles hovering in gusts, with its step in two compiled parts."""

    def __init__(self, size: int):
        import torch

        vehicle = load_vehicle("crazyflie")
        self._params = QuadrotorParams.from_vehicle(vehicle)
        loop, gains = RateLoopParams.from_vehicle(vehicle), GeometricGains()
        dt = PHYSICS_DT
        generator = np.random.default_rng(0)
        heading = generator.uniform(0, 2 * np.pi, size)
        axis = _tensor(np.stack([np.cos(heading), np.sin(heading)]))
        still = torch.zeros(1, size)
        self._wind = formulas.WindParams(
            mean_world=torch.cat([2 * axis, still]),
            axis_u_world=axis,
            turbulence=formulas.turbulence_coefficients((1.0, 1.0, 1.0), (1.0, 1.0, 1.0), dt),
            gust_world=torch.cat([4 * axis.flip(0), still]),
            gust_start=_tensor(generator.uniform(0, 5, size)),
            gust_rise_time=torch.full((size,), 0.5),
            gust_hold_time=torch.full((size,), 0.5),
        )
        setpoint = torch.zeros(3, size)
        setpoint[2] = 1.0
        level = torch.zeros(4, size)
        level[3] = 1.0
        hover = torch.zeros(4, size)
        hover[0] = 9.8
        rest = torch.zeros(3, size)
        self.start = Flight(
            hover_state(self._params, setpoint.clone(), level),
            hover,
            rest.clone(),
            rest.clone(),
            torch.zeros(6, size),
            torch.zeros(MEMORY, size),
            torch.zeros(formulas.NOISE_SIZE, size),
            still[0].clone(),
        )
        yaw, params, winds = still[0], self._params, self._wind
        period = torch.tensor(dt)

        def control(flight: Flight, noise: torch.Tensor):
            """Wind, IMU and controller, once per control period."""
            state = flight.state
            gust_noise, white = noise[: formulas.NOISE_SIZE], noise[formulas.NOISE_SIZE :]
            turbulence, velocity = formulas.wind_step(
                flight.turbulence, gust_noise, flight.time, winds
            )
            bias = flight.bias + 1e-4 * white.roll(1, 0)
            reading = at_lever_arm(
                tuple(flight.force), tuple(state.ang_vel_body), tuple(flight.ang_acc), LEVER_ARM
            )
            errors = SensorErrors(
                pos=0.0,
                vel=0.0,
                attitude=None,
                gyro=WHITE[1] * white[3:],
                accelerometer=WHITE[0] * white[:3],
                gyro_bias=bias[3:],
                accelerometer_bias=bias[:3],
            )
            reference = Reference(setpoint, rest, rest, yaw)
            situation = measure(
                state, torch.stack(reading), errors, reference, flight.command, MAX_POS_ERROR
            )
            observation = OBSERVER(situation)
            command, memory = geometric_law(observation, flight.memory, gains, period)
            flight = flight._replace(
                command=command,
                bias=bias,
                memory=memory,
                turbulence=turbulence,
                time=flight.time + dt,
            )
            return flight, velocity

        def physics(flight: Flight, velocity: torch.Tensor) -> Flight:
            """One physics step."""
            state = flight.state
            new, force = physics_step(state, flight.command, velocity, params, loop, PHYSICS_DT)
            ang_acc = (new.ang_vel_body - state.ang_vel_body) / PHYSICS_DT
            return flight._replace(state=new, force=force, ang_acc=ang_acc)

        self._control, self._physics = torch.compile(control), torch.compile(physics)
        self.size = size
        self._noise = torch.randn(formulas.NOISE_SIZE + 6, size)

    def fly(self, flight: Flight, steps: int, substeps: int = 1) -> Flight:
        """``steps`` control periods of ``substeps`` physics steps; noise is drawn in each."""
        for _ in range(steps):
            flight, velocity = self._control(flight, self._noise.normal_())
            for _ in range(substeps):
                flight = self._physics(flight, velocity)
        return flight

    def gradient(self, steps: int) -> torch.Tensor:
        """Gradient (3, B) of the final squared position with respect to the first velocity."""
        import torch

        def leaf(value):
            # all inputs want gradients, as they do from the second step on: one compilation
            if isinstance(value, torch.Tensor):
                return value.detach().requires_grad_()
            return QuadrotorState(*map(leaf, value))

        flight = Flight(*map(leaf, self.start))
        start = flight.state.vel_world
        for _ in range(steps):
            flight, velocity = self._control(flight, torch.randn_like(self._noise))
            flight = self._physics(flight, velocity)
        (gradient,) = torch.autograd.grad(flight.state.pos_world.square().sum(), start)
        return gradient


def _tensor(array: np.ndarray) -> torch.Tensor:
    import torch

    return torch.as_tensor(array, dtype=torch.float32)


def measure_batched(size: int, turns: int) -> dict[str, Any]:
    """Environment-steps per second at one core, each with wind, IMU, controller and physics."""
    import torch

    torch.set_num_threads(1)
    batch = Batch(size)
    forward = _forward_rate(batch, 1, turns)
    for _ in range(2):
        batch.gradient(GRADIENT_STEPS)
    backward = [
        seconds(lambda: batch.gradient(GRADIENT_STEPS), 1) / GRADIENT_STEPS for _ in range(turns)
    ]
    return {
        "batch": size,
        "batched_steps_per_s": forward,
        "batched_grad_steps_per_s": size / median(backward),
    }


def _forward_rate(batch: Batch, substeps: int, turns: int) -> float:
    """Environment-steps (control periods) per second without gradients."""
    import torch

    with torch.no_grad():
        flight = batch.fly(batch.start, 20, substeps)
        times = [seconds(lambda: batch.fly(flight, 20, substeps), 1) / 20 for _ in range(turns)]
    return batch.size / median(times)


def measure_cost() -> dict[str, Any]:
    """Environment-steps (control periods) per second over environments and substeps."""
    import torch

    torch.set_num_threads(1)
    columns = []
    for size in COST_BATCHES:
        torch.compiler.reset()  # compiled for this size, not for any
        batch = Batch(size)
        columns.append([_forward_rate(batch, substeps, 9) for substeps in COST_SUBSTEPS])
    return {
        "environments": list(COST_BATCHES),
        "substeps": list(COST_SUBSTEPS),
        "steps_per_s": [list(row) for row in zip(*columns, strict=True)],
    }
