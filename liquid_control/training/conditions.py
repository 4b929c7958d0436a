"""What a batch of training environments meets: vehicles, wind, references, sensor errors.

Everything is drawn ahead of a window of T control steps, so that the step that is differentiated
holds no randomness. Component-first torch tensors, B environments: ``(n, B)``, ``(T, n, B)``.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from liquid_control.frames import Array
from liquid_control.sim.batched import Reference, SensorErrors
from liquid_control.sim.wind import formulas
from liquid_control.structs import GRAVITY
from liquid_control.training.config import RandomisationConfig, Range, ReferenceConfig, StartConfig
from liquid_control.vehicles.quadrotor.params import QuadrotorParams, RateLoopParams
from liquid_control.vehicles.quadrotor.variation import scaled

HELD_SHARE = 0.85  # of the thrust, that a constant force may take


class Draw:
    """Random tensors of one generator, on one device."""

    def __init__(self, generator: torch.Generator, device: torch.device):
        self.generator, self.device = generator, device

    def uniform(self, *shape: int, low: float = 0.0, high: float = 1.0) -> Tensor:
        """Uniform in [low, high)."""
        u = torch.rand(*shape, generator=self.generator, device=self.device)
        return low + (high - low) * u

    def within(self, bounds: Range, *shape: int) -> Tensor:
        """Uniform in the range of a configuration."""
        return self.uniform(*shape, low=bounds[0], high=bounds[1])

    def normal(self, *shape: int) -> Tensor:
        """Standard normal numbers of a shape."""
        return torch.randn(*shape, generator=self.generator, device=self.device)


class Conditions(NamedTuple):
    """What one episode keeps: each field ends in the batch ``B``."""

    mass: Tensor  # (B) factor
    inertia: Tensor  # (3, B) factor
    drag: Tensor  # (B) factor
    motor_time_constant: Tensor  # (B) factor
    motor_efficiency: Tensor  # (4, B)
    period: Tensor  # (B) s
    delay: Tensor  # (B) s
    dropout: Tensor  # (B) share of the odometry that is lost
    noise: Tensor  # (B) factor
    gyro_bias: Tensor  # (3, B) rad/s
    accelerometer_bias: Tensor  # (3, B) m/s²
    wind_mean: Tensor  # (3, B) m/s
    turbulence: Tensor  # (B) m/s
    correlation_time: Tensor  # (B) s
    gust_amplitude: Tensor  # (B) m/s
    amplitude: Tensor  # (3, B) m, of the Lissajous reference; 0 hovers
    frequency: Tensor  # (3, B) rad/s
    phase: Tensor  # (3, B) rad
    yaw: Tensor  # (B) rad
    step_size: Tensor  # (B) m, of setpoint jumps
    rate_gain: Tensor  # (B) factor
    max_thrust: Tensor  # (B) factor
    push: Tensor  # (3, B) m/s², constant force over mass, world
    attitude_bias: Tensor  # (3, B) rad


def draw_conditions(
    draw: Draw,
    batch: int,
    random: RandomisationConfig,
    reference: ReferenceConfig,
    nominal: QuadrotorParams,
    rate_loop: RateLoopParams,
    physics_steps: int,
) -> Conditions:
    """New conditions for ``batch`` episodes, of vehicles that vary about the nominal one.

    ``physics_steps`` of a control period are what the rate loop runs at.
    """
    wind, noise = random.wind, random.noise
    heading = draw.uniform(batch, high=2 * math.pi)
    speed = draw.within(wind.mean, batch)
    low, high = (math.log(rate) for rate in random.control_rate)
    moving = (draw.uniform(batch) < reference.lissajous_share).float()
    amplitude = draw.uniform(3, batch, low=reference.amplitude[0], high=reference.amplitude[1])
    amplitude = amplitude * torch.tensor([[1.0], [1.0], [0.5]], device=draw.device)
    # the top speed of each axis, so that the whole stays below max_speed
    top = draw.uniform(3, batch, low=0.1) * reference.max_speed / math.sqrt(3)
    jumping = (draw.uniform(batch) < reference.step_share).float() * (1 - moving)
    # in this order, and last what a run need not vary: the draws of the others stay what they are
    conditions = Conditions(
        mass=draw.within(random.mass, batch),
        inertia=draw.within(random.inertia, 3, batch),
        drag=draw.within(random.drag, batch),
        motor_time_constant=draw.within(random.motor_time_constant, batch),
        motor_efficiency=draw.within(random.motor_efficiency, 4, batch),
        period=torch.exp(-draw.uniform(batch, low=low, high=high)),
        delay=draw.within(random.delay, batch),
        dropout=draw.within(random.dropout, batch),
        noise=draw.within(random.noise_scale, batch),
        gyro_bias=draw.normal(3, batch) * noise.gyro_bias,
        accelerometer_bias=draw.normal(3, batch) * noise.accelerometer_bias,
        wind_mean=torch.stack([speed * heading.cos(), speed * heading.sin(), speed * 0]),
        turbulence=draw.within(wind.turbulence, batch),
        correlation_time=draw.within(wind.correlation_time, batch),
        gust_amplitude=draw.within(wind.gust, batch),
        amplitude=amplitude * moving,
        frequency=top / amplitude,
        phase=draw.uniform(3, batch, high=2 * math.pi),
        yaw=draw.uniform(batch, low=-math.pi, high=math.pi),
        step_size=jumping * reference.step,
        **_further(draw, batch, random),
    )
    conditions = _flyable(conditions, random, nominal, rate_loop, physics_steps)
    fastest = torch.full_like(conditions.frequency, math.inf)
    if reference.max_acceleration is not None:
        fastest = (reference.max_acceleration / amplitude).sqrt()
    if reference.max_lag is not None:
        fastest = fastest.minimum(reference.max_lag / lateness(conditions, nominal, rate_loop))
    return conditions._replace(frequency=conditions.frequency.minimum(fastest))


def _further(draw: Draw, batch: int, random: RandomisationConfig) -> dict[str, Tensor]:
    """What a run need not vary; where it does not, nothing is drawn."""

    def factor(bounds: Range) -> Tensor:
        low, high = map(math.log, bounds)
        if low == high:
            return torch.full((batch,), bounds[0], device=draw.device)
        return draw.uniform(batch, low=low, high=high).exp()

    push = bias = torch.zeros(3, batch, device=draw.device)
    rate_gain, max_thrust = factor(random.rate_gain), factor(random.max_thrust)
    if random.push[1] > 0:
        direction = draw.normal(3, batch)
        push = draw.within(random.push, batch) * direction / direction.norm(dim=0).clamp(min=1e-6)
    if random.noise.attitude_bias > 0:
        bias = draw.normal(3, batch) * random.noise.attitude_bias
    return {"rate_gain": rate_gain, "max_thrust": max_thrust, "push": push, "attitude_bias": bias}


def _flyable(
    conditions: Conditions,
    random: RandomisationConfig,
    nominal: QuadrotorParams,
    rate_loop: RateLoopParams,
    physics_steps: int,
) -> Conditions:
    """With a lower gain, shorter lag and smaller mass where the vehicle could not be flown else.

    What the rate loop answers late by is the motors' lag and a physics step; its true gain is the
    higher the smaller the inertia is.
    """
    if random.max_gain_lag is not None:
        most, step = random.max_gain_lag, conditions.period / physics_steps
        nominal_gain = max(rate_loop.rate_gain) / conditions.inertia.min(dim=0).values
        factor = torch.minimum(conditions.rate_gain, 0.5 * most / (nominal_gain * step))
        longest = (most / (nominal_gain * factor) - step) / nominal.time_constant_up
        lag = torch.minimum(conditions.motor_time_constant, longest)
        conditions = conditions._replace(rate_gain=factor, motor_time_constant=lag)
    if random.max_lateness is not None:
        left = random.max_lateness - 0.5 * conditions.period
        late = lateness(conditions, nominal, rate_loop) - 0.5 * conditions.period
        share = (left / late).clamp(max=1.0)
        conditions = conditions._replace(
            rate_gain=conditions.rate_gain / share,
            motor_time_constant=conditions.motor_time_constant * share,
            delay=conditions.delay * share,
        )
    if random.min_thrust_to_weight is not None:
        # commands reach no further than what the autopilot knows of its rotors
        most = 4 * nominal.thrust_coefficient * nominal.max_speed**2 / nominal.mass
        most = most * conditions.max_thrust.clamp(max=1.0) * conditions.motor_efficiency.mean(dim=0)
        mass = torch.minimum(conditions.mass, most / (GRAVITY * random.min_thrust_to_weight))
        push = conditions.push * _bearable(conditions.push, HELD_SHARE * most / mass)
        conditions = conditions._replace(mass=mass, push=push)
    if random.max_trim is not None:
        share = (random.max_trim / _trim(conditions, nominal, rate_loop)).clamp(max=1.0)
        mean = conditions.motor_efficiency.mean(dim=0)
        efficiency = mean + share * (conditions.motor_efficiency - mean)
        conditions = conditions._replace(motor_efficiency=efficiency)
    return conditions


def _bearable(push: Tensor, thrust: Tensor) -> Tensor:
    """Share of each push (3, B), at most 1, that a thrust (B) in m/s² holds besides the weight."""
    down, square = -push[2] * GRAVITY, (push * push).sum(dim=0).clamp(min=1e-6)
    root = (down * down + square * (thrust * thrust - GRAVITY**2).clamp(min=0)).sqrt()
    return ((root - down) / square).clamp(max=1.0)


def _trim(conditions: Conditions, nominal: QuadrotorParams, rate_loop: RateLoopParams) -> Tensor:
    """Largest rate command (B) in rad/s of an axis that holds a hovering vehicle still.

    A rate loop without an integral is that far off, where unequal rotors turn the vehicle.
    """
    efficiency = conditions.motor_efficiency
    thrust = 0.25 * nominal.mass * GRAVITY * conditions.mass * efficiency / efficiency.mean(dim=0)
    x, y, _ = nominal.rotor_pos_body
    drag = nominal.torque_coefficient / nominal.thrust_coefficient
    arms = torch.tensor([y, x, [drag * d for d in nominal.rotor_direction]], device=thrust.device)
    stiffness = [i * g for i, g in zip(rate_loop.inertia, rate_loop.rate_gain, strict=True)]
    rates = (arms @ thrust).abs() / torch.tensor(stiffness, device=thrust.device)[:, None]
    return rates.amax(dim=0).clamp(min=1e-6) / conditions.rate_gain


def lateness(conditions: Conditions, nominal: QuadrotorParams, rate_loop: RateLoopParams) -> Array:
    """About how long after a measurement the tilt follows that is commanded on it, (B) s."""
    inertia = 0.5 * (conditions.inertia[0] + conditions.inertia[1])
    rate_loop_s = inertia / (max(rate_loop.rate_gain) * conditions.rate_gain)
    motors_s = conditions.motor_time_constant * nominal.time_constant_up
    return rate_loop_s + motors_s + conditions.delay + 0.5 * conditions.period


def vehicle_of(conditions: Conditions, nominal: QuadrotorParams) -> QuadrotorParams:
    """The true vehicles of the episodes."""
    return scaled(
        nominal._replace(max_speed=nominal.max_speed * conditions.max_thrust**0.5),
        mass=conditions.mass,
        inertia=tuple(conditions.inertia),
        efficiency=tuple(conditions.motor_efficiency),
        drag=conditions.drag,
        time_constant=conditions.motor_time_constant,
    )


class Process(NamedTuple):
    """What moves from window to window besides the vehicle."""

    time: Tensor  # (B) s since the start of the episode
    turbulence: Tensor  # (3, B) m/s
    gust_time: Tensor  # (B) s since the start of the gust; negative: to come
    gust_duration: Tensor  # (B) s
    gust_direction: Tensor  # (3, B) unit
    setpoint_offset: Tensor  # (3, B) m, sum of the jumps


def autopilot_of(conditions: Conditions, nominal: RateLoopParams) -> RateLoopParams:
    """The rate loops of the episodes, and what they know of their rotors."""
    return nominal._replace(
        rate_gain=tuple(gain * conditions.rate_gain for gain in nominal.rate_gain),
        max_thrust=nominal.max_thrust * conditions.max_thrust,
    )


def start_process(draw: Draw, batch: int, random: RandomisationConfig) -> Process:
    """Processes at the start of an episode."""
    zero = torch.zeros(3, batch, device=draw.device)
    time, duration, direction = _next_gust(draw, batch, random)
    return Process(zero[0], draw.normal(3, batch) * 0, time, duration, direction, zero)


def _next_gust(draw: Draw, batch: int, random: RandomisationConfig):
    wind = random.wind
    wait = -wind.gust_interval * torch.log1p(-draw.uniform(batch, high=0.999))
    direction = draw.normal(3, batch) * torch.tensor([[1.0], [1.0], [0.3]], device=draw.device)
    return (
        -wait,
        draw.within(wind.gust_duration, batch),
        direction / direction.norm(dim=0).clamp(min=1e-6),
    )


class StepInputs(NamedTuple):
    """What one control step takes from its window."""

    dt: Tensor  # (B) s
    wind: Tensor  # (3, B) m/s
    pos: Tensor  # (3, B) m, setpoint at the start of the step
    vel: Tensor  # (3, B) m/s
    acc: Tensor  # (3, B) m/s²
    next_pos: Tensor  # (3, B) m, setpoint at its end
    next_vel: Tensor  # (3, B) m/s
    noise: Tensor  # (15, B)

    def errors(self, conditions: Conditions) -> SensorErrors:
        """Of the sensors in this step."""
        pos, vel, attitude, gyro, accelerometer = (self.noise[k : k + 3] for k in range(0, 15, 3))
        attitude = attitude + conditions.attitude_bias
        biases = conditions.gyro_bias, conditions.accelerometer_bias
        return SensorErrors(pos, vel, attitude, gyro, accelerometer, *biases)

    def reference(self, conditions: Conditions) -> Reference:
        """The setpoint at the start of the step."""
        return Reference(self.pos, self.vel, self.acc, conditions.yaw)


class Window(NamedTuple):
    """All that T steps need, drawn ahead."""

    dt: Tensor  # (T, B) s
    wind: Tensor  # (T, 3, B) m/s
    setpoint_pos: Tensor  # (T + 1, 3, B) m
    setpoint_vel: Tensor  # (T + 1, 3, B) m/s
    setpoint_acc: Tensor  # (T + 1, 3, B) m/s²
    noise: Tensor  # (T, 15, B): position, velocity, attitude, gyro, accelerometer

    def at(self, k: int) -> StepInputs:
        """What step ``k`` needs, without the axis of time."""
        return StepInputs(
            self.dt[k],
            self.wind[k],
            self.setpoint_pos[k],
            self.setpoint_vel[k],
            self.setpoint_acc[k],
            self.setpoint_pos[k + 1],
            self.setpoint_vel[k + 1],
            self.noise[k],
        )


def draw_window(
    draw: Draw,
    steps: int,
    conditions: Conditions,
    process: Process,
    random: RandomisationConfig,
    reference: ReferenceConfig,
) -> tuple[Window, Process]:
    """The next ``steps`` control steps of every environment."""
    batch = conditions.mass.shape[0]
    jitter = draw.uniform(steps, batch, low=-random.rate_jitter, high=random.rate_jitter)
    dt = conditions.period * (1 + jitter)
    time, turbulence, gust_time, duration, direction, offset = process
    normal = draw.normal(steps, 3, batch)
    jumps = draw.uniform(steps, 3, batch, low=-1.0) * conditions.step_size
    jump_now = draw.uniform(steps, batch) * reference.step_interval < dt
    # all that does not depend on the step before is computed for all of them at once
    step = formulas.ornstein_uhlenbeck_coefficients(
        conditions.turbulence, conditions.correlation_time, dt
    )
    fresh = step.gain[:, None] * normal
    clock = torch.stack([time, gust_time])
    clocks, gusts, offsets = [clock], [], [offset]
    for dt_B, keep_B, fresh_3B, jump_3B, now_B in zip(
        dt, step.keep, fresh, jumps, jump_now, strict=True
    ):
        turbulence = keep_B * turbulence + fresh_3B
        gusts.append(turbulence)
        clock = clock + dt_B
        clocks.append(clock)
        offset = torch.where(now_B, jump_3B, offset)
        offsets.append(offset)
    time, gust_time = clock
    times, gust_times = torch.stack(clocks).unbind(1)
    gust = conditions.gust_amplitude * formulas.one_minus_cosine_pulse(gust_times[1:], duration)
    over = gust_time > duration
    new_time, new_duration, new_direction = _next_gust(draw, batch, random)
    process = Process(
        time,
        turbulence,
        torch.where(over, new_time, gust_time),
        torch.where(over, new_duration, duration),
        torch.where(over, new_direction, direction),
        offset,
    )
    angle = conditions.frequency * times[:, None] + conditions.phase
    swing = conditions.amplitude * conditions.frequency
    window = Window(
        dt=dt,
        wind=conditions.wind_mean + torch.stack(gusts) + gust[:, None] * direction,
        setpoint_pos=conditions.amplitude * torch.sin(angle) + torch.stack(offsets),
        setpoint_vel=swing * torch.cos(angle),
        setpoint_acc=-swing * conditions.frequency * torch.sin(angle),
        noise=_draw_noise(draw, steps, conditions, random),
    )
    return window, process


def _draw_noise(
    draw: Draw, steps: int, conditions: Conditions, random: RandomisationConfig
) -> Tensor:
    """Sensor errors ``(T, 15, B)``.

    The flying loop dead-reckons over lost odometry, which keeps the error of the last sample.
    """
    batch = conditions.mass.shape[0]
    noise = draw.normal(steps, 15, batch) * _noise_scale(random, draw.device) * conditions.noise
    came = draw.uniform(steps, batch) >= conditions.dropout
    newest, held = noise[0, :9], []
    for came_B, sample in zip(came, noise[:, :9], strict=True):
        newest = torch.where(came_B, sample, newest)
        held.append(newest)
    odometry = torch.stack(held)
    return torch.cat([odometry, noise[:, 9:]], dim=1)


def _noise_scale(random: RandomisationConfig, device: torch.device) -> Tensor:
    noise = random.noise
    sizes = (noise.position, noise.velocity, noise.attitude, noise.gyro, noise.accelerometer)
    return torch.tensor([size for size in sizes for _ in range(3)], device=device)[:, None]


def draw_start(draw: Draw, batch: int, start: StartConfig) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Offset from the setpoint (3, B), attitude (4, B), velocity (3, B), body rates (3, B)."""
    direction = draw.uniform(batch, high=2 * math.pi)
    tilted = draw.uniform(batch) < start.tilted_share
    half = 0.5 * draw.uniform(batch, high=start.max_tilt) * tilted
    yaw = 0.5 * draw.uniform(batch, low=-math.pi, high=math.pi)
    tilt = torch.stack([half.sin() * direction.cos(), half.sin() * direction.sin()])
    # yaw about the world's z, then tilt about a horizontal axis of the body
    quat = torch.stack(
        [
            yaw.cos() * tilt[0] - yaw.sin() * tilt[1],
            yaw.cos() * tilt[1] + yaw.sin() * tilt[0],
            yaw.sin() * half.cos(),
            yaw.cos() * half.cos(),
        ]
    )
    return (
        draw.uniform(3, batch, low=-start.position, high=start.position),
        quat,
        draw.uniform(3, batch, low=-start.velocity, high=start.velocity),
        draw.uniform(3, batch, low=-start.ang_vel, high=start.ang_vel),
    )
