"""The examples do what they say, from their file alone."""

import runpy
from pathlib import Path

import numpy as np
import pytest

import liquid_control as lc

FOLDER = Path(__file__).parents[1] / "examples"
PROGRAMS = ("fly_your_simulator", "read_a_log", "train_and_export")


def load(name):
    """The names of an example; its main part does not run."""
    return runpy.run_path(str(FOLDER / f"{name}.py"))


@pytest.mark.parametrize("name", [path.stem for path in FOLDER.glob("*.py")])
def test_it_begins_with_what_and_when(name):
    text = (FOLDER / f"{name}.py").read_text(encoding="utf-8")
    assert text.startswith('"""')
    head = text.split('"""')[1].strip().splitlines()
    assert head[0].endswith((".", ",", ":", "flies."))
    assert f"python examples/{name}.py" in "".join(head)
    if name in PROGRAMS:
        assert any(line.startswith("When: ") for line in head)


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_newcomer_needs_the_front_door_alone(name):
    text = (FOLDER / f"{name}.py").read_text(encoding="utf-8")
    assert "import liquid_control as lc" in text
    assert "liquid_control." not in text
    assert "sys.path" not in text


def test_a_simulator_of_its_own_is_flown_within_centimetres():
    assert load("fly_your_simulator")["main"](seconds=6.0) < 0.03


def test_a_policy_is_trained_and_flies(tmp_path):
    pytest.importorskip("torch")
    example = load("train_and_export")
    path = example["train"](tmp_path)
    assert path == tmp_path / "policy.onnx"
    assert example["fly"](path) < 0.1


def test_a_log_is_plotted(tmp_path):
    pytest.importorskip("matplotlib")
    image = pytest.importorskip("PIL.Image")
    main = load("read_a_log")["main"]
    metrics = main(None, tmp_path / "flown.png")
    assert 0 < metrics.rmse_m < 0.1
    pixels = np.asarray(image.open(tmp_path / "flown.png").convert("L"))
    assert pixels.std() > 10, "nothing is drawn"

    log = lc.fly("hover_calm", "geometric", duration=4.0).log  # no neurons
    metrics = main(log.save(tmp_path / "saved.npz"), tmp_path / "saved.png")
    assert metrics.policy == "geometric"
    assert (tmp_path / "saved.png").is_file()


@pytest.mark.ros
def test_a_recording_is_plotted(tmp_path):
    pytest.importorskip("rclpy")
    pytest.importorskip("mcap_ros2")
    pytest.importorskip("matplotlib")
    lc.fly("hover_calm", "hover_19", duration=4.0, ros=True, out=tmp_path)
    metrics = load("read_a_log")["main"](tmp_path / "flight.mcap", tmp_path / "flight.png")
    assert metrics.policy == "hover_19"
    assert metrics.rmse_m < 0.1
    assert (tmp_path / "flight.png").is_file()
