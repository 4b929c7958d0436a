"""The sequence benchmark resumes, chooses on validation alone, and writes what came of it."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from liquid_control.bench.sequences import tasks, training
from liquid_control.bench.sequences.benchmark import train_missing
from liquid_control.bench.sequences.config import SequenceBenchmark, TaskNetwork
from liquid_control.bench.sequences.network import make_network
from liquid_control.config import ConfigError, load_yaml


def test_sequences_choose_on_validation_and_resume(benchmark, tmp_path):
    out, lines = tmp_path / "out", []
    arguments = dict(data=tmp_path, report=lines.append)
    first = train_missing(benchmark, out, only_networks=["gru"], **arguments)
    assert len(lines) == 3  # two trials of the learning rate, then the second seed
    runs = json.loads((out / "sequences.json").read_text()).values()
    trials = [run for run in runs if run["seed"] == 0]
    best = min(trials, key=lambda run: run["valid"])
    row = first["results"]["half_cheetah"]["gru"]
    chosen = [run["score"] for run in runs if run["learning_rate"] == best["learning_rate"]]
    assert row["learning_rate"] == best["learning_rate"]
    assert row["seeds"] == len(chosen) == 2
    assert row["mean"] == pytest.approx(np.mean(chosen))
    assert "| closed form | not run |" in first["markdown"]

    lines.clear()
    whole = train_missing(benchmark, out, **arguments)
    assert len(lines) == 3 + 2  # what was done is not done again
    assert whole["results"]["half_cheetah"]["gru"] == row
    assert set(whole["results"]["half_cheetah"]) == {"gru", "closed form"}
    assert 0.0 <= whole["results"]["xor_event_irregular"]["late"]["mean"] <= 1.0
    assert (out / "sequences.md").read_text() == whole["markdown"]

    def scores(results):
        return {
            (task, network): row["mean"]
            for task, rows in results.items()
            for network, row in rows.items()
        }

    parallel = train_missing(benchmark, tmp_path / "parallel", jobs=2, **arguments)
    assert scores(parallel["results"]) == scores(whole["results"])


def test_sequences_show_what_is_incomplete(benchmark, tmp_path):
    result = train_missing(benchmark, tmp_path / "out", seeds=1, only_tasks=["half_cheetah"])
    assert "Not run here: needs --data" in result["markdown"]
    arguments = dict(data=tmp_path, seeds=1, only_tasks=["half_cheetah"])
    result = train_missing(benchmark, tmp_path / "out", **arguments)
    assert "| 1 of 2 |" in result["markdown"]
    assert result["results"]["half_cheetah"]["gru"]["std"] is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"only_tasks": ["chess"]}, "--task chess"),
        ({"only_networks": ["vae"]}, "--network vae"),
        ({"seeds": 0}, "--seeds 0"),
        ({"jobs": 0}, "--jobs 0"),
    ],
)
def test_bad_choices_are_refused(benchmark, tmp_path, arguments, message):
    with pytest.raises(ConfigError, match=message):
        train_missing(benchmark, tmp_path / "out", **arguments)


def test_the_shipped_benchmark_trains_every_network_of_a_task_alike():
    benchmark = load_yaml("config/benchmarks/sequences.yaml", SequenceBenchmark)
    assert benchmark.seeds >= 5
    for name, task in benchmark.tasks.items():
        assert len({network.units for network in task.networks.values()}) == 1, name


def test_spaced_gates_switch_at_their_times():
    config = {"kind": "cfc", "mode": "default", "wiring": {"kind": "fully_connected"}}
    network = TaskNetwork(cell=config, units=6, switch_times=(0.5, 16.0))
    cell = make_network(network, 1, 2, torch.Generator().manual_seed(0), 0).cell
    bias = cell.bias[0].data
    cell.weight[0].data.zero_()
    bias[:6], bias[6:12] = -1.0, 1.0  # the two states between which the gate switches
    times = torch.linspace(0.5, 16.0, 6)
    for shift, sign in ((-0.1, -1.0), (0.1, 1.0)):
        state = torch.stack(
            [cell(torch.zeros(1, 1), cell.initial_state(1), (t + shift).view(1, 1))[1][0, k]
             for k, t in enumerate(times)]
        )  # fmt: skip
        assert torch.equal(state.sign(), torch.full((6,), sign))


def test_padding_has_no_say(benchmark):
    task = benchmark.tasks["xor_event_irregular"]
    part = tasks.xor(np.random.default_rng(0), (20, 1, 1), form="event_irregular")[0]
    padding = ~part.observed_NT
    assert padding.any()
    cell = make_network(task.networks["late"], 1, 2, torch.Generator().manual_seed(0), 0)
    unit = torch.ones(1), torch.zeros(1)
    other = replace(part, input_NTF=part.input_NTF + 5.0 * padding[:, :, None])
    got, expected = (
        (training._loss(task, p, training._outputs(cell, p, unit)), training._score(task, cell, p,
                                                                                    unit))
        for p in (other, part)
    )  # fmt: skip
    torch.testing.assert_close(got, expected)
