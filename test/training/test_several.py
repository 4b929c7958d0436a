"""Several runs of one command: configurations, seeds, grids, one that diverges."""

import json
import math
from pathlib import Path

import pytest
from small_runs import CONFIG, small, write

from liquid_control.cli.program import main
from liquid_control.runtime.artifact import load_artifact
from liquid_control.training.config import load_training
from liquid_control.training.grid import Tried, grid_table
from liquid_control.training.policy import make_policy


def test_one_command_trains_every_configuration_with_every_seed(tmp_path, capsys):
    files = [str(write(small(), tmp_path / f"{name}.yaml")) for name in ("a", "b")]
    command = ["train", *files, "--seeds", "2", "--no-compile", "--json"]
    command += ["--set", "optimiser.updates=1", "--set", "loss.yaw=0.5"]
    assert main([*command, "--out", str(tmp_path)]) == 0
    runs = json.loads(capsys.readouterr().out)["runs"]
    assert [Path(run["policy"]).relative_to(tmp_path).parent.as_posix() for run in runs] == [
        *("a/1", "b/1", "a/2", "b/2")
    ]
    golden = [load_artifact(run["policy"]).metadata.golden for run in runs]
    assert golden[0] == golden[1] != golden[2] == golden[3]
    config = load_artifact(runs[3]["policy"]).metadata.training["config"]
    assert (config["seed"], config["optimiser"]["updates"], config["loss"]["yaw"]) == (2, 1, 0.5)

    assert main([*command, "--out", str(tmp_path / "parallel"), "--jobs", "2"]) == 0
    parallel = json.loads(capsys.readouterr().out)["runs"]
    assert [load_artifact(run["policy"]).metadata.golden for run in parallel] == golden


def test_each_run_of_several_seeds_has_a_wiring_of_its_own(tmp_path):
    def wiring(**changes):
        return make_policy(load_training("comparison/liquid_ncp", changes)).cell.wiring

    assert wiring(seed=1) == wiring(seed=1) != wiring(seed=2)
    shipped = [make_policy(load_training(CONFIG, {"seed": seed})).cell.wiring for seed in (1, 2)]
    assert shipped[0] == shipped[1]  # the file gives a seed


def test_a_grid_tells_the_best_value_and_whether_it_lies_inside():
    tried = [
        Tried("a", 0.01, (0.2, 0.4)),
        Tried("a", 0.03, (0.1, 0.1)),
        Tried("a", 0.1, (0.1, math.inf)),
        Tried("b", 0.01, (0.5,)),
        Tried("b", 0.03, (0.4,)),
        Tried("b", 0.1, (0.3,)),
    ]
    lines = grid_table("rate", tried).splitlines()
    assert lines[0] == "| error in cm at rate | 0.01 | 0.03 | 0.1 | the best |"
    assert lines[2] == "| a | 30.0 | **10.0** | diverged | inside |"
    assert lines[3] == "| b | 50.0 | 40.0 | **30.0** | at the edge: widen the grid |"


@pytest.mark.parametrize(
    "grid", ["optimiser.learning_rate=0.1", "x", "optimiser.learning_rate=a,b,c", "k=1,1,1"]
)
def test_a_grid_needs_three_numbers(tmp_path, capsys, grid):
    status = main(["train", "hover_liquid", "--grid", grid, "--out", str(tmp_path)])
    assert status == 2
    assert f"--grid {grid}: expected KEY=VALUE" in capsys.readouterr().err


def test_a_grid_is_for_policies(tmp_path, capsys):
    command = ["train", "expert_searched", "--grid", "seed=1,2,3", "--out", str(tmp_path / "out")]
    assert main(command) == 2
    assert "tunes gains; expected policies" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_run_that_diverges_ends_only_itself(tmp_path, capsys, jobs):
    steep, good = (
        write(config, tmp_path / f"{name}.yaml")
        for name, config in (
            ("steep", small(learning_rate=1e30, updates=4)),
            ("good", small(updates=2)),
        )
    )
    out = tmp_path / "out"
    command = ["train", str(steep), str(good), "--no-compile", "--jobs", str(jobs)]
    assert main([*command, "--out", str(out)]) == 1
    error = capsys.readouterr().err
    assert f"liquid-control: {out / 'steep'}: diverged: update " in error
    assert "at a learning rate of 8.5e+29\n" in error
    assert (out / "good/policy.onnx").is_file()
    assert not (out / "steep/policy.onnx").exists()


@pytest.mark.slow
def test_a_grid_trains_every_value_and_survives_one_that_diverges(tmp_path, capsys):
    config = small(updates=60, environments=4)
    file = write(config, tmp_path / "a.yaml")  # 4.8 s of flight, of which the last count
    command = ["train", str(file), "--grid", "optimiser.learning_rate=0.003,0.03,1e30"]
    assert main([*command, "--no-compile", "--json", "--out", str(tmp_path / "out")]) == 0
    tried = json.loads(capsys.readouterr().out)["tried"]
    assert [t["value"] for t in tried] == [0.003, 0.03, 1e30]
    assert tried[0]["rmse_m"][0] > 0 < tried[1]["rmse_m"][0]
    assert tried[2]["rmse_m"] == [None]
    assert (tmp_path / "out/a/optimiser.learning_rate=0.03/policy.onnx").is_file()
