"""What a file names may stand beside it, whatever the working folder is."""

import pytest
import yaml

from liquid_control.config import ConfigError, share_dir
from liquid_control.evaluation.suite.config import load_suite
from liquid_control.extending import located
from liquid_control.sim.scenario import read_world
from liquid_control.sim.wind.sources import WIND_SOURCES
from liquid_control.training.config import load_training

WORLD = {
    "vehicle": "mine.yaml",
    "duration": 5.0,
    "wind": [
        {"kind": "series", "file": "air.csv", "random_start": False},
        {"kind": "air.py:Draught", "speed": 1.0},
    ],
    "sensors": {},
}
SUITE = {
    "description": "Test.",
    "first_seed": 7,
    "flights": 1,
    "after": 3.5,
    "quick": {"flights": 1, "conditions": ["calm"]},
    "changes": {},
    "policies": {"expert": ["geometric"], "own": ["own.onnx"]},
    "conditions": {"calm": {"description": "", "world": "world.yaml", "changes": {}}},
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A world and all that it names in one folder, worked on from another."""
    out = tmp_path / "there"
    out.mkdir()
    share = share_dir() / "config"
    (out / "mine.yaml").write_text((share / "vehicle/crazyflie.yaml").read_text())
    (out / "own.onnx").write_bytes((share / "policies/hover_liquid.onnx").read_bytes())
    (out / "air.csv").write_text("time,east,north,up\n0,0,0,0\n9,1,0,0\n")
    (out / "air.py").write_text(
        "from typing import Literal\n"
        "from liquid_control.config import StrictModel\n"
        "from liquid_control.sim.wind.sources import Source\n"
        "class Draught(StrictModel):\n"
        "    kind: Literal['draught']\n"
        "    speed: float\n"
        "    def build(self, rng, duration):\n"
        "        return Source(lambda time, pos: (self.speed, 0.0, 0.0))\n"
    )
    (out / "world.yaml").write_text(yaml.safe_dump(WORLD))
    (out / "suite.yaml").write_text(yaml.safe_dump(SUITE))
    (tmp_path / "far.yaml").write_text("extends: there/world.yaml\nduration: 4.5\n")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    yield out
    for model in [model for model in WIND_SOURCES if model.__name__ == "Draught"]:
        WIND_SOURCES.unregister(model)


def test_a_world_and_one_that_extends_it(folder):
    for path, duration in ((folder / "world.yaml", 5.0), (folder.parent / "far.yaml", 4.5)):
        world = read_world(path)
        assert world.vehicle == str(folder / "mine.yaml")
        assert world.wind[0].file == str(folder / "air.csv")
        assert (world.wind[1].kind, world.duration) == ("draught", duration)


def test_a_name_in_the_working_folder_travels_whole(folder, monkeypatch):
    monkeypatch.chdir(folder)
    assert read_world("hover_calm", {"vehicle": "mine.yaml"}).vehicle == str(folder / "mine.yaml")
    assert read_world("hover_calm").vehicle == "crazyflie"


def test_a_suite_without_baselines(folder):
    suite = load_suite(folder / "suite.yaml")
    assert suite.config.baselines == ()
    assert [cell.artifact for cell in suite.cells] == ["geometric", str(folder / "own.onnx")]
    assert {cell.setting.scenario.vehicle for cell in suite.cells} == {str(folder / "mine.yaml")}


def test_a_training_file(folder):
    path = folder / "training.yaml"
    path.write_text("extends: hover_imitation\nvehicle: mine.yaml\nworlds: [world.yaml, demo]\n")
    config = load_training(path)
    assert config.vehicle == str(folder / "mine.yaml")
    assert config.worlds == (str(folder / "world.yaml"), "demo")


def test_a_vehicle_that_is_not_there_is_the_only_error(folder):
    path = folder / "world.yaml"
    sonar = {"sonar": {"kind": "that_of_the_vehicle"}}
    path.write_text(yaml.safe_dump({**WORLD, "vehicle": "none.yaml", "sensors": sonar}))
    with pytest.raises(ConfigError, match="no such file: none") as error:
        read_world(path)
    assert [key for key, _ in error.value.details] == ["vehicle"]


def test_a_stem_is_looked_for_where_it_can_only_be_a_file(tmp_path):
    for name in ("a.yaml", "b.yaml", "crazyflie.yaml"):
        (tmp_path / name).write_text("")
    data = {"x": "b", "y": [{"z": "b.yaml"}, {"z": 3}], "own": "a.yaml", "list": ["b.yaml", "c"]}
    places = ("x", "y.*.z", "own", "list", "none.*")
    found = located(data, tmp_path / "a.yaml", places)
    b = str(tmp_path / "b.yaml")
    assert found == {**data, "y": [{"z": b}, {"z": 3}], "list": [b, "c"]}
    for name, expected in (("b", b), ("a", "a"), ("crazyflie", "crazyflie")):
        found = located({"x": name}, tmp_path / "a.yaml", ("x:config/vehicle",))
        assert found == {"x": expected}


def test_a_sensor_beside_the_world_that_is_extended(folder):
    (folder / "late.yaml").write_text("extends: mocap\ndelay: 0.04\n")
    (folder / "world.yaml").write_text("odometry: late\nvehicle: mine\n")
    world = read_world(folder.parent / "far.yaml")
    assert (world.odometry.delay, world.vehicle) == (0.04, str(folder / "mine.yaml"))
