"""The benchmarks run, resume, choose on validation alone, and write what they measured."""

import argparse
import json

import numpy as np
import pytest
import yaml

from liquid_control.config import ConfigError, load_yaml
from liquid_control.nn.bench import sequences

CLOSED = {"kind": "cfc", "mode": "closed", "wiring": {"kind": "fully_connected"}}


def parse(bench, *words):
    parser = argparse.ArgumentParser()
    bench.add_arguments(parser)
    return parser.parse_args([str(word) for word in words])


@pytest.fixture
def suite(tmp_path):
    """A tiny suite, and 25 rollouts of random walks where --data wants Half-Cheetah."""
    (tmp_path / "half_cheetah").mkdir()
    rng = np.random.default_rng(0)
    for k in range(25):
        rollout = np.cumsum(rng.standard_normal((60, 17)), axis=0)
        np.save(tmp_path / "half_cheetah" / f"{k:02}.npy", rollout)
    common = {"batch": 8, "epochs": 2, "published": {"LTC": "2.3"}, "floors": {"none": "9"}}
    names = {"closed form": CLOSED, "gru": {"kind": "gru"}}
    nets = {name: {"cell": cell, "units": 5} for name, cell in names.items()}
    tasks = {
        "half_cheetah": {
            **common, "metric": "mse", "learning_rates": [0.001, 0.05], "networks": nets,
            "note": "Random walks.",
        },
        "xor_event_irregular": {
            **common, "metric": "accuracy_last_step", "learning_rates": [0.01], "sizes": [16, 8, 8],
            "note": "Parity.", "networks": {"late": {**nets["gru"], "with_time": False}},
        },
    }  # fmt: skip
    path = tmp_path / "suite.yaml"
    path.write_text(yaml.safe_dump({"seeds": 2, "tasks": tasks}))
    return load_yaml(path, sequences.Suite)


def test_sequences_choose_on_validation_and_resume(suite, tmp_path):
    out, lines = tmp_path / "out", []
    arguments = dict(data=tmp_path, report=lines.append)
    first = sequences.bench_sequences(suite, out, only_networks=["gru"], **arguments)
    assert len(lines) == 3  # two trials of the learning rate, then the second seed
    runs = json.loads((out / "results.json").read_text()).values()
    trials = [run for run in runs if run["seed"] == 0]
    best = min(trials, key=lambda run: run["valid"])
    row = first["results"]["half_cheetah"]["gru"]
    chosen = [run["score"] for run in runs if run["learning_rate"] == best["learning_rate"]]
    assert row["learning_rate"] == best["learning_rate"]
    assert row["seeds"] == len(chosen) == 2
    assert row["mean"] == pytest.approx(np.mean(chosen))
    assert "| closed form | not run |" in first["markdown"]

    lines.clear()
    whole = sequences.bench_sequences(suite, out, **arguments)
    assert len(lines) == 3 + 2  # what was done is not done again
    assert whole["results"]["half_cheetah"]["gru"] == row
    assert set(whole["results"]["half_cheetah"]) == {"gru", "closed form"}
    assert 0.0 <= whole["results"]["xor_event_irregular"]["late"]["mean"] <= 1.0
    assert (out / "sequences.md").read_text() == whole["markdown"]


def test_sequences_show_what_is_incomplete(suite, tmp_path):
    result = sequences.bench_sequences(
        suite, tmp_path / "out", seeds=1, only_tasks=["half_cheetah"]
    )
    assert "Not run here: needs --data" in result["markdown"]
    arguments = dict(data=tmp_path, seeds=1, only_tasks=["half_cheetah"])
    result = sequences.bench_sequences(suite, tmp_path / "out", **arguments)
    assert "| 1 of 2 |" in result["markdown"]
    assert result["results"]["half_cheetah"]["gru"]["std"] is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"only_tasks": ["chess"]}, "--task chess"), ({"only_networks": ["vae"]}, "--network vae")],
)
def test_unknown_names_are_refused(suite, tmp_path, arguments, message):
    with pytest.raises(ConfigError, match=message):
        sequences.bench_sequences(suite, tmp_path / "out", **arguments)


def test_shipped_suite_trains_every_network_of_a_task_alike():
    suite = load_yaml("config/benchmarks/sequences.yaml", sequences.Suite)
    assert suite.seeds >= 5
    for name, task in suite.tasks.items():
        assert len({network.units for network in task.networks.values()}) == 1, name
