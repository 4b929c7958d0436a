"""The gradient trainer: it learns, resumes to the same weights, and refuses what doesn't fit."""

import json
import math
import signal
from pathlib import Path

import numpy as np
import pytest
import torch

from liquid_control.cli.program import main
from liquid_control.config import ConfigError, read_yaml, share_dir
from liquid_control.runtime.artifact import load_artifact
from liquid_control.runtime.catalogue import make_controller
from liquid_control.runtime.policy import load_policy
from liquid_control.training import gradient, held_out
from liquid_control.training.conditions import (
    Draw,
    draw_conditions,
    draw_start,
    draw_window,
    start_process,
)
from liquid_control.training.config import EarlyStopConfig, GradientConfig, load_training
from liquid_control.training.environments import choose, leaves
from liquid_control.training.gradient import GradientTrainer
from liquid_control.training.grid import Tried, grid_table
from liquid_control.training.policy import make_policy
from liquid_control.training.run import stops_early, train
from liquid_control.vehicles.catalogue import load_vehicle
from liquid_control.vehicles.quadrotor.parameters import GeometricGains, QuadrotorParameters

CONFIG = share_dir() / "config" / "training" / "hover_liquid.yaml"


def small(**optimiser) -> GradientConfig:
    config = load_training(CONFIG)
    settings = {"updates": 6, "environments": 16, "window": 8, "warmup": 1, **optimiser}
    return config.model_copy(
        update={
            "optimiser": config.optimiser.model_copy(update=settings),
            "network": {**config.network, "wiring": {**config.network["wiring"], "units": 16}},
            "start": config.start.model_copy(update={"max_tilt": 0.3}),
        }
    )


def write(config, path):
    import yaml

    path.write_text(yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False))
    return path


@pytest.mark.slow
def test_it_learns_to_hover():
    """A few minutes: from nothing to a hover in gusts, with the shipped configuration."""
    config = load_training(CONFIG)
    optimiser = config.optimiser.model_copy(update={"updates": 400})
    trainer = GradientTrainer(config.model_copy(update={"optimiser": optimiser}))
    errors = [trainer.step().error for _ in range(trainer.updates)]
    assert np.mean(errors[-20:]) < 0.3  # m, over all conditions, setpoint jumps included


def test_the_gradient_is_that_of_finite_differences():
    """Policy, autopilot and rigid body in float64: the chain that is differentiated is exact."""
    torch.set_default_dtype(torch.float64)
    try:
        values = []
        for step in (0.0, 1e-6, -1e-6):
            trainer = GradientTrainer(small(), compiled=False)
            for tensor in trainer.policy.buffers():
                tensor.data = tensor.data.double()
            trainer.policy.double()
            bias = trainer.policy.cell.bias[-1]
            bias.data[0] += step
            loss, _, _ = trainer._window()
            if not values:
                loss.backward()
                gradient = float(bias.grad[0])
            values.append(float(loss.detach()))
    finally:
        torch.set_default_dtype(torch.float32)
    assert abs(gradient) > 1e-4
    assert gradient == pytest.approx((values[1] - values[2]) / 2e-6, rel=1e-4)


def test_a_run_that_was_cut_ends_as_one_that_was_not(tmp_path):
    file = write(small(), tmp_path / "run.yaml")
    whole = train(file, tmp_path / "whole", compiled=False)

    def cut(progress):
        if progress.update == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(file, tmp_path / "cut", compiled=False, on_progress=cut)
    seen = []
    resumed = train(
        file, tmp_path / "cut", compiled=False, on_progress=lambda p: seen.append(p.update)
    )
    assert seen == [4, 5, 6]
    assert load_artifact(resumed).metadata.golden == load_artifact(whole).metadata.golden


def test_a_run_that_is_done_needs_no_checkpoint_and_is_not_lost(tmp_path):
    file, out = write(small(updates=2), tmp_path / "run.yaml"), tmp_path / "out"
    policy = train(file, out, compiled=False)
    made = policy.read_bytes()
    (out / "checkpoint.pt").unlink()
    assert train(file, out, on_progress=lambda p: pytest.fail("trained again")) == policy
    with pytest.raises(ConfigError, match="a run of another configuration"):
        train(file, out, changes={"seed": 2}, compiled=False)
    assert policy.read_bytes() == made
    policy.write_bytes(b"damaged")
    train(file, out, compiled=False)
    assert load_artifact(policy).metadata.training["updates"] == 2
    train(file, out, changes={"seed": 2}, compiled=False, restart=True)
    assert load_artifact(policy).metadata.training["config"]["seed"] == 2


@pytest.fixture
def ctrl_c():
    """As in a terminal: a shell starts what is in its background with the signal ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("ctrl_c")
def test_ctrl_c_waits_for_the_end_of_an_update(tmp_path, monkeypatch):
    """Wherever the signal comes in an update, the run resumes to the same weights."""
    file = write(small(), tmp_path / "run.yaml")
    whole = train(file, tmp_path / "whole", compiled=False)
    window, calls = GradientTrainer._window, []

    def interrupted(trainer):
        result = window(trainer)  # has drawn random numbers and moved the environments on
        calls.append(1)
        if len(calls) == 3:
            signal.raise_signal(signal.SIGINT)
        return result

    monkeypatch.setattr(GradientTrainer, "_window", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train(file, tmp_path / "cut", compiled=False)
    resumed = train(file, tmp_path / "cut", compiled=False)
    assert len(calls) == 6
    assert load_artifact(resumed).metadata.golden == load_artifact(whole).metadata.golden


@pytest.mark.parametrize(
    ("errors", "stops"),
    [
        ([None, None], False),
        ([0.2] * 9, False),
        ([0.2] * 10, False),
        (np.linspace(0.3, 0.1, 40), False),
        (np.linspace(0.3, 0.01, 40), True),  # good enough
        ([0.2] * 10 + [0.3] * 19, False),
        ([0.2] * 10 + [0.3] * 20, True),  # no better for 200 updates
    ],
)
def test_a_run_stops_early_when_it_is_good_or_no_longer_gets_better(errors, stops):
    rows = [{"rmse_m": error} for error in errors]
    assert stops_early(rows, EarlyStopConfig(target=0.05, patience=200)) is stops
    assert not stops_early(rows, None)


def test_the_artifact_flies_and_carries_its_record(tmp_path):
    config = small(updates=2)
    policy = load_policy(
        train(write(config, tmp_path / "run.yaml"), tmp_path / "out", compiled=False)
    )
    command = policy.step(np.zeros(policy.observation_layout.size), 0.01)
    assert np.isfinite(command).all()
    record = policy.metadata.training
    assert record["updates"] == 2
    assert GradientConfig.model_validate(record["config"]) == config
    assert (tmp_path / "out" / "log.jsonl").is_file()


def test_a_checkpoint_of_another_configuration_is_refused(tmp_path):
    train(write(small(updates=1), tmp_path / "a.yaml"), tmp_path / "out", compiled=False)
    other = write(small(updates=2), tmp_path / "b.yaml")
    with pytest.raises(ConfigError, match="another configuration"):
        train(other, tmp_path / "out", compiled=False)
    train(other, tmp_path / "out", compiled=False, restart=True)
    (tmp_path / "out" / "policy.onnx").unlink()  # of a run that is done nothing else is read
    checkpoint = torch.load(tmp_path / "out" / "checkpoint.pt", weights_only=True)
    del checkpoint["trainer"]["update"]
    torch.save(checkpoint, tmp_path / "out" / "checkpoint.pt")
    with pytest.raises(ConfigError, match="another version"):
        train(other, tmp_path / "out", compiled=False)
    (tmp_path / "out" / "checkpoint.pt").write_bytes(b"garbage")
    with pytest.raises(ConfigError, match="not a checkpoint"):
        train(other, tmp_path / "out", compiled=False)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"network": {"kind": "magic"}}, "magic"),
        ({"network": {"kind": "geometric"}, "observation": {"up": 1.0}}, "geometric"),
        ({"extends": "nothing"}, "nothing"),
        ({"observation": {"pos_eror": 1.0}}, "pos_eror"),
        ({"vehicle": "zeppelin"}, "zeppelin"),
        ({"control_rate": -1}, "control_rate"),
        ({"extra": 1}, "extra: unknown key"),
    ],
)
def test_a_bad_configuration_is_named(tmp_path, change, reason):
    import yaml

    path = tmp_path / "bad.yaml"
    path.write_text(yaml.safe_dump({**read_yaml(CONFIG), **change}))
    with pytest.raises(ConfigError, match=reason):
        train(path, tmp_path / "out", compiled=False)


def test_conditions_cover_their_ranges_and_the_reference_is_consistent():
    config = load_training(CONFIG)
    # steps short enough for the trapezoid below
    random = config.randomisation.model_copy(update={"control_rate": (50.0, 200.0)})
    reference = config.reference
    draw = Draw(torch.Generator().manual_seed(0), torch.device("cpu"))
    conditions = draw_conditions(draw, 4000, random, reference)
    for values, (low, high) in (
        (conditions.mass, random.mass),
        (conditions.delay, random.delay),
        (1 / conditions.period, random.control_rate),
    ):
        span = high - low
        assert low <= values.min() < low + 0.05 * span
        assert high - 0.05 * span < values.max() <= high * 1.0001
    process = start_process(draw, 4000, random)
    window, _ = draw_window(draw, 20, conditions, process, random, reference)
    still = conditions.step_size == 0
    moved = (window.setpoint_pos[1:] - window.setpoint_pos[:-1])[:, :, still]
    mean_vel = 0.5 * (window.setpoint_vel[1:] + window.setpoint_vel[:-1])[:, :, still]
    assert torch.allclose(moved, mean_vel * window.dt[:, None, still], atol=2e-4)
    assert float(window.setpoint_vel.norm(dim=1).max()) <= reference.max_speed * 1.001
    quat = draw_start(draw, 4000, config.start)[1]
    assert torch.allclose(quat.norm(dim=0), torch.ones(4000), atol=1e-5)
    up = 1 - 2 * (quat[0] ** 2 + quat[1] ** 2)
    assert float(up.min()) < np.cos(0.95 * config.start.max_tilt)
    assert float(up.min()) >= np.cos(config.start.max_tilt) - 1e-5


def test_turbulence_has_the_strength_that_was_drawn():
    config = load_training(CONFIG)
    draw = Draw(torch.Generator().manual_seed(1), torch.device("cpu"))
    conditions = draw_conditions(draw, 2000, config.randomisation, config.reference)
    conditions = conditions._replace(
        turbulence=torch.full((2000,), 1.5), gust_amplitude=torch.zeros(2000)
    )
    process = start_process(draw, 2000, config.randomisation)
    for _ in range(8):
        window, process = draw_window(
            draw, 50, conditions, process, config.randomisation, config.reference
        )
    deviation = window.wind - conditions.wind_mean
    assert float(deviation.std()) == pytest.approx(1.5, rel=0.05)


def test_lost_odometry_keeps_the_error_of_the_sample_before():
    config = load_training(CONFIG)
    random, reference = config.randomisation, config.reference
    draw = Draw(torch.Generator().manual_seed(2), torch.device("cpu"))
    conditions = draw_conditions(draw, 500, random, reference)
    conditions = conditions._replace(dropout=torch.full((500,), 0.3), noise=torch.ones(500))
    process = start_process(draw, 500, random)
    noise = draw_window(draw, 40, conditions, process, random, reference)[0].noise
    held = noise[1:] == noise[:-1]
    assert float(held[:, :9].float().mean()) == pytest.approx(0.3, abs=0.02)
    assert torch.equal(held[:, :9].all(dim=1), held[:, :9].any(dim=1))  # a sample is lost whole
    assert not held[:, 9:].any()  # the IMU goes on


def test_an_expert_is_tuned_to_gains_that_fly(tmp_path):
    config = small(updates=3).model_copy(
        update={"network": {"kind": "geometric", "integral": True, "observer": True}}
    )
    result = train(write(config, tmp_path / "run.yaml"), tmp_path / "out", compiled=False)
    controller, _ = make_controller(str(result), load_vehicle("crazyflie"), QuadrotorParameters())
    assert controller.gains.position_gain != GeometricGains().position_gain
    assert controller.gains.observer_gain > 0


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


def test_held_out_episodes_are_the_same_for_every_run_and_leave_it_as_it_was(monkeypatch):
    monkeypatch.setattr(held_out, "STEPS", 16)
    first, second = (
        GradientTrainer(small().model_copy(update={"seed": seed}), compiled=False)
        for seed in (1, 2)
    )
    first.step()
    second.policy.load_state_dict(first.policy.state_dict())
    before = first.draw.generator.get_state(), leaves(first.environments)
    error = held_out.held_out_error(first, settled=0.0, strayed=4.5)
    assert 0 < error < 4.5
    assert held_out.held_out_error(second, settled=0.0, strayed=4.5) == error
    assert torch.equal(first.draw.generator.get_state(), before[0])
    assert all(map(torch.equal, leaves(first.environments), before[1]))
    for parameter in second.policy.parameters():
        parameter.data.fill_(math.nan)
    assert held_out.held_out_error(second, settled=0.0, strayed=4.5) == 4.5


def test_the_end_of_a_run_is_measured_in_held_out_episodes(monkeypatch, tmp_path):
    monkeypatch.setattr(held_out, "STEPS", 8)
    monkeypatch.setattr(gradient, "HELD_OUT_EVERY", 2)
    result = train(write(small(updates=3), tmp_path / "a.yaml"), tmp_path / "a", compiled=False)
    rows = [json.loads(line) for line in (tmp_path / "a/log.jsonl").read_text().splitlines()]
    record = load_artifact(result).metadata.training
    assert record["held_out_m"] == rows[-1]["held_out_m"] is not None


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


def test_a_search_finds_better_gains_and_resumes_to_the_same(tmp_path):
    config = load_training("expert_searched")
    search = config.search.model_copy(update={"candidates": 6, "flights": 1, "duration": 4.0})
    config = config.model_copy(update={"search": search, "worlds": ("hover_gusts",)})
    file = write(config, tmp_path / "run.yaml")
    seen = []
    whole = train(file, tmp_path / "whole", on_progress=lambda p: seen.append(p.error))
    assert seen == sorted(seen, reverse=True)
    assert seen[-1] < seen[0] < 1.0

    def cut(progress):
        if progress.update == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(file, tmp_path / "cut", on_progress=cut)
    resumed = train(file, tmp_path / "cut")
    assert read_yaml(resumed) == read_yaml(whole)
    bad = search.model_copy(update={"ranges": {"position_gain": (1.0, 2.0)}})
    file = write(config.model_copy(update={"search": bad}), tmp_path / "bad.yaml")
    with pytest.raises(ConfigError, match=r"search\.ranges: expected"):
        train(file, tmp_path / "bad")


def test_a_file_extends_another_and_replaces_what_it_gives(tmp_path):
    path = tmp_path / "other.yaml"
    path.write_text("extends: hover_liquid\nseed: 9\nnetwork: {kind: gru}\nloss: {yaml: 1}\n")
    with pytest.raises(ConfigError, match=r"loss\.yaml: unknown key"):
        load_training(path)
    path.write_text("extends: hover_liquid\nseed: 9\nnetwork: {kind: gru}\nloss: {yaw: 2.0}\n")
    config, base = load_training(path), load_training("hover_liquid")
    assert (config.seed, config.network, config.loss.yaw) == (9, {"kind": "gru"}, 2.0)
    assert config.randomisation == base.randomisation
    path.write_text(f"extends: {path}\n")
    with pytest.raises(ConfigError, match="extends itself"):
        load_training(path)


def test_environments_start_anew_whole_whatever_the_number_of_states():
    """As many states as environments: it is environments that are reset, not neurons."""
    config = small(environments=58)
    network = {**config.network, "wiring": {**config.network["wiring"], "units": 58}}
    trainer = GradientTrainer(config.model_copy(update={"network": network}), compiled=False)
    old = trainer.environments
    state = old.flight.policy_state
    assert state.shape == (58, 58)
    old = old._replace(flight=old.flight._replace(policy_state=torch.ones_like(state)))
    fresh = trainer.start(58)
    again = torch.arange(58) % 3 == 0
    chosen = choose(again, fresh, old)
    expected = torch.where(again[:, None], fresh.flight.policy_state, 1.0)
    assert torch.equal(chosen.flight.policy_state, expected)
    for name in ("vehicle", "specific_force", "commands"):
        for got, new, was in zip(
            leaves(getattr(chosen.flight, name)),
            leaves(getattr(fresh.flight, name)),
            leaves(getattr(old.flight, name)),
            strict=True,
        ):
            assert torch.equal(got[..., again], new[..., again])
            assert torch.equal(got[..., ~again], was[..., ~again])
    assert torch.equal(chosen.conditions.mass[again], fresh.conditions.mass[again])
    assert torch.equal(chosen.process.turbulence[:, ~again], old.process.turbulence[:, ~again])
