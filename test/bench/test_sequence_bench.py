"""The sequence benchmark resumes, chooses on validation alone, and writes what came of it."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from liquid_control.bench.sequences import bit_stream, training
from liquid_control.bench.sequences.benchmark import train_missing
from liquid_control.bench.sequences.config import SequenceBenchmark, TaskNetwork
from liquid_control.bench.sequences.network import make_network
from liquid_control.bench.sequences.report import collect, markdown, side_by_side
from liquid_control.bench.sequences.runs import RunFile
from liquid_control.config import ConfigError, load_yaml

PUBLISHED = {"half_cheetah_raw", "xor_published_dense", "xor_published_event"}


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
    assert "| closed form | | | | | | | | missing |" in first["markdown"]

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
    row = result["results"]["half_cheetah"]["gru"]
    assert row["open"].startswith("1 seeds; best rate is the ")
    assert row["open"] in result["markdown"]
    assert row["seeds_interval"] is row["rollouts_interval"] is None


def test_rows_of_the_old_protocol_are_shown_as_such_until_new_ones_ran(benchmark, tmp_path):
    runs = RunFile(tmp_path / "sequences.json", benchmark, quick=False)
    for rate, valid in ((0.001, 1.0), (0.05, 2.0)):
        for seed in range(2):
            key = runs._key("half_cheetah", "gru", seed, rate, 2, None)
            runs.done[key] = {
                "learning_rate": rate, "valid": valid, "best_epoch": 2, "score": 10 * rate + seed,
                "epochs": 2, "parameters": 3, "seconds": 1.0,
            }  # fmt: skip
    row = collect(benchmark, runs)["half_cheetah"]["gru"]
    assert (row["mean"], row["seeds"], row["open"]) == (0.51, 2, "old protocol")
    assert row["rollouts_interval"] is None
    text = markdown(benchmark, {"half_cheetah": {"gru": row}}, {})
    assert "| old protocol |" in text
    short = side_by_side(benchmark, {"half_cheetah": {"gru": row}}, ["half_cheetah"])
    assert "† | 2.3" not in short  # published: LTC is no network of the task
    assert "| gru | 0.510" in short
    assert " † | " in short
    assert "| closed form | missing |" in short
    assert "| LTC |  | 2.3 |" in short

    assert len(list(runs.trials("half_cheetah", "gru", tmp_path))) == 2  # they are run anew
    for job in runs.trials("half_cheetah", "gru", tmp_path):
        groups = [1.0 + job.seed, 3.0 + job.seed]
        result = {**runs.done[key], "learning_rate": job.learning_rate, "groups": groups}
        runs.keep(job, {**result, "score": 2.0 + job.seed, "valid": job.learning_rate})
    for job in runs.others("half_cheetah", "gru", 2, tmp_path):
        runs.keep(job, {**result, "score": 3.0, "groups": [2.0, 4.0]})
    row = collect(benchmark, runs)["half_cheetah"]["gru"]
    assert (row["mean"], row["seeds"]) == (2.5, 2)
    assert "old" not in row["open"]
    assert "best epoch 2 of 2" in row["open"]
    low, high = row["rollouts_interval"]
    assert low < 2.5 < high


def test_the_table_alone_runs_nothing(benchmark, tmp_path):
    lines = []
    result = train_missing(benchmark, tmp_path / "out", data=tmp_path, only_table=True,
                           report=lines.append)  # fmt: skip
    assert result["results"] == {}
    assert not lines
    assert not (tmp_path / "out" / "sequences.json").exists()
    assert (tmp_path / "out" / "sequences.md").read_text().count("missing") == 3  # networks


def test_quick_is_one_run_a_network(benchmark, tmp_path):
    lines = []
    arguments = dict(data=tmp_path, quick=True, report=lines.append, only_tasks=["half_cheetah"])
    result = train_missing(benchmark, tmp_path / "out", **arguments)
    assert len(lines) == 2
    assert {row["epochs"] for row in result["results"]["half_cheetah"].values()} == {1}


def test_scores_of_rollouts_are_those_of_the_whole(benchmark, tmp_path):
    result = train_missing(benchmark, tmp_path / "out", data=tmp_path, only_networks=["gru"])
    runs = json.loads((tmp_path / "out" / "sequences.json").read_text()).values()
    for run in runs:
        assert len(run["groups"]) == 10
        assert np.mean(run["groups"]) == pytest.approx(run["score"])
        assert run["protocol"] == 2
    low, high = result["results"]["half_cheetah"]["gru"]["rollouts_interval"]
    assert low < result["results"]["half_cheetah"]["gru"]["mean"] < high


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
        # a published figure stands only where the task is the published one
        assert not task.published or name in PUBLISHED


def test_every_network_of_the_shipped_benchmark_is_built_and_of_its_size():
    benchmark = load_yaml("config/benchmarks/sequences.yaml", SequenceBenchmark)
    for task in benchmark.tasks.values():
        for network in task.networks.values():
            rng = torch.Generator().manual_seed(0)
            cell = make_network(network, 3, 2, rng, 0)
            state, dt = cell.initial_state(4), torch.ones(4, 1)
            output, after = cell(torch.randn(4, 3, generator=rng), state, dt)
            assert output.shape == (4, 2)
            assert after.isfinite().all()


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
    part = bit_stream.parity(np.random.default_rng(0), (20, 1, 1), form="event_irregular")[0]
    padding = ~part.observed_NT
    assert padding.any()
    cell = make_network(task.networks["late"], 1, 2, torch.Generator().manual_seed(0), 0)
    unit = torch.ones(1), torch.zeros(1)
    other = replace(part, input_NTF=part.input_NTF + 5.0 * padding[:, :, None])
    got, expected = (
        (training._loss(task, p, training._outputs(cell, p, unit)),
         training._scores(task, cell, p, unit))
        for p in (other, part)
    )  # fmt: skip
    torch.testing.assert_close(got, expected)
