"""A vehicle of somebody's own and all that goes with it: what `test_room` flies.

A cart on a rail: a command kind, rules with a backup, a body; a beacon whose distance it measures,
an observation of that, wind, a post in the way, a task, a fault, a metric, an expert and a network
mode. A vehicle file names it by
``kind: cart.py:CART``, so every process that reads that file knows all of it.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np

from liquid_control.config import StrictModel
from liquid_control.control.observation import observer_of, register_slot
from liquid_control.control.rules import Rules
from liquid_control.evaluation.metrics import Display, Metric, register_metric
from liquid_control.parameters import ControllerParameters, parameter
from liquid_control.sim.faults import FAULTS, Fault, VehicleFault
from liquid_control.sim.scenery.config import SCENE_OBJECTS
from liquid_control.sim.sensors import SENSORS
from liquid_control.sim.task import SEGMENTS
from liquid_control.sim.wind.sources import WIND_SOURCES, Source
from liquid_control.structs import (
    CommandKind,
    Layout,
    Slot,
    register_command,
)
from liquid_control.vehicles.kind import VehicleConfig, VehicleKind

PUSH = register_command(
    CommandKind("push", Layout((Slot("push", 1, "m/s^2", "world"),)), (0.0,), ("linear.x",))
)


# Its description, parameters and rules


class CartConfig(VehicleConfig):
    kind: Literal["cart"]
    max_push: float  # m/s²
    drag: float  # 1/s, of the speed through the air


class CartGains(StrictModel):
    stiffness: float = parameter(6.0, "position error to push", "1/s^2", ge=0, le=100)
    damping: float = parameter(4.0, "speed error to push", "1/s", ge=0, le=100)


class CartParameters(ControllerParameters):
    backup: CartGains = CartGains()


class CartBackup:
    def __init__(self, gains):
        self.gains = gains

    def reset(self):
        pass

    def step(self, situation, dt):
        error = situation.setpoint_pos_world[0] - situation.pos_world[0]
        slip = situation.setpoint_vel_world[0] - situation.vel_body[0]
        return (self.gains.stiffness * error + self.gains.damping * slip,)

    def halt(self, situation, dt):
        return (-self.gains.damping * situation.vel_body[0],)


def cart_rules(vehicle, parameters, backup=None):
    backup = backup or CartBackup(parameters.backup)
    backup.gains = parameters.backup
    age = parameters.input_gate.max_odometry_age
    return Rules(
        command=PUSH,
        low=(-vehicle.max_push,),
        high=(vehicle.max_push,),
        slew=(1000.0,),
        needs={"odometry": age},
        watches={"beacon": 0.2},
        observer=observer_of("cart", PUSH),
        left_envelope=lambda estimate: "off the rail" if abs(estimate.pos_world[0]) > 50 else "",
        backup=backup,
    )


class Spring:
    """Its built-in controller, which sees position and speed errors."""

    observation_layout = observer_of("cart", PUSH).select(("pos_error", "vel_error")).layout
    command_layout = PUSH.layout
    neurons = np.zeros(0)

    def __init__(self, parameters):
        self.set_parameters(parameters)

    def set_parameters(self, parameters):
        self.gains = parameters.backup

    def reset(self):
        pass

    def warm_up(self):
        pass

    def step(self, observation, dt):
        return np.array(
            [self.gains.stiffness * observation[0] + self.gains.damping * observation[3]]
        )


class Teacher:
    """The same spring as an expert, whose slots are not the first of the table nor in its order."""

    observation = ("previous_push", "vel_error", "pos_error")

    def __init__(self, rules):
        self.gains = rules.backup.gains

    def step(self, observation, dt):
        _, slip, _, _, error, _, _ = observation
        return [self.gains.stiffness * error + self.gains.damping * slip]


# Its body


class CartPlant:
    actuator_names = ("push m/s^2",)
    rotors = ()
    failsafe = False
    ground_height = 0.1

    def __init__(self, scenario, vehicle):
        self.scenario, self.vehicle, self._dt = scenario, vehicle, 1 / scenario.physics_rate

    def close(self):
        pass

    def start(self, start, rng):
        self._x, self._y, self._z = start.pos.tolist()
        self._v, self._push, self._substep = float(start.vel[0]), 0.0, 0
        self.rates_body = self.wind = (0.0, 0.0, 0.0)
        self._publish()
        self.before = self.pose[1], self.twist[0], self.rates_body

    def _publish(self):
        self.pose = (self._x, self._y, self._z), (0.0, 0.0, 0.0, 1.0)
        self.twist = (self._v, 0.0, 0.0), (0.0, 0.0, 0.0)
        self.actuators = (self._push,)

    def accept(self, command):
        self._push = 0.0 if command is None else command["push"][0]

    def update(self, time):
        self._now = self.vehicle
        for fault in self.scenario.faults:
            if isinstance(fault, VehicleFault) and fault.active(time):
                self._now = fault.apply(self._now)

    def advance(self, steps, wind):
        for _ in range(steps):
            self.wind = wind(self._substep * self._dt, self.pose[0])
            self.before = self.pose[1], self.twist[0], self.rates_body
            self._v += (self._push - self._now.drag * (self._v - self.wind[0])) * self._dt
            self._x += self._v * self._dt
            self._substep += 1
            self._publish()

    def touched(self):
        posts = [item.pos[0] for item in self.scenario.obstacles]
        return "obstacle" if any(abs(self._x - post) < 0.1 for post in posts) else ""


CART = VehicleKind(
    name="cart",
    config=CartConfig,
    parameters=CartParameters,
    command=PUSH,
    rules=cart_rules,
    plant=CartPlant,
    controllers={"spring": Spring},
)


# What it measures, what it sees of that, and what pushes it


class Range(NamedTuple):
    stamp: int  # ns
    metres: float


@SENSORS.register
class BeaconConfig(StrictModel):
    kind: Literal["beacon"]
    at: float  # m, east
    noise: float  # m

    def build(self, rng, control_rate):
        return Beacon(self, rng)


class Beacon:
    def __init__(self, config, rng):
        self._config, self._rng = config, rng

    def measure(self, stamp_ns, truth):
        error = self._config.noise * self._rng.standard_normal()
        return Range(stamp_ns, self._config.at - truth.pos[0] + error)


def _beacon(situation):
    reading = situation.readings.get("beacon")
    return (0.0 if reading is None else reading.sample.metres,)


register_slot(Slot("beacon", 1, "m", "world"), _beacon, vehicles=("cart",), sensors=("beacon",))


@WIND_SOURCES.register
class BreathConfig(StrictModel):
    kind: Literal["breath"]
    speed: float  # m/s
    period: float  # s

    def build(self, rng, duration):
        phase = rng.uniform(0, 2 * np.pi)
        rate = 2 * np.pi / self.period
        return Source(lambda time, pos: (self.speed * np.sin(rate * time + phase), 0.0, 0.0))


# What stands in its way, where it has to go, and what goes wrong


@SCENE_OBJECTS.register
class PostConfig(StrictModel):
    shape: Literal["post"]
    pos: tuple[float, float, float]  # m
    yaw_deg: float = 0.0
    color: tuple[float, float, float] = (1.0, 0.0, 0.0)

    def collision(self):
        from liquid_control.sim.scenery import shapes

        return [shapes.box((0.02, 0.02, 0.4))]

    def visuals(self, texture_period):
        return self.collision()


@SEGMENTS.register
class ShuttleSegment(StrictModel):
    """East and back."""

    kind: Literal["shuttle"]
    reach: float  # m
    duration: float  # s

    def end(self, start):
        return start

    def path(self, start, time):
        east, rate = np.array([1.0, 0.0, 0.0]), 2 * np.pi / self.duration
        half = 0.5 * self.reach
        return (
            start + half * (1 - np.cos(rate * time)) * east,
            half * rate * np.sin(rate * time) * east,
            half * rate**2 * np.cos(rate * time) * east,
        )


@FAULTS.register
class StuckFault(Fault):
    """A brake that drags."""

    kind: Literal["stuck"]
    factor: float  # of the drag

    def apply(self, vehicle):
        return vehicle.model_copy(update={"drag": self.factor * vehicle.drag})


# What its flights are worth


register_metric(
    Metric(
        "nearest_m",
        lambda log, after: float(np.abs(log.motion.pos_world[:, 0] - 2.0).min()),
        Display("nearest to the beacon", 100, "cm", 1),
        compared=True,
        limited=True,
    )
)


# What it thinks with; torch is only imported where something is trained


def network_mode():
    """Leaky towards the cube of a bounded target, with a rate that is learned."""
    import torch

    from liquid_control.nn.cells.modes.mode import Constant, Mode

    def update(u, h_BN, t_B1, c):
        target_BN = torch.tanh(u.target) ** 3
        return target_BN + (h_BN - target_BN) * torch.exp(-t_B1 * c.k)

    constants = (Constant("k", "log_k", torch.log),)
    return Mode("cubic", polar=("target",), plain=(), gain=1.5, constants=constants, update=update)


def __getattr__(name):
    """`CUBIC` is made when it is asked for: a node that flies the cart needs no torch."""
    if name == "CUBIC":
        globals()[name] = network_mode()
        return globals()[name]
    raise AttributeError(name)
