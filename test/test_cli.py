"""The command line: bad input is one clear line and status 2, JSON is one object alone."""

import json
import pickle
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from liquid_control.cli.program import BAD_INPUT, FAILED, main
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


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["fly", "--world", "atlantis"], "no such file: atlantis; expected a path or one of"),
        (["fly", "--policy", "nobody", "--no-ros"], "no such file: nobody"),
        (["fly", "--video"], "--video needs --out"),
        (["fly", "--duration", "-3"], "--duration -3: expected seconds above 0"),
        (["fly", "--no-ros", "--duration", "inf"], "--duration inf: expected seconds above 0"),
        (["fly", "--no-ros", "--duration", "nan"], "--duration nan: expected seconds above 0"),
        (["fly", "--no-ros", "--duration", "0.001"], "--duration 0.001: expected more than"),
        (
            ["fly", "--no-ros", "--duration", "3"],
            "--duration 3: expected more than the world's settle_time 3 s",
        ),
        (["fly", "--duration", "3"], "--duration 3: expected more than the world's settle_time"),
        (["fly", "--duration", "long"], "argument --duration: invalid float value: 'long'"),
        (["fly", "--no-ros", "--seed", "-1"], "--seed -1: expected a whole number from 0 to 2"),
        (["fly", "--seed", "-1"], "--seed -1: expected a whole number from 0 to 2147483647"),
        (["fly", "--no-ros", "--seed", "99999999999999"], "--seed 99999999999999: expected"),
        (["fly", "--speed", "3"], "unrecognized arguments: --speed 3"),
        (["train", "nothing", "--out", "x"], "no such file: nothing"),
        (
            ["train", "hover_liquid", "--out", "x", "--set", "seed"],
            "--set seed: expected KEY=VALUE",
        ),
        (["train", "hover_liquid", "--out", "x", "--set", "los.yaw=1"], "los: unknown key"),
        (["train", "hover_liquid", "--out", "x", "--seeds", "0"], "--seeds 0"),
        (["train", "hover_liquid", "--out", "x", "--set", "seed=-1"], "seed: "),
        (["train", "hover_liquid", "--out", "x", "--device", "tpu"], "--device tpu: expected cpu"),
        (
            ["train", "hover_liquid", "--out", "x", "--set", "network.colour=1"],
            "network: cell 'cfc': colour: unknown key",
        ),
        (
            ["train", "expert_searched", "--out", "x", "--set", "network.colour=1"],
            "network: colour: unknown key",
        ),
        (["policy", "config/vehicle/crazyflie.yaml"], "digest check failed: no policy"),
        (["worlds", "check", "atlantis"], "atlantis"),
        (["evaluate", "sunshine", "--out", "x"], "sunshine"),
        (["evaluate", "storm", "--out", "x", "--flights", "0"], "--flights 0: expected a whole"),
        (["evaluate", "storm", "--out", "x", "--flights", "-2"], "--flights -2: expected a whole"),
        (["evaluate", "storm", "--out", "x", "--policy", "a"], "--policy a: expected NAME=FILE"),
        (
            ["evaluate", "storm", "--out", "x", "--policy", "liquid=hover_state"],
            "--policy liquid: ",
        ),
        (
            ["evaluate", "storm", "--out", "x", *["--policy", "a=hover_19"] * 2],
            "--policy a=hover_19: a was given before",
        ),
        (["bench", "sequences", "--data", "nowhere"], "--data "),
        (["bench", "sequences", "--study", "--seeds", "0"], "--seeds 0: expected a whole"),
        (["bench", "sim", "--speed"], "unrecognized arguments: --speed"),
    ],
)
def test_bad_input_is_one_line_that_names_it(arguments, says, capsys):
    assert main(arguments) == BAD_INPUT
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith("liquid-control: ")
    assert output.err.count("\n") == 1
    assert says in output.err


@pytest.mark.parametrize(
    "command",
    [
        ["fly", "--no-ros"],
        ["fly"],
        ["train", "hover_liquid"],
        ["evaluate", "storm", "--quick"],
        ["bench", "networks"],
        ["bench", "sequences"],
        ["bench", "sequences", "--study"],
        ["bench", "sim"],
    ],
)
def test_a_folder_that_cannot_be_written_is_known_before_the_work(command, tmp_path, capsys):
    file = tmp_path / "file.md"
    file.write_text("precious")
    started = time.monotonic()
    for out in (file, file / "sub", Path("/proc/nowhere")):
        assert main([*command, "--out", str(out)]) == BAD_INPUT
        output = capsys.readouterr()
        assert (output.out, output.err.count("\n")) == ("", 1)
        assert f"--out {out}: expected a folder that can be written" in output.err
    assert time.monotonic() - started < 60
    assert file.read_text() == "precious"


def test_an_error_of_the_system_is_one_line(tmp_path, capsys):
    (tmp_path / "report.html").mkdir()
    fly = ["fly", "--no-ros", "--world", "hover_gusts", "--duration", "3.1", "--json"]
    assert main([*fly, "--out", str(tmp_path)]) == BAD_INPUT
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "report.html" in error


@pytest.mark.parametrize("arguments", ["worlds list", "worlds schema", "fly --help"])
def test_a_reader_that_leaves_is_no_error(arguments):
    command = f"{sys.executable} -m liquid_control.cli {arguments} | true"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert done.stderr == ""


def test_a_damaged_checkpoint_is_one_line(tmp_path, capsys):
    train = ["train", "hover_liquid", "--no-compile", "--out", str(tmp_path)]
    for damaged in (b"", b"PK no checkpoint", pickle.dumps({"config": 1})):
        (tmp_path / "checkpoint.pt").write_bytes(damaged)
        assert main([*train, "--set", "optimiser.environments=8"]) == BAD_INPUT
        error = capsys.readouterr().err
        assert error.count("\n") == 1
        assert "checkpoint.pt: damaged, or not a checkpoint; start anew with --restart" in error


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is one")
def test_a_device_that_is_not_there_is_named(capsys):
    assert main(["train", "hover_liquid", "--out", "x", "--device", "cuda"]) == BAD_INPUT
    error = capsys.readouterr().err
    assert error == "liquid-control: --device cuda: torch sees no such device here\n"


def test_several_runs_are_checked_before_the_first(tmp_path, capsys):
    good = share_dir() / "config" / "training" / "hover_19.yaml"
    bad = tmp_path / "bad.yaml"
    bad.write_text("extends: hover_19\nnetwork: {kind: cfc, colour: red}\n")
    assert main(["train", str(good), str(bad), "--out", str(tmp_path / "out")]) == BAD_INPUT
    assert str(bad) in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


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
        assert files == {"report.html", *pictures}
        left = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
        assert left == files | set(kept)


def test_help_names_the_defaults(capsys):
    for command in (["fly"], ["bench", "sequences"], ["bench", "networks"]):
        with pytest.raises(SystemExit):
            main([*command, "--help"])
    text = capsys.readouterr().out
    for default in ("demo", "hover_liquid", "out/sequences", "networks.yaml"):
        assert f"default: {default}" in " ".join(text.split()).replace("config/benchmarks/", "")


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


@pytest.mark.parametrize(
    ("package", "arguments"),
    [
        ("matplotlib", ["fly", "--no-ros"]),
        ("plotly", ["fly"]),
        ("imageio_ffmpeg", ["fly", "--no-ros", "--video"]),
        ("matplotlib", ["evaluate", "storm"]),
        ("matplotlib", ["bench", "networks"]),
        ("matplotlib", ["bench", "sequences", "--study"]),
    ],
)
def test_a_package_that_the_end_needs_is_asked_for_before_the_work(
    package, arguments, monkeypatch, tmp_path, capsys
):
    monkeypatch.setitem(sys.modules, package, None)
    assert main([*arguments, "--out", str(tmp_path / "out")]) == BAD_INPUT
    error = capsys.readouterr().err
    assert error == (
        f"liquid-control: this needs {package}: pip install 'liquid_control[report]'\n"
    )
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("command", [["fly", "--no-ros", "--video"], ["evaluate", "storm"]])
def test_a_film_without_an_encoder_is_refused_before_the_work(
    command, monkeypatch, tmp_path, capsys
):
    def find():
        raise RuntimeError("No ffmpeg exe could be found.")

    monkeypatch.setattr("imageio_ffmpeg.get_ffmpeg_exe", find)
    assert main([*command, "--out", str(tmp_path / "out")]) == BAD_INPUT
    assert capsys.readouterr().err.startswith("liquid-control: a film needs ffmpeg")
    assert not (tmp_path / "out").exists()


def test_a_package_of_the_plain_install_needs_no_extra(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "rich", None)
    monkeypatch.setitem(sys.modules, "rich.box", None)
    monkeypatch.delitem(sys.modules, "liquid_control.cli.display", raising=False)
    assert main(["policy", "hover_19"]) == BAD_INPUT
    assert capsys.readouterr().err.endswith("pip install liquid_control\n")


def test_a_missing_package_names_the_extra(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "pybullet", None)
    for module in [name for name in sys.modules if name.startswith("liquid_control.")]:
        if module.split(".")[1] in ("sim", "fly", "session", "evaluation"):
            monkeypatch.delitem(sys.modules, module)
    assert main(["fly", "--no-ros"]) == BAD_INPUT
    assert "pip install 'liquid_control[sim]'" in capsys.readouterr().err
