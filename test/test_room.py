"""The house has room: a vehicle and all that goes with it, in this one file outside of the package.

A cart on a rail: a command kind, rules with a backup, a body; a beacon whose distance it measures,
an observation of that, wind, a metric and a network mode. It flies, trains, exports, is recorded
over ROS 2, evaluated and reported without one edit in the package. A vehicle file names it by
``kind: test_room.py:CART``, so every process that reads that file knows all of it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import pytest
import yaml

from liquid_control.config import StrictModel
from liquid_control.control.observation import observer_of, register_slot
from liquid_control.control.rules import Rules
from liquid_control.evaluation.metrics import Display, Metric, register_metric
from liquid_control.parameters import ControllerParameters, parameter
from liquid_control.sim.sensors import SENSORS
from liquid_control.sim.wind.sources import WIND_SOURCES, Source
from liquid_control.structs import (
    CommandKind,
    Layout,
    Reading,
    SensorFrame,
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


# Its body


class CartPlant:
    actuator_names = ("push m/s^2",)
    rotors = ()
    failsafe = False
    ground_height = 0.1

    def __init__(self, scenario, vehicle):
        self.vehicle, self._dt = vehicle, 1 / scenario.physics_rate

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
        pass

    def advance(self, steps, wind):
        for _ in range(steps):
            self.wind = wind(self._substep * self._dt, self.pose[0])
            self.before = self.pose[1], self.twist[0], self.rates_body
            self._v += (self._push - self.vehicle.drag * (self._v - self.wind[0])) * self._dt
            self._x += self._v * self._dt
            self._substep += 1
            self._publish()

    def touched(self):
        return ""


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
    reading = None if situation.frame is None else situation.frame.reading("beacon")
    return (0.0 if reading is None else reading.sample.metres,)


register_slot(Slot("beacon", 1, "m", "world"), _beacon, vehicles=("cart",))


@WIND_SOURCES.register
class BreathConfig(StrictModel):
    kind: Literal["breath"]
    speed: float  # m/s
    period: float  # s

    def build(self, rng, duration):
        phase = rng.uniform(0, 2 * np.pi)
        rate = 2 * np.pi / self.period
        return Source(lambda time, pos: (self.speed * np.sin(rate * time + phase), 0.0, 0.0))


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
    """Leaky towards the square of a bounded target, with a rate that is learned."""
    import torch

    from liquid_control.nn.cells.modes.mode import Constant, Mode

    def update(u, h_BN, t_B1, c):
        target_BN = torch.tanh(u.target) ** 3
        return target_BN + (h_BN - target_BN) * torch.exp(-t_B1 * c.k)

    constants = (Constant("k", "log_k", torch.log),)
    return Mode("cubic", polar=("target",), plain=(), gain=1.5, constants=constants, update=update)


# The proof


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A vehicle, a world, a training and a suite, as somebody would write them."""
    out = tmp_path_factory.mktemp("cart")
    cart = {"kind": f"{Path(__file__)}:CART", "name": "cart", "max_push": 8.0, "drag": 0.3}
    world = {
        "vehicle": str(out / "cart.yaml"),
        "start": {"place": "ground", "pos": [0.0, 0.0, 0.0]},
        "task": [
            {"kind": "hover", "duration": 1.0},
            {"kind": "steps", "points": [[1.0, 0.0, 0.1]], "pause": 4.0},
        ],
        "wind": [{"kind": "breath", "speed": 2.0, "period": 1.5}],
        "sensors": {"beacon": {"kind": "beacon", "at": 3.0, "noise": 0.01}},
        "success": {"settle_time": 2.5, "limits": {"nearest_m": 1.3, "push_rms_mps2": 8.0}},
    }
    training = {
        "method": "imitation",
        "vehicle": str(out / "cart.yaml"),
        "seed": 1,
        "control_rate": 100.0,
        "observation": {"pos_error": 1.0, "vel_error": 1.0, "beacon": 2.0, "previous_push": 4.0},
        "network": {
            "kind": "cfc",
            "mode": "cubic",
            "nominal_dt": 0.01,
            "polarity": "initial",
            "wiring": {"kind": "auto_ncp", "units": 12, "sparsity": 0.3, "seed": 1},
        },
        "expert": "spring",
        "worlds": [str(out / "rail.yaml")],
        "dagger": {
            **{"rounds": 2, "flights": 2, "duration": 4.0, "expert_share": 0.5, "updates": 60},
            **{"sequences": 16, "length": 32, "learning_rate": 0.02, "gradient_clip": 1.0},
        },
    }
    suite = {
        "description": "Carts",
        "first_seed": 5,
        "flights": 2,
        "after": 2.5,
        "quick": {"flights": 1, "conditions": ["rail"]},
        "changes": {},
        "policies": {"spring": ["spring"], "learned": [str(out / "run" / "policy.onnx")]},
        "baselines": ["spring"],
        "limits": {"spring": {"nearest_m": {"rail": 1.2}}},
        "conditions": {
            "rail": {"description": "A step", "world": str(out / "rail.yaml"), "changes": {}},
            "calm": {
                "description": "No wind",
                "world": str(out / "rail.yaml"),
                "changes": {"wind": []},
            },
        },
    }
    files = {"cart": cart, "rail": world, "training": training, "suite": suite}
    for name, content in files.items():
        (out / f"{name}.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    return out


@pytest.fixture(scope="module")
def rail(folder):
    return str(folder / "rail.yaml")


@pytest.fixture(scope="module")
def policy(folder):
    """Trained for a few updates, and exported."""
    pytest.importorskip("torch")
    from liquid_control.nn.cells.modes.registry import MODES, register_mode
    from liquid_control.training.run import train

    if "cubic" not in MODES:
        register_mode(network_mode())
    return train(folder / "training.yaml", folder / "run")


def test_it_flies_by_its_own_rules(rail):
    from liquid_control.sim.flight import prepare

    flight = prepare(rail, "spring")
    assert flight.loop.rules.command is PUSH
    assert "beacon" in flight.loop.rules.observer.layout.names
    with flight.world(3) as world:
        log = flight.fly(world)
    assert not log.crashed
    assert set(log.mode) == {"policy"}
    assert log.kind is PUSH
    assert log.command.shape == (500, 1)
    assert np.ptp(log.wind_world[:, 0]) > 3  # the breath
    assert abs(log.motion.pos_world[-1, 0] - 1.0) < 0.5


def test_backup_halts_it_when_its_own_sensor_is_gone(rail):
    from liquid_control.sim.flight import prepare

    flight = prepare(rail, "spring")
    with flight.world(3) as world:
        frame = world.reset()
        modes, beacons = [], []
        for k in range(60):
            beacons.append(frame.others["beacon"])
            if k >= 10:  # it is not heard any more
                last = beacons[9]
                beacons[k] = Reading(last.sample, last.age + 0.01 * (k - 9))
            frame = SensorFrame(frame.imu, frame.odometry, others={"beacon": beacons[k]})
            step = flight.loop.step(frame, world.setpoint(), 0.01)
            modes.append(step.mode.value)
            frame = world.step(step.command)
    assert modes[9] == "policy"
    assert modes[-1] == "halt"
    assert "beacon 5" in step.reason


def test_it_trains_and_its_policy_is_a_checked_file(policy, rail):
    from liquid_control.runtime.artifact import load_artifact
    from liquid_control.sim.flight import prepare

    metadata = load_artifact(policy).metadata
    assert metadata.command_kind == "push"
    assert metadata.neuron_names[-1] == "push"
    assert [slot.name for slot in metadata.observation][2:] == ["beacon", "previous_push"]
    flight = prepare(rail, str(policy))
    with flight.world(4) as world:
        log = flight.fly(world)
    assert set(log.mode) == {"policy"}
    error = np.abs(log.setpoint_pos_world - log.motion.pos_world)[-100:, 0]
    assert error.max() < 0.5  # it has learned something


@pytest.mark.ros
def test_it_is_recorded_over_real_topics(rail, folder):
    pytest.importorskip("rclpy")
    pytest.importorskip("mcap_ros2")
    from liquid_control.session.ros import fly_ros
    from liquid_control.sim.flight import prepare

    flown, recording = fly_ros(rail, "spring", seed=3, out_dir=folder / "ros")
    assert recording.is_file()
    flight = prepare(rail, "spring")
    with flight.world(3) as world:
        expected = flight.fly(world)
    np.testing.assert_array_equal(flown.command, expected.command)
    np.testing.assert_array_equal(flown.truth.pos_world, expected.truth.pos_world)
    assert flown.actuator_names == expected.actuator_names
    assert flown.kind is PUSH


def test_it_is_evaluated_and_reported(policy, folder, capsys):
    pytest.importorskip("plotly")
    from liquid_control.cli import main

    out = folder / "evaluated"
    command = ["evaluate", str(folder / "suite.yaml"), "--out", str(out), "--no-film", "--json"]
    assert main(command) == 0
    results = json.loads(capsys.readouterr().out)
    assert results["metrics"]["nearest_m"]["rail"]["spring"]["mean"] < 2.0
    assert results["metrics"]["push_variation_mps3"]["calm"]["learned"]["mean"] > 0
    text = (out / "report.html").read_text()
    assert "nearest to the beacon" in text
    fly = ["fly", "--no-ros", "--world", str(folder / "rail.yaml"), "--policy", str(policy)]
    assert main([*fly, "--out", str(folder / "shown"), "--json"]) in (0, 1)
    shown = json.loads(capsys.readouterr().out)
    assert shown["push_rms_mps2"] > 0
    assert "push" in (folder / "shown" / "report.html").read_text()


def test_the_package_does_not_know_it():
    for path in (Path(__file__).parents[1] / "liquid_control").rglob("*.py"):
        words = path.read_text().lower()
        assert "cart" not in words, path
        assert "beacon" not in words, path
