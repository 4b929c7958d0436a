"""The worlds that ship, and how mistakes in a world file are named."""

import json

import jsonschema
import numpy as np
import pytest
import yaml

from liquid_control.config import load_vehicle, read_yaml, share_dir
from liquid_control.sim.check import check_worlds, world_files, world_schema
from liquid_control.sim.scenario import load_world
from liquid_control.sim.task import Task
from liquid_control.sim.world import World

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


@pytest.mark.parametrize(
    ("change", "key", "reason"),
    [
        ({"duraton": 1.0}, "duraton", "unknown key"),
        ({"physics_rate": 300}, "physics_rate", "greater than or equal to 400"),
        ({"name": "other"}, "name", "expected 'hover_calm', got 'other'"),
        ({"duration": 12.0}, "duration", "expected the 15 s"),
        ({"wind": [{"kind": "dryden", "standard": "mil_f_8785c"}]}, "wind.0.dryden", "severity"),
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
