"""``import liquid_control``: quick, and the names that matter are there, each from one place."""

import ast
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import liquid_control
from liquid_control.vehicles.quadrotor.rules import observer

HEAVY = ("torch", "pybullet", "rclpy", "onnxruntime", "pydantic", "numpy", "yaml")
EXPECTED = (
    "fly", "train", "load_policy", "load_world", "load_vehicle", "ControlLoop", "World",
    "FlightLog", "SensorFrame", "Setpoint",
)  # fmt: skip


def test_the_import_is_quick_and_loads_nothing_heavy():
    """Processor time, the least of five, so that a busy machine has no say."""
    code = f"""
import sys, time
start = time.process_time()
import liquid_control
print(time.process_time() - start)
print(*set(sys.modules) & set({HEAVY}))
"""
    times = []
    for _ in range(5):
        command = [sys.executable, "-c", code]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        seconds, loaded = done.stdout.splitlines()
        assert loaded == ""
        times.append(float(seconds))
    assert min(times) < 0.05


@pytest.mark.parametrize("name", sorted(liquid_control._MODULES))
def test_a_name_is_that_of_its_module(name):
    module = import_module(f"liquid_control.{liquid_control._MODULES[name]}")
    assert getattr(liquid_control, name) is getattr(module, name)
    assert getattr(liquid_control, name).__module__ == module.__name__, "a detour"


def test_the_names_are_listed():
    assert {*EXPECTED, "__version__"} <= set(dir(liquid_control))
    assert set(liquid_control._MODULES) <= set(dir(liquid_control))


def test_type_checkers_see_the_same_names():
    """They read the imports of the block that never runs, and look for the marker."""
    tree = ast.parse(Path(liquid_control.__file__).read_text(encoding="utf-8"))
    blocks = {ast.unparse(node.test): node for node in tree.body if isinstance(node, ast.If)}
    (hidden,) = blocks["not TYPE_CHECKING"].body
    assert hidden.name == "__getattr__", "would let a checker pass any name"
    seen = {}
    for node in blocks["TYPE_CHECKING"].body:
        for alias in node.names:
            assert alias.asname == alias.name, "an import that is not given on"
            seen[alias.name] = node.module.removeprefix("liquid_control.")
    assert seen == liquid_control._MODULES
    assert (Path(liquid_control.__file__).parent / "py.typed").is_file()


def test_a_name_that_is_not_there_is_an_error_that_says_what_was_meant():
    with pytest.raises(AttributeError, match="no attribute 'load_polcy'; did you mean load_policy"):
        _ = liquid_control.load_polcy
    with pytest.raises(AttributeError, match=r"no attribute 'xyzzy'$"):
        _ = liquid_control.xyzzy


def test_a_flight_takes_one_line():
    assert liquid_control.fly("hover_gusts", "hover_liquid", duration=4.0).passed


def test_a_controller_itself_flies():
    class Falling:
        observation_layout = observer().layout
        command_layout = liquid_control.load_policy("hover_liquid").command_layout
        neurons = ()

        def reset(self): ...

        def step(self, observation, dt):
            return 0.0, 0.0, 0.0, 0.0

    result = liquid_control.fly("hover_calm", Falling(), duration=4.0)
    assert result.metrics.policy == "Falling"
    assert result.metrics.crashed
    with pytest.raises(liquid_control.ConfigError, match="needs a policy by name"):
        liquid_control.fly("hover_calm", Falling(), duration=4.0, ros=True)
