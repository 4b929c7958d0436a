"""Controllers of your own fly by name, and what is wrong with one is said in a line."""

import json
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("pybullet")

from liquid_control.cli import main
from liquid_control.config import ConfigError
from liquid_control.flight_log import FlightLog
from liquid_control.runtime.catalogue import make_controller, make_parameters
from liquid_control.sim.flight import prepare
from liquid_control.vehicles.catalogue import load_vehicle

MINE = '''
import numpy as np

G = 9.80665

class Proportional:
    """Levels by its own law: proportional in position, velocity and tilt."""

    observation = ("pos_error", "vel_error", "up", "heading")

    def __init__(self, rules):
        self.high = rules.high
        self.steps = 0

    def reset(self):
        self.steps = 0

    def step(self, observation, dt):
        pos, vel, up, heading = np.split(observation, 4)
        wanted = 8.0 * pos + 5.0 * vel + G * up
        turn = np.cross([0.0, 0.0, 1.0], wanted / np.linalg.norm(wanted))
        self.steps += 1
        return wanted[2], *(12.0 * turn[:2]), 4.0 * np.arctan2(heading[1], heading[0])

class Nothing:
    pass

class Fails:
    def __init__(self, vehicle):
        raise RuntimeError(f"no {vehicle.name} today")
    def step(self, observation, dt):
        return 0

class Blind:
    observation = ("pos_error", "no_such_slot")
    def step(self, observation, dt):
        return 0

class Halved:
    def __init__(self, rules):
        self.observation_layout = 42
        self.command_layout = rules.command.layout
    def step(self, observation, dt):
        return 0

class Odd:
    @property
    def observation(self):
        raise ValueError("no slots today")
    def step(self, observation, dt):
        return 0

class Shows(Proportional):
    def __init__(self, rules):
        super().__init__(rules)
        self.neurons = np.zeros(3)

class Letters:
    observation = "pos_error"
    def step(self, observation, dt):
        return 0

class TooFew:
    def step(self, observation, dt):
        return [1.0]

ready = Proportional.__new__(Proportional)
'''


@pytest.fixture
def mine(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(MINE)
    return path


def load(name):
    vehicle = load_vehicle("crazyflie")
    return make_controller(name, vehicle, make_parameters(vehicle))[0]


def test_a_class_of_a_file_hovers(mine):
    flight = prepare("hover_calm", f"{mine}:Proportional")
    with flight.world(1) as world:
        log = flight.fly(world, duration=5.0)
    assert set(log.mode) == {"policy"}
    error = np.linalg.norm(log.setpoint_pos_world[300:] - log.motion.pos_world[300:], axis=1)
    assert error.max() < 0.1


def test_a_module_of_the_working_folder_flies_by_the_command_line(mine):
    command = [sys.executable, "-m", "liquid_control.cli", "fly", "--no-ros", "--json"]
    command += ["--world", "hover_calm", "--duration", "4", "--policy", "mine:Proportional"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=mine.parent, timeout=120)
    result = json.loads(done.stdout)
    assert result["policy"] == "mine:Proportional"
    assert result["mode_time_s"].keys() == {"policy"}


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("no_such_file.py:A", "no such file"),
        ("no_such_module:A", "No module named 'no_such_module'"),
        ("{mine}:Missing", "has no Missing"),
        ("{mine}:Nothing", r"expected a method step\(observation, dt\)"),
        ("{mine}:Fails", "RuntimeError: no crazyflie today"),
        ("{mine}:Halved", "observation_layout: expected a Layout, got 42"),
        ("{mine}:Odd", "observation: no slots today"),
        ("{mine}:Letters", "expected names in a tuple, got 'pos_error'"),
        ("{mine}:Blind", "unknown observation slots .'no_such_slot'."),
    ],
)
def test_what_is_wrong_is_named(mine, name, reason):
    with pytest.raises(ConfigError, match=reason):
        load(name.format(mine=mine))


def test_its_neurons_are_in_the_log(mine, tmp_path):
    flight = prepare("hover_calm", f"{mine}:Shows")
    with flight.world(1) as world:
        log = flight.fly(world, duration=0.2)
    assert log.neuron_names == ("neuron0", "neuron1", "neuron2")
    assert FlightLog.load(log.save(tmp_path / "log.npz")).neurons.shape == (20, 3)


def test_a_file_that_ends_the_process_is_named(tmp_path, capsys):
    (tmp_path / "leaves.py").write_text("import sys\nsys.exit(0)\n")
    assert main(["fly", "--no-ros", "--policy", f"{tmp_path / 'leaves.py'}:A"]) == 2
    assert "SystemExit: 0" in capsys.readouterr().err


def test_bad_names_are_one_line(mine, capsys):
    assert main(["fly", "--no-ros", "--policy", f"{mine}:Missing"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_wrong_size_flies_on_the_backup(mine):
    flight = prepare("hover_calm", f"{mine}:TooFew")
    with flight.world(1) as world:
        log = flight.fly(world, duration=1.0)
    assert set(log.mode) == {"backup"}
    assert log.fault == "policy commands [1.0], expected 4 values"


def test_a_policy_that_never_flew_is_no_passed_flight(mine, capsys):
    fly = ["fly", "--no-ros", "--world", "hover_calm", "--duration", "4"]
    assert main([*fly, "--policy", f"{mine}:TooFew"]) == 1
    shown = capsys.readouterr().out
    assert "the policy gave up" in shown
    assert "expected 4 values" in " ".join(shown.split())


def test_an_object_and_a_class_fly_from_python(mine):
    import liquid_control
    from liquid_control.importing import import_object

    made = import_object(f"{mine}:Proportional")
    for policy in (made, made(prepare("hover_calm", "geometric").loop.rules)):
        result = liquid_control.fly("hover_calm", policy, duration=4.0)
        assert result.passed
        assert result.metrics.policy == "Proportional"
    for wrong in (42, import_object(f"{mine}:Nothing")):
        with pytest.raises(ConfigError, match=r"expected a method step"):
            liquid_control.fly("hover_calm", wrong, duration=4.0)


def test_a_module_is_imported_once(mine):
    assert type(load(f"{mine}:Proportional")._inner) is type(load(f"{mine}:Proportional")._inner)


def test_a_suite_flies_it_and_notices_a_change(mine, tmp_path, capsys):
    pytest.importorskip("plotly")
    command = ["evaluate", "storm", "--flights", "1", "--condition", "calm", "--only", "mine"]
    command += ["--policy", f"mine={mine}:Proportional", "--out", str(tmp_path / "out")]
    rows = tmp_path / "out" / "flights.jsonl"
    for flown, change in ((1, ""), (1, ""), (2, "\n# another")):
        mine.write_text(mine.read_text() + change)
        assert main([*command, "--no-film", "--json"]) == 0
        results = json.loads(capsys.readouterr().out)
        assert results["metrics"]["rmse_m"]["calm"]["mine"]["mean"] < 0.2
        assert len(rows.read_text().splitlines()) == flown


def test_two_classes_of_a_file_are_two_policies(mine, tmp_path, capsys):
    pytest.importorskip("plotly")
    command = ["evaluate", "storm", "--flights", "1", "--condition", "calm", "--no-film", "--json"]
    for name in ("Proportional", "TooFew"):
        command += ["--policy", f"{name}={mine}:{name}", "--only", name]
    assert main([*command, "--out", str(tmp_path / "out")]) == 0
    results = json.loads(capsys.readouterr().out)["metrics"]["rmse_m"]["calm"]
    assert results["Proportional"]["mean"] != results["TooFew"]["mean"]


def test_what_its_module_registers_may_stand_in_the_world(tmp_path, monkeypatch):
    (tmp_path / "swing.py").write_text(
        MINE + "\n"
        "from typing import Literal\n"
        "from liquid_control.config import StrictModel\n"
        "from liquid_control.sim.wind.sources import WIND_SOURCES, Source\n"
        "@WIND_SOURCES.register\n"
        "class Swing(StrictModel):\n"
        "    kind: Literal['swing_of_a_test']\n"
        "    def build(self, rng, duration):\n"
        "        return Source(lambda time, pos: (1.0, 0.0, 0.0))\n"
    )
    (tmp_path / "windy.yaml").write_text("wind: [{kind: swing_of_a_test}]\n")
    monkeypatch.chdir(tmp_path)
    command = [sys.executable, "-m", "liquid_control.cli", "fly", "--no-ros", "--json"]
    command += ["--world", "windy.yaml", "--duration", "4", "--policy", "swing.py:Proportional"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert json.loads(done.stdout)["policy"] == "swing.py:Proportional"
