"""The command line: bad input is one clear line and status 2, before any work."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from liquid_control.cli.exits import BAD_INPUT
from liquid_control.cli.program import main
from liquid_control.config import ConfigError
from liquid_control.spelling import did_you_mean
from liquid_control.vehicles.catalogue import load_vehicle


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
        (["runs", "nowhere"], "nowhere: expected a folder of runs"),
        (["bench", "sequences", "--data", "nowhere"], "--data "),
        (["bench", "sequences", "--study", "--seeds", "0"], "--seeds 0: expected a whole"),
        (
            ["bench", "sim", "--speed"],
            "unrecognized arguments: --speed; see liquid-control bench",
        ),
        ([], "no command given; expected one of fly, "),
        (["worlds"], "no action given; expected one of list, check, schema, keys; see"),
        (["bench", "latency", "hover_19", "--steps", "0"], "--steps 0: expected a whole"),
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


@pytest.mark.parametrize("arguments", ["worlds list", "worlds schema", "fly --help"])
def test_a_reader_that_leaves_is_no_error(arguments):
    command = f"{sys.executable} -m liquid_control.cli {arguments} | true"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("package", "arguments"),
    [
        ("matplotlib", ["fly", "--no-ros"]),
        ("plotly", ["fly"]),
        ("imageio_ffmpeg", ["fly", "--no-ros", "--video"]),
        ("matplotlib", ["evaluate", "storm"]),
        ("plotly", ["runs", "."]),
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
    for name in {"rich", *(name for name in sys.modules if name.startswith("rich."))}:
        monkeypatch.setitem(sys.modules, name, None)
    for name in [name for name in sys.modules if name.startswith("liquid_control.cli.display")]:
        monkeypatch.delitem(sys.modules, name)
    assert main(["policy", "hover_19"]) == BAD_INPUT
    assert capsys.readouterr().err.endswith("pip install liquid_control\n")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["fli"], "no such command: fli; did you mean fly? expected one of fly, train, "),
        (["--verion"], "arguments: --verion; did you mean --version? see liquid-control --help"),
        (["fly", "--durration", "4"], "did you mean --duration? see liquid-control fly --help"),
        (["bench", "network"], "no such benchmark: network; did you mean networks? expected one"),
        (["bench", "sim", "--quik"], "did you mean --quick? see liquid-control bench sim --help"),
        (["worlds", "chek"], "no such action: chek; did you mean check? expected one of list, "),
        (["fly", "--world", "hover_gust"], "hover_gust; did you mean hover_gusts? expected a path"),
        (["worlds", "check", "sim_worlds/hover_gust.yaml"], "did you mean hover_gusts? expected"),
        (["fly", "--policy", "hover_liqid"], "hover_liqid; did you mean hover_liquid? expected a"),
        (["fly", "--policy", "geometrc"], "geometrc; did you mean geometric? expected a path"),
        (["evaluate", "strom", "--out", "x"], "strom; did you mean storm? expected a path"),
        (["train", "hover_liqud", "--out", "x"], "did you mean hover_liquid? expected a path"),
        (["bench", "sequences", "--task", "digit"], "--task digit: did you mean digits? expected"),
    ],
)
def test_what_was_meant_is_asked(arguments, says, capsys):
    assert main(arguments) == BAD_INPUT
    output = capsys.readouterr()
    assert (output.out, output.err.count("\n")) == ("", 1)
    assert says in output.err


def test_a_vehicle_that_is_mistyped_is_asked_for_too():
    with pytest.raises(ConfigError, match="no such file: crazyfly; did you mean crazyflie"):
        load_vehicle("crazyfly")


def test_nothing_is_suggested_for_what_is_like_nothing():
    assert did_you_mean("atlantis", ("hover_calm", "figure8_wind")) == ""
