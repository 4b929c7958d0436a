"""The house has room: a vehicle and all that goes with it stands in `cart.py`, beside this file.

It flies, trains, exports, is recorded over ROS 2, evaluated and reported without one edit in the
package.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import yaml

pytest.importorskip("pybullet")

from liquid_control.config import ConfigError
from liquid_control.structs import COMMAND_KINDS, Reading, SensorFrame, Setpoint

CART = Path(__file__).with_name("cart.py")


@pytest.fixture(scope="module", autouse=True)
def registries(restored_registries):
    """What the cart registers is known to these tests alone."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A vehicle, a world, a training and a suite, as somebody would write them."""
    out = tmp_path_factory.mktemp("cart")
    cart = {"kind": f"{CART}:CART", "name": "cart", "max_push": 8.0, "drag": 0.3}
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
            "mode": f"{CART}:CUBIC",
            "nominal_dt": 0.01,
            "polarity": "initial",
            "wiring": {"kind": "auto_ncp", "units": 12, "sparsity": 0.3, "seed": 1},
        },
        "expert": f"{CART}:Teacher",
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
    from liquid_control.nn.cells.modes.registry import MODES
    from liquid_control.training.run import train

    yield train(folder / "training.yaml", folder / "run")
    del MODES["cubic"]


def test_it_flies_by_its_own_rules(rail):
    from liquid_control.sim.flight import prepare

    flight = prepare(rail, "spring")
    assert flight.loop.rules.command.name == "push"
    assert "beacon" in flight.loop.rules.observer.layout.names
    with flight.world(3) as world:
        log = flight.fly(world)
    assert not log.crashed
    assert set(log.mode) == {"policy"}
    assert log.kind.name == "push"
    assert log.command.shape == (500, 1)
    assert np.ptp(log.wind_world[:, 0]) > 3  # the breath
    assert abs(log.motion.pos_world[-1, 0] - 1.0) < 0.5


def counted(thing):
    """A list that grows with each reset of it."""
    calls, reset = [], thing.reset

    def count():
        calls.append(1)
        reset()

    thing.reset = count
    return calls


def test_backup_halts_it_when_its_own_sensor_is_gone(rail):
    """It brakes wherever it is, though the setpoint is far; then its policy starts afresh."""
    from liquid_control.sim.flight import prepare

    flight = prepare(rail, "spring")
    backup = flight.loop.rules.backup
    far = Setpoint(np.array([2.0, 0.0, 0.1]))
    with flight.world(3) as world:
        frame, last, modes = world.reset(), None, []
        resets = counted(flight.loop.policy)
        for k in range(110):
            beacon = frame.others["beacon"]
            if k < 40:
                last = beacon
            elif k < 100:  # it is not heard any more
                beacon = Reading(last.sample, last.age + 0.01 * (k - 39))
            frame = SensorFrame(frame.imu, frame.odometry, others={"beacon": beacon})
            before = len(resets)
            step = flight.loop.step(frame, far, 0.01)
            modes.append(step.mode.value)
            if step.mode.value == "halt":
                reason = step.reason
                speed = frame.odometry.sample.vel_body[0]
                sent = step.command["push"][0]
                assert sent == pytest.approx(-backup.gains.damping * speed)
                halted = world.state
            taken_over = modes[-2:] in (["policy"], ["halt", "policy"])
            assert (len(resets) > before) == taken_over
            frame = world.step(step.command)
    assert modes[39] == "policy"
    assert modes[99] == "halt"
    assert modes[109] == "policy"
    assert "beacon 6" in reason
    assert abs(halted.vel_world[0]) < 0.5
    assert halted.pos_world[0] < 1.5


def test_its_limits_hold(rail):
    from liquid_control.sim.flight import prepare

    for side in (1.0, -1.0):
        flight = prepare(rail, "spring")
        with flight.world(3) as world:
            step = flight.loop.step(world.reset(), Setpoint(np.array([2 * side, 0.0, 0.1])), 0.01)
        assert step.mode.value == "policy"
        assert step.command["push"][0] == side * 8.0  # it wanted about 12


def test_a_clock_that_moved_makes_its_policy_start_afresh(rail):
    from liquid_control.sim.flight import prepare

    flight = prepare(rail, "spring")
    with flight.world(3) as world:
        frame, clocks = world.reset(), []
        resets = [counted(flight.loop.policy), counted(flight.loop.rules.backup)]
        for k in range(40):
            if k >= 20:
                sample = frame.odometry.sample
                sample = dataclasses.replace(sample, stamp=sample.stamp - 5_000_000_000)
                moved = Reading(sample, frame.odometry.age)
                frame = SensorFrame(frame.imu, moved, others=frame.others)
            before = [len(calls) for calls in resets]
            step = flight.loop.step(frame, world.setpoint(), 0.01)
            assert step.mode.value == "policy"
            again = [len(calls) - count for calls, count in zip(resets, before, strict=True)]
            if k:  # in the first step the policy takes over
                assert again == [len(step.clocks)] * 2
            clocks += step.clocks
            frame = world.step(step.command)
    assert len(clocks) == 1
    assert clocks[0].startswith("odometry: clock moved by")


def test_its_slot_is_not_offered_to_others(rail):
    from liquid_control.sim.flight import prepare

    cart, drone = prepare(rail, "spring"), prepare("hover_calm", "geometric")
    assert "beacon" in cart.loop.rules.observer.layout.names
    assert "beacon" not in drone.loop.rules.observer.layout.names


def test_its_world_has_a_scene_a_task_and_a_fault_of_its_own(rail):
    from liquid_control.sim.flight import prepare
    from liquid_control.sim.scenario import read_world

    def flown(**changes):
        shuttle = [{"kind": "shuttle", "reach": 1.0, "duration": 4.0}]
        changes = {"task": shuttle, "wind": [], **changes}
        flight = prepare(read_world(rail, changes, source="test"), "spring")
        with flight.world(3) as world:
            return flight.fly(world)

    free = flown()
    assert not free.crashed
    assert free.setpoint_pos_world[200, 0] - free.setpoint_pos_world[0, 0] == pytest.approx(1.0)
    assert np.abs(free.setpoint_pos_world - free.motion.pos_world)[:, 0].max() < 0.5
    blocked = flown(obstacles=[{"shape": "post", "pos": [0.7, 0.0, 0.2]}])
    assert blocked.crash_reason == "hit an obstacle"
    stuck = flown(faults=[{"kind": "stuck", "at": 0.5, "until": 3.0, "factor": 20.0}])
    np.testing.assert_array_equal(stuck.truth.pos_world[:50], free.truth.pos_world[:50])
    assert np.ptp(stuck.truth.pos_world[:, 0]) < 0.8 * np.ptp(free.truth.pos_world[:, 0])


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
def test_it_is_recorded_over_real_topics(rail, folder, monkeypatch):
    pytest.importorskip("rclpy")
    pytest.importorskip("mcap_ros2")
    from liquid_control.evaluation.recording import read_flight
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
    assert flown.kind is expected.kind
    # a process that has not read the vehicle's file
    monkeypatch.delitem(COMMAND_KINDS, "push")
    with pytest.raises(ConfigError, match="load the vehicle's file first"):
        read_flight(recording)
    again = read_flight(recording, kind=expected.kind)
    np.testing.assert_array_equal(again.command, flown.command)


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


def test_it_is_evaluated_in_workers(folder):
    from liquid_control.evaluation.suite.config import load_suite
    from liquid_control.evaluation.suite.flights import run_suite

    suite = load_suite(folder / "suite.yaml", flights=1, only=["spring"])
    keys = ("cell", "seed", "nearest_m", "error_mm")
    alone, shared = (
        [[row[key] for key in keys] for row in run_suite(suite, folder / str(jobs), jobs=jobs)]
        for jobs in (1, 2)
    )
    assert alone == shared
    assert len(alone) == 2


def test_the_package_does_not_know_it():
    for path in (Path(__file__).parents[1] / "liquid_control").rglob("*.py"):
        words = path.read_text().lower()
        assert "cart" not in words, path
        assert "beacon" not in words, path
