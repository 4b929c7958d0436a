"""The worlds that ship, and how mistakes in a world file are named."""

import copy
import json
import re
from pathlib import Path

import jsonschema
import numpy as np
import pytest
import yaml

from liquid_control.config import ConfigError, parse, read_yaml, share_dir
from liquid_control.evaluation.judged import read_judged_world
from liquid_control.evaluation.suite.config import load_suite
from liquid_control.session.flight import fly
from liquid_control.sim.check import check_worlds, world_files, world_schema
from liquid_control.sim.reference import world_keys
from liquid_control.sim.scenario import WorldConfig, load_world, read_world
from liquid_control.sim.task import Task
from liquid_control.sim.wind.sources import WIND_SOURCES
from liquid_control.sim.world import World
from liquid_control.vehicles.catalogue import load_vehicle

WORLDS = [path.stem for path in world_files()]
SCHEMA = share_dir() / "sim_worlds/schema/world.schema.json"
DOCS = Path(__file__).parents[2] / "docs/worlds.md"
VALUES = Path(__file__).parent / "shipped_worlds.json"
# numbers without a unit
UNITLESS = {
    *("vehicle_spread", "battery_charge", "frequency", "loops", "scale_error", "dropout"),
    *("blur_frames", "brightness", "noise", "occlusion", "contrast", "color", "ground", "rotor"),
    *("efficiency", "factor", "offset", "limits", "uniform", "color_spread", "shifts", "wear"),
    *("loss", "straight", "level", "strength", "trees", "distractors", "bark", "leaves"),
    "distractor_colors",
    "gates",
    "swaying",
    "target_color",
}


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
    if any(hasattr(segment, "guide") for segment in scenario.task):
        return  # follows the vehicle; see test_road
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
    data = load_world(world).model_dump(mode="json")
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
        ("success.limits.rmse_m", -1.0),
    ],
)
def test_what_would_hang_or_crash_a_flight_is_refused(tmp_path, key, value):
    (problem,) = check_changed(tmp_path, "hover_gusts", {key: value})
    assert key.startswith(problem.key)
    assert problem.key or key in problem.reason


@pytest.mark.parametrize("value", [1e308, -1e308, 1e9, -1.0, 0.0, 1e-300])
@pytest.mark.parametrize("world", ["hover_gusts", "fan_crossing"])
def test_a_number_is_refused_or_can_be_flown(world, value):
    base = load_world(world).model_dump(mode="json")
    for *parents, last in list(_numbers(base)):
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
        ("wind.0.kind", "storm", "expected one of 'steady', 'gust_1_cosine'"),
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
        ({"name": "other"}, "name", "expected 'hover_calm' or no name, got 'other'"),
        ({"duration": 3.0}, "", "success.settle_time (3 s if not given) must end before"),
        ({"task": []}, "task", "at least 1 item"),
        ({"odometry": {"extends": "mocap", "dealy": 0.1}}, "odometry.dealy", "unknown key"),
        ({"odometry": {"dealy": 0.1}}, "odometry.dealy", "unknown key"),
        ({"odometry": {"extends": "silver"}}, "odometry", "no such file: silver"),
        ({"sensors": {"sonar": {"kind": "sonar"}}}, "sensors.sonar.kind", "got 'sonar'"),
        ({"vehicle": "zeppelin"}, "vehicle", "zeppelin"),
        ({"success": {"limits": {"rmse": 0.1}}}, "success.limits.rmse", "expected a metric"),
        ({"extends": "atlantis"}, "", "no such file: atlantis"),
        ({"wind": [{"kind": "dryden", "standard": "mil_f_8785c"}]}, "wind.0", "severity"),
        ({"imu": "imu_of_gold"}, "imu", "imu_of_gold"),
    ],
)
def test_a_mistake_is_named_by_file_key_and_reason(tmp_path, change, key, reason):
    path = tmp_path / "hover_calm.yaml"
    path.write_text(
        yaml.safe_dump({**read_yaml(share_dir() / "sim_worlds/hover_calm.yaml"), **change})
    )
    (problem,) = check_worlds([path], read_judged_world)
    assert problem.path == str(path)
    assert problem.key == key
    assert reason in problem.reason
    assert_refused(path)


def assert_refused(path):
    """Whoever flies in a world refuses what the check refuses."""
    broken = rf"{re.escape(path.name)}: |no such file"
    with pytest.raises(ConfigError, match=broken):
        load_suite(_suite_of(path))
    with pytest.raises(ConfigError, match=broken):
        fly(str(path), "geometric")


def _suite_of(world):
    path = world.parent / "suite_of_world.yaml"
    calm = {"description": "As it stands.", "world": str(world), "changes": {}}
    suite = {
        **{"description": "Test.", "first_seed": 1, "flights": 1, "after": 0.1, "changes": {}},
        **{"policies": {"expert": ["geometric"]}, "baselines": [], "conditions": {"calm": calm}},
        **{"quick": {"flights": 1, "conditions": ["calm"]}},
    }
    path.write_text(yaml.safe_dump(suite))
    return path


@pytest.mark.parametrize(
    "text",
    [
        "",
        "duration: 4.0",
        "task: [{kind: hover, duration: 4.0}]",
        "{duration: 4.0, task: [{kind: takeoff, height: 1.0, duration: 2.0}]}",
        "{duration: 4.0, task: [{kind: hover, duration: 60.0}]}",
        "{extends: hover_gusts, success: {settle_time: 0.0, limits: {rmse_m: null}}}",
        "{extends: hover_calm, odometry: {delay: 0.04}, imu: {extends: imu_ideal, vibration: 0.0}}",
    ],
)
def test_whoever_flies_accepts_what_the_check_accepts(tmp_path, text):
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    assert check_worlds([path], read_judged_world) == []
    assert load_world(path).name == "mine"
    (cell,) = load_suite(_suite_of(path)).cells
    assert fly(str(path), "geometric", duration=4.0).metrics.world == "mine"
    assert load_world(path).task == cell.setting.scenario.task


def test_a_world_of_nothing_is_a_hover():
    world = parse({}, WorldConfig, "test")
    assert [(segment.kind, segment.duration) for segment in world.task] == [("hover", 15.0)]
    assert (world.vehicle, world.control_rate, world.physics_rate) == ("crazyflie", 100, 500)
    assert (world.start.place, world.start.pos, world.wind) == ("air", (0.0, 0.0, 1.0), ())
    task = [{"kind": "steps", "points": [[1, 0, 1], [0, 0, 1]], "pause": 3.0}]
    assert parse({"task": task}, WorldConfig, "test").duration == 6.0


def test_a_vehicle_that_cannot_be_mixed_is_refused_by_all(tmp_path):
    """Both rotors of one side turn alike: its autopilot could not yaw without rolling."""
    text = (share_dir() / "config/vehicle/crazyflie.yaml").read_text(encoding="utf-8")
    data = yaml.safe_load(text)
    a, b, c, d = data["rotor_directions"]
    data["rotor_directions"] = [a, c, b, d] if b != c else [b, a, c, d]
    vehicle, path = tmp_path / "twisted.yaml", tmp_path / "mine.yaml"
    vehicle.write_text(yaml.safe_dump(data))
    path.write_text(f"vehicle: {vehicle}\n")
    (problem,) = check_worlds([path])
    assert problem.key == "vehicle"
    assert "rotor_positions and rotor_directions" in problem.reason
    assert_refused(path)


def test_a_start_on_the_ground_is_level(make_world):
    world = make_world(start={"place": "ground", "tilt_deg": 30.0})
    np.testing.assert_allclose(world.state.quat_world_body, [0, 0, 0, 1])


def test_one_value_of_a_sensor_changes_and_nothing_else(tmp_path):
    mocap = load_world("hover_calm").odometry
    path = tmp_path / "mine.yaml"
    late = mocap.model_copy(update={"delay": 0.04})
    for odometry in ("{extends: mocap, delay: 0.04}", "{delay: 0.04}"):
        path.write_text(f"extends: hover_calm\nodometry: {odometry}\n")
        assert load_world(path).odometry == late
    assert read_world("hover_calm", {"odometry": {"delay": 0.04}}).odometry == late
    later = read_world(path, {"odometry": {"dropout": 0.5}}).odometry
    assert later == late.model_copy(update={"dropout": 0.5})
    gps = read_world(path, {"odometry": {"extends": "gps", "drift": 0.0}}).odometry
    assert gps == read_world(path, {"odometry": "gps"}).odometry.model_copy(update={"drift": 0.0})
    fog = read_world(path, {"camera": {"extends": "camera_64x48", "appearance": {"fog": 0.3}}})
    assert (fog.camera.appearance.fog, fog.camera.appearance.noise) == (0.3, 4.0)


def test_a_sensor_may_stand_beside_the_world(tmp_path):
    (tmp_path / "my_gps.yaml").write_text("extends: gps\ndelay: 0.2\n")
    path = tmp_path / "mine.yaml"
    path.write_text("odometry: {extends: my_gps, drift: 0.0}\n")
    gps = read_world("hover_calm", {"odometry": "gps"}).odometry
    assert load_world(path).odometry == gps.model_copy(update={"delay": 0.2, "drift": 0.0})


def test_a_world_extends_another_but_keeps_its_own_name(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("extends: hover_gusts\nduration: 9.0\nsuccess: {limits: {rmse_m: null}}\n")
    mine, base = load_world(path), load_world("hover_gusts")
    assert (mine.name, mine.description, mine.duration) == ("mine", "", 9.0)
    assert mine.wind == base.wind
    assert mine.success.limits == {"max_error_m": 0.25}


def test_keys_of_an_earlier_version_are_named_in_one_error_with_what_to_write(tmp_path):
    path = tmp_path / "mine.yaml"
    old = "{no_crash: true, settle_time: 3.0, max_rmse: 0.05, max_error: null}"
    path.write_text(f"success: {old}\nseeds: [1, 2]\n")
    (problem,) = check_worlds([path])
    assert problem.reason == (
        "keys of an earlier version: leave out seeds and success.no_crash, which nothing reads; "
        "write success.limits: {rmse_m: 0.05} in place of success.max_rmse and success.max_error"
    )
    assert_refused(path)


def test_the_shipped_worlds_are_what_they_were():
    """The values of each, written out; a change of a default may not change a world."""
    values = {name: load_world(name).model_dump(mode="json") for name in WORLDS}
    assert values == json.loads(VALUES.read_text(encoding="utf-8"))


def test_the_reference_of_the_keys_is_current():
    text = DOCS.read_text(encoding="utf-8")
    start, end = "<!-- keys -->\n", "<!-- /keys -->"
    assert text[text.index(start) + len(start) : text.index(end)] == world_keys()


def _fields(schema):
    """(key, what the schema says of it) at every depth."""
    if isinstance(schema, dict):
        yield from schema.get("properties", {}).items()
        for part in schema.values():
            yield from _fields(part)
    elif isinstance(schema, list):
        for part in schema:
            yield from _fields(part)


def test_every_key_says_what_it_means_and_in_which_unit():
    texts = world_keys()
    for key, value in _fields(world_schema()):
        if key in ("kind", "shape") or (key == "uniform" and "description" not in value):
            continue
        assert value.get("description"), key
        assert f"| `{key}` |" in texts or key == "uniform"
        form = json.dumps(value)
        part = "Config" in form or "oneOf" in form or "additionalProperties" in value
        number = '"number"' in form or '"integer"' in form
        assert value.get("unit") or not number or part or key in UNITLESS, key


def test_the_worlds_in_the_documentation_are_good(tmp_path):
    text = DOCS.read_text(encoding="utf-8")
    (example,) = re.findall(r"<!-- example -->\n```yaml\n(.*?)```", text, flags=re.S)
    path = tmp_path / "my_world.yaml"
    path.write_text(example)
    assert check_worlds([path], read_judged_world) == []
    assert len(example.splitlines()) <= 8


def test_the_kind_in_the_documentation_flies(make_world):
    (code,) = re.findall(r"```python\n(.*?)```", DOCS.read_text(encoding="utf-8"), flags=re.S)
    names = {"__name__": "documentation"}
    exec(code, names)
    try:
        world = make_world(wind=[{"kind": "thermal", "speed": 2.0}])
        np.testing.assert_array_equal(world.wind_world, [0, 0, 2])
    finally:
        WIND_SOURCES.unregister(names["ThermalConfig"])


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
    whole = load_world(name).model_dump(mode="json")
    validator = jsonschema.Draft202012Validator(world_schema())
    assert list(validator.iter_errors(data)) == []
    assert list(validator.iter_errors(whole)) == []
    assert list(validator.iter_errors({**data, "odometry": {"delay": 0.04}})) == []
    assert list(validator.iter_errors({**data, "odometry": {"dealy": 0.04}}))
    assert list(validator.iter_errors({**data, "wnid": []}))
    assert list(validator.iter_errors({**data, "control_rate": -1}))
