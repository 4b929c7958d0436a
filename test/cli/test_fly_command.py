"""A flight by command: one JSON object, files that are its own, exit status 1 for a failed one."""

import json
import subprocess
import sys
from pathlib import Path

from liquid_control.cli.exits import BAD_INPUT, FAILED
from liquid_control.cli.program import main
from liquid_control.config import share_dir


def test_fly_json_is_one_object_on_stdout_and_nothing_else():
    command = [sys.executable, "-m", "liquid_control.cli", "fly", "--no-ros", "--json"]
    world = "sim_worlds/hover_gusts.yaml"
    done = subprocess.run(
        [*command, "--world", world, "--seed", "5", "--duration", "4"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert done.stdout.count("\n") == 1
    assert result["crashed"] is False
    assert 0 < result["rmse_m"] < 0.05
    assert result["max_error_m"] >= result["rmse_m"]
    assert 0 < result["step_us_p50"] <= result["step_us_p99"]
    assert (result["late_ticks"], result["seed"]) == (0, 5)
    assert (result["world"], result["policy"]) == ("hover_gusts", "hover_liquid")


def test_the_same_seed_is_the_same_flight(capsys):
    arguments = ["fly", "--no-ros", "--json", "--world", "hover_gusts", "--duration", "3.5"]
    results = []
    for seed in ("1", "1", "2"):
        main([*arguments, "--seed", seed])
        results.append(json.loads(capsys.readouterr().out))
    same = ("p95_error_m", "thrust_variation_mps3", "rate_variation_radps2", "settle_time_s")
    assert [results[0][key] for key in same] == [results[1][key] for key in same]
    assert results[0]["rate_variation_radps2"] != results[2]["rate_variation_radps2"]


def test_an_error_of_the_system_is_one_line(tmp_path, capsys):
    (tmp_path / "report.html").mkdir()
    fly = ["fly", "--no-ros", "--world", "hover_gusts", "--duration", "3.1", "--json"]
    assert main([*fly, "--out", str(tmp_path)]) == BAD_INPUT
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "report.html" in error


def test_a_flight_that_fails_exits_with_1(monkeypatch, capsys):
    from liquid_control.session import flight as fly
    from liquid_control.session.processes import FlightFailed

    def fail(*_, **__):
        raise FlightFailed("simulator ended with status 3")

    monkeypatch.setattr(fly, "fly_ros", fail)
    assert main(["fly"]) == FAILED
    assert "liquid-control: simulator ended with status 3\n" in capsys.readouterr().err


def test_what_an_earlier_flight_left_is_not_taken_for_this_one(tmp_path, capsys):
    earlier = ("flight.mp4", "flight.mcap", "wind.png", "log/simulator.log")
    kept = ("notes.md", "log/mine.log")
    for name in (*earlier, *kept):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("earlier")
    fly = ["fly", "--no-ros", "--duration", "3.1", "--json", "--out", str(tmp_path)]
    for world, pictures in (
        ("hover_gusts", {"picture.png", "wind.png"}),
        ("hover_calm", {"picture.png"}),
    ):
        main([*fly, "--world", world])
        files = {Path(file).name for file in json.loads(capsys.readouterr().out)["files"]}
        assert files == {"report.html", "flight.npz", "flight.json", *pictures}
        left = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
        assert left == files | set(kept)


def test_a_damaged_policy_does_not_fly(tmp_path, capsys):
    data = (share_dir() / "config" / "policies" / "hover_liquid.onnx").read_bytes()
    path = tmp_path / "policy.onnx"
    path.write_bytes(data[: len(data) // 2])
    assert main(["fly", "--no-ros", "--policy", str(path)]) == BAD_INPUT
    assert f"{path}: digest check failed" in capsys.readouterr().err


def test_a_missing_package_names_the_extra():
    script = """
import sys
sys.modules["pybullet"] = None
from liquid_control.cli.program import main
sys.exit(main(["fly", "--no-ros"]))
"""
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == BAD_INPUT
    assert "pip install 'liquid_control[sim]'" in done.stderr
