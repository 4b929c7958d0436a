"""The command line: bad input is one clear line and status 2, JSON is one object alone."""

import json
import subprocess
import sys

import pytest

from liquid_control.cli import BAD_INPUT, main
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
    arguments = ["fly", "--no-ros", "--json", "--world", "hover_gusts", "--duration", "2"]
    results = []
    for seed in ("1", "1", "2"):
        main([*arguments, "--seed", seed])
        results.append(json.loads(capsys.readouterr().out))
    same = ("p95_error_m", "thrust_variation_mps3", "rate_variation_radps2", "settle_time_s")
    assert [results[0][key] for key in same] == [results[1][key] for key in same]
    assert results[0]["rate_variation_radps2"] != results[2]["rate_variation_radps2"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["fly", "--world", "atlantis"], "no such file: atlantis; expected a path or one of"),
        (["fly", "--policy", "nobody", "--no-ros"], "no such file: nobody"),
        (["fly", "--video"], "--video needs --out"),
        (["fly", "--duration", "-3"], "--duration -3: expected seconds above 0"),
        (["train", "nothing", "--out", "x"], "no such file: nothing"),
        (
            ["train", "hover_liquid", "--out", "x", "--set", "seed"],
            "--set seed: expected KEY=VALUE",
        ),
        (["train", "hover_liquid", "--out", "x", "--set", "los.yaw=1"], "los: unknown key"),
        (["train", "hover_liquid", "--out", "x", "--seeds", "0"], "--seeds 0"),
        (["policy", "config/vehicle/crazyflie.yaml"], "digest check failed: no policy"),
        (["worlds", "check", "atlantis"], "atlantis"),
        (["evaluate", "sunshine", "--out", "x"], "sunshine"),
    ],
)
def test_bad_input_is_one_line_that_names_it(arguments, says, capsys):
    assert main(arguments) == BAD_INPUT
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith("liquid-control: ")
    assert output.err.count("\n") == 1
    assert says in output.err


def test_a_broken_world_is_named_by_file_key_and_reason(tmp_path, capsys):
    text = (share_dir() / "sim_worlds" / "hover_gusts.yaml").read_text()
    for broken, key in (
        (text.replace("control_rate:", "controll_rate:"), "controll_rate: unknown key"),
        (text.replace("duration: 15.0 ", "duration: -1 ", 1), "duration"),
        (text.replace("duration: 15.0 ", "duration: .nan ", 1), "duration"),
        (text + "duration: 3.0\n", "'duration' stands twice"),
        (text + "  :\n- broken", "not valid YAML"),
    ):
        path = tmp_path / "hover_gusts.yaml"
        path.write_text(broken)
        assert main(["worlds", "check", str(path)]) == BAD_INPUT
        assert key in capsys.readouterr().err
        assert main(["fly", "--no-ros", "--world", str(path)]) == BAD_INPUT
        error = capsys.readouterr().err
        assert str(path) in error
        assert key in error


def test_a_damaged_policy_does_not_fly(tmp_path, capsys):
    data = (share_dir() / "config" / "policies" / "hover_liquid.onnx").read_bytes()
    path = tmp_path / "policy.onnx"
    path.write_bytes(data[: len(data) // 2])
    assert main(["fly", "--no-ros", "--policy", str(path)]) == BAD_INPUT
    assert f"{path}: digest check failed" in capsys.readouterr().err


def test_the_shipped_worlds_are_good(capsys):
    assert main(["worlds", "check"]) == 0
    assert "0 problems" in capsys.readouterr().out
    assert main(["worlds", "list"]) == 0
    assert "hover_gusts" in capsys.readouterr().out
    assert main(["worlds", "schema"]) == 0
    assert json.loads(capsys.readouterr().out)["$schema"]


def test_a_missing_package_names_the_extra(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "pybullet", None)
    for module in [name for name in sys.modules if name.startswith("liquid_control.")]:
        if module.split(".")[1] in ("sim", "fly", "session", "evaluation"):
            monkeypatch.delitem(sys.modules, module)
    assert main(["fly", "--no-ros"]) == BAD_INPUT
    assert "pip install 'liquid_control[sim]'" in capsys.readouterr().err
