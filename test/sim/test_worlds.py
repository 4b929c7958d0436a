"""The worlds that ship, and how mistakes in a world file are named."""

import copy
import json

import jsonschema
import numpy as np
import pytest
import yaml

from liquid_control.config import ConfigError, parse, read_yaml, share_dir
from liquid_control.sim.check import check_worlds, world_files, world_schema
from liquid_control.sim.scenario import WorldConfig, load_world
from liquid_control.sim.task import Task
from liquid_control.sim.world import World
from liquid_control.vehicles.catalogue import load_vehicle

WORLDS = [path.stem for path in world_files()]
SCHEMA = share_dir() / "sim_worlds/schema/world.schema.json"


def test_the_worlds_are_there():
    needed = {
        "hover_calm", "hover_gusts", "demo", "hover_dryden_light", "hover_dryden_moderate",
        "hover_dryden_severe", "gust_1_cosine", "gust_step", "fan_crossing", "figure8_wind",
        "waypoints_wind", "tilt_recovery", "sensor_faults", "motor_fault",
    }  # fmt: skip
    assert needed <= set(WORLDS)
    assert check_worlds(world_files()) == []


@pytest.mark.parametrize("name", WORLDS)
def test_a_world_starts_and_its_task_is_smooth(name):
    """Position, velocity and acceleration are continuous and belong together."""
    scenario = load_world(name)
    with World(scenario, load_vehicle(scenario.vehicle), seed=1) as world:
        frame = world.reset()
        assert frame.imu is not None
        for _ in range(20):
            world.step(None)
        assert not world.crashed
    task = Task(scenario.task, np.array(scenario.start.pos), 0.0)
    h = 1e-3
    time = np.arange(0, scenario.duration - h, h)
    points = [task.setpoint(t) for t in time]
    pos, vel, acc = (
        np.array([getattr(p, key) for p in points])
        for key in ("pos_world", "vel_world", "acc_world")
    )
    np.testing.assert_allclose(np.diff(pos, axis=0), h * vel[1:], atol=2e-5)
    np.testing.assert_allclose(np.diff(vel, axis=0), h * acc[1:], atol=1e-4)
    # C2: the acceleration has no jump
    assert np.abs(np.diff(acc, axis=0)).max() < 0.1


def check_changed(tmp_path, world: str, changes: dict):
    """Problems of a shipped world with other values at dotted keys."""
    data = read_yaml(share_dir() / f"sim_worlds/{world}.yaml")
    for key, value in changes.items():
        *parents, last = (int(part) if part.isdigit() else part for part in key.split("."))
        node = data
        for part in parents:
            node = node[part]
        node[last] = value
    path = tmp_path / f"{world}.yaml"
    path.write_text(yaml.safe_dump(data))
    return check_worlds([path])


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("physics_rate", 10**9),
        ("duration", 1e9),
        ("start.pos.2", -5.0),
        ("start.pos.2", 0.05),
        ("start.tilt_deg", 1e308),
        ("start.tilt_deg", {"uniform": [0.0, 1e308]}),
        ("start.vel_spread", 1e308),
        ("wind.0.speed", 1e308),
        ("wind.0.shear", {"roughness": 1.0, "reference_height": 1.0}),
        ("wind.1.length.0", 1e308),
        ("wind.2.mean_interval", 1e-9),
        ("wind.2.first", -1e9),
        ("wind.2.rise_time", 0.0),
        ("wind.2.rise_time", {"uniform": [-1.0, 1.0]}),
        ("wind.2.hold_time", -1.0),
        ("success.settle_time", 15.0),
        ("seeds.0", -1),
        ("seeds.0", 2**31),
    ],
)
def test_what_would_hang_or_crash_a_flight_is_refused(tmp_path, key, value):
    (problem,) = check_changed(tmp_path, "hover_gusts", {key: value})
    assert key.startswith(problem.key)
    assert problem.key


@pytest.mark.parametrize("value", [1e308, -1e308, 1e9, -1.0, 0.0, 1e-300])
@pytest.mark.parametrize("world", ["hover_gusts", "fan_crossing"])
def test_a_number_is_refused_or_can_be_flown(world, value):
    base = read_yaml(share_dir() / f"sim_worlds/{world}.yaml")
    for part in ("imu", "odometry"):
        base[part] = read_yaml(share_dir() / f"sim_worlds/sensors/{base[part]}.yaml")
    places = [path for path in _numbers(base) if path[0] != "seeds"]
    for *parents, last in places:
        data = copy.deepcopy(base)
        node = data
        for part in parents:
            node = node[part]
        node[last] = value
        try:
            scenario = parse(data, WorldConfig, "test")
        except ConfigError:
            continue
        with World(scenario, load_vehicle(scenario.vehicle), seed=0) as flown:
            for _ in range(3):
                flown.step(None)


def _numbers(data, path=()):
    """Where the numbers of a nested configuration stand."""
    if isinstance(data, dict | list):
        for key, value in data.items() if isinstance(data, dict) else enumerate(data):
            yield from _numbers(value, (*path, key))
    elif isinstance(data, int | float) and not isinstance(data, bool):
        yield path


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        (
            "start.tilt_deg",
            "steep",
            "valid number, unable to parse string as a number, got 'steep'",
        ),
        ("start.tilt_deg", 200.0, "expected 0 to 180, got 200"),
        ("wind.0.kind", "storm", "expected one of 'steady', 'turbulence'"),
        ("wind.0.speed", None, "valid number, got None"),
        ("task.0.duration", "long", "valid number"),
        ("start", 5, "expected a mapping, got 5"),
    ],
)
def test_a_key_is_one_of_the_file_and_named_once(tmp_path, key, value, reason):
    (problem,) = check_changed(tmp_path, "hover_gusts", {key: value})
    assert problem.key == key
    assert reason in problem.reason
    assert problem.reason.count("got") <= 1


def test_a_rate_that_does_not_divide_is_named_without_the_whole_file(tmp_path):
    (problem,) = check_changed(tmp_path, "hover_gusts", {"control_rate": 130})
    assert problem.reason == "control_rate must divide physics_rate, got 130 Hz and 500 Hz"


@pytest.mark.parametrize(
    ("change", "key", "reason"),
    [
        ({"duraton": 1.0}, "duraton", "unknown key"),
        ({"physics_rate": 300}, "physics_rate", "greater than or equal to 400"),
        ({"name": "other"}, "name", "expected 'hover_calm', got 'other'"),
        ({"duration": 12.0}, "duration", "expected the 15 s"),
        ({"wind": [{"kind": "dryden", "standard": "mil_f_8785c"}]}, "wind.0", "severity"),
        ({"seeds": []}, "seeds", "at least 1 item"),
        ({"imu": "imu_of_gold"}, "imu", "imu_of_gold"),
    ],
)
def test_a_mistake_is_named_by_file_key_and_reason(tmp_path, change, key, reason):
    path = tmp_path / "hover_calm.yaml"
    path.write_text(
        yaml.safe_dump({**read_yaml(share_dir() / "sim_worlds/hover_calm.yaml"), **change})
    )
    (problem,) = check_worlds([path])
    assert problem.path == str(path)
    assert problem.key == key
    assert reason in problem.reason


def test_broken_yaml_is_one_problem(tmp_path):
    path = tmp_path / "broken.yaml"
    path.write_text("name: [\n")
    (problem,) = check_worlds([path])
    assert "not valid YAML" in problem.reason
    assert str(problem).count(str(path)) >= 1


def test_the_schema_file_is_current():
    assert json.loads(SCHEMA.read_text(encoding="utf-8")) == world_schema()


@pytest.mark.parametrize("name", WORLDS)
def test_the_schema_accepts_what_ships_and_refuses_mistakes(name):
    data = read_yaml(share_dir() / f"sim_worlds/{name}.yaml")
    validator = jsonschema.Draft202012Validator(world_schema())
    assert list(validator.iter_errors(data)) == []
    assert list(validator.iter_errors({**data, "wnid": []}))
    assert list(validator.iter_errors({**data, "control_rate": -1}))
