"""The gradient trainer: it learns, resumes to the same weights, and refuses what doesn't fit."""

import json
import signal

import numpy as np
import pytest
import torch
from small_runs import CONFIG, small, write

from liquid_control.config import ConfigError, read_yaml
from liquid_control.runtime.artifact import load_artifact
from liquid_control.runtime.catalogue import make_controller
from liquid_control.runtime.policy import load_policy
from liquid_control.training import gradient, held_out
from liquid_control.training.config import EarlyStopConfig, GradientConfig, load_training
from liquid_control.training.gradient import GradientTrainer
from liquid_control.training.run import stops_early, train
from liquid_control.vehicles.catalogue import load_vehicle
from liquid_control.vehicles.quadrotor.parameters import GeometricGains, QuadrotorParameters


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
        train(file, out, changes={"seed": 3}, compiled=False)
    assert policy.read_bytes() == made
    policy.write_bytes(b"damaged")
    train(file, out, compiled=False)
    assert load_artifact(policy).metadata.training["updates"] == 2
    train(file, out, changes={"seed": 3}, compiled=False, restart=True)
    assert load_artifact(policy).metadata.training["config"]["seed"] == 3


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


def test_an_expert_is_tuned_to_gains_that_fly(tmp_path):
    config = small(updates=3).model_copy(
        update={"network": {"kind": "geometric", "integral": True, "observer": True}}
    )
    result = train(write(config, tmp_path / "run.yaml"), tmp_path / "out", compiled=False)
    controller, _ = make_controller(str(result), load_vehicle("crazyflie"), QuadrotorParameters())
    assert controller.gains.position_gain != GeometricGains().position_gain
    assert controller.gains.observer_gain > 0


def test_the_end_of_a_run_is_measured_in_held_out_episodes(monkeypatch, tmp_path):
    monkeypatch.setattr(held_out, "STEPS", 8)
    monkeypatch.setattr(gradient, "HELD_OUT_EVERY", 2)
    result = train(write(small(updates=3), tmp_path / "a.yaml"), tmp_path / "a", compiled=False)
    rows = [json.loads(line) for line in (tmp_path / "a/log.jsonl").read_text().splitlines()]
    record = load_artifact(result).metadata.training
    assert record["held_out_m"] == rows[-1]["held_out_m"] is not None


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
