"""A policy says what it was trained for, and whoever flies it beyond is told."""

import json

import pytest

from liquid_control.cli.program import main
from liquid_control.config import find_file
from liquid_control.runtime.artifact import load_artifact
from liquid_control.runtime.trained_for import Trained, outside_training, trained_for
from liquid_control.sim.flight import prepare
from liquid_control.sim.scenario import read_world
from liquid_control.vehicles.catalogue import load_vehicle


@pytest.fixture(scope="module")
def metadata():
    return load_artifact(find_file("hover_liquid", "config/policies")).metadata


def test_the_ranges_are_those_of_the_training_file(metadata):
    ranges = {known.name: (known.low, known.high) for known in trained_for(metadata)}
    assert ranges["control rate"] == (33.0, 200.0)
    assert ranges["odometry delay"] == (0.0, 25.0)
    assert ranges["motor lag"] == pytest.approx((0.3 * 35.0, 2.0 * 35.0))
    assert ranges["gain of the roll and pitch rate loop"] == pytest.approx((18.0, 18.0))


@pytest.mark.parametrize("value", [33.0, 100.0, 200.0, 31.0, 219.0])
def test_within_a_range_and_a_tenth_beyond_nothing_is_said(value):
    assert Trained("control rate", 33.0, 200.0, "Hz").outside(value) == ""


def test_value_and_range_are_named(metadata, vehicle):
    assert outside_training(metadata, vehicle, 100.0) == ()
    assert outside_training(metadata, vehicle, 10.0, 0.12) == (
        "control rate 10 Hz, trained for 33 to 200 Hz",
        "odometry delay 120 ms, trained for 0 to 25 ms",
    )
    gain = {"rate_gain": (5.0, 5.0, 8.0)}
    slow = vehicle.model_copy(update={"autopilot": vehicle.autopilot.model_copy(update=gain)})
    assert outside_training(metadata, slow, 100.0) == (
        "gain of the roll and pitch rate loop 5 1/s, trained for 18 1/s",
    )
    other = outside_training(metadata, load_vehicle("hummingbird"), 100.0)
    assert [words.split(",")[0] for words in other] == [
        "motor lag 5 ms",
        "thrust-to-weight ratio 10.2",
    ]


def test_a_policy_without_a_record_is_not_judged(metadata, vehicle):
    silent = metadata.model_copy(update={"training": {}})
    assert trained_for(silent) == ()
    assert outside_training(silent, vehicle, 1.0) == ()
    assert outside_training(None, vehicle, 1.0) == ()


def test_a_vehicle_that_is_not_here_is_said(metadata, vehicle):
    elsewhere = metadata.model_copy(update={"vehicle": "theirs"})
    (words,) = outside_training(elsewhere, vehicle, 100.0)
    assert words.startswith("the vehicle of its training can't be compared: no such file: theirs")


def test_a_flight_knows_its_world():
    world = read_world("hover_calm", {"control_rate": 25, "odometry": {"update_rate": 25.0}})
    assert prepare(world, "hover_liquid").outside_training == (
        "control rate 25 Hz, trained for 33 to 200 Hz",
    )
    assert prepare(world, "geometric").outside_training == ()


def test_the_commands_tell(capsys, tmp_path):
    assert main(["policy", "hover_liquid"]) == 0
    assert "control rate 33 to 200 Hz" in capsys.readouterr().out
    world = tmp_path / "slow.yaml"
    world.write_text("extends: hover_calm\ncontrol_rate: 20\nodometry: {update_rate: 20.0}\n")
    fly = ["fly", "--no-ros", "--world", str(world), "--duration", "3.5"]
    main(fly)
    said = "control rate 20 Hz, trained for 33 to 200 Hz"
    assert f"Outside its training: {said}" in " ".join(capsys.readouterr().out.split())
    main([*fly, "--json"])
    assert json.loads(capsys.readouterr().out)["outside_training"] == [said]
