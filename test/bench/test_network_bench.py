"""The benchmarks run, resume, choose on validation alone, and write what they measured."""

import argparse
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
import yaml

from liquid_control.bench import expressivity, networks, sequences, studies, tasks
from liquid_control.bench import sequence_training as training
from liquid_control.config import ConfigError, load_yaml

CLOSED = {"kind": "cfc", "mode": "closed", "wiring": {"kind": "fully_connected"}}
STUDY = {
    "seeds": 1, "unfolds": [1, 6], "reference_unfolds": 12, "batch": 8, "steps": 12, "updates": 60,
    "expressivity": {
        "activations": ["tanh", "sigmoid"], "widths": [10, 5], "taus": [1.0, 5.0], "scales": [2.0],
        "layers": [1, 2], "sigma_b2": 1.0, "steps": 20, "draws": 2,
    },
}  # fmt: skip


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
            "note": "Parity.", "growth": 0.5,
            "networks": {"late": {**nets["gru"], "with_time": False}},
        },
    }  # fmt: skip
    path = tmp_path / "suite.yaml"
    path.write_text(yaml.safe_dump({"seeds": 2, "studies": STUDY, "tasks": tasks}))
    return load_yaml(path, sequences.Suite)


def test_sequences_choose_on_validation_and_resume(suite, tmp_path):
    out, lines = tmp_path / "out", []
    arguments = dict(data=tmp_path, report=lines.append)
    first = sequences.bench_sequences(suite, out, only_networks=["gru"], **arguments)
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
    whole = sequences.bench_sequences(suite, out, **arguments)
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

    parallel = sequences.bench_sequences(suite, tmp_path / "parallel", jobs=2, **arguments)
    assert scores(parallel["results"]) == scores(whole["results"])


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
    [
        ({"only_tasks": ["chess"]}, "--task chess"),
        ({"only_networks": ["vae"]}, "--network vae"),
        ({"seeds": 0}, "--seeds 0"),
        ({"jobs": 0}, "--jobs 0"),
    ],
)
def test_bad_choices_are_refused(suite, tmp_path, arguments, message):
    with pytest.raises(ConfigError, match=message):
        sequences.bench_sequences(suite, tmp_path / "out", **arguments)


def test_shipped_suite_trains_every_network_of_a_task_alike():
    suite = load_yaml("config/benchmarks/sequences.yaml", sequences.Suite)
    assert suite.seeds >= 5
    for name, task in suite.tasks.items():
        assert len({network.units for network in task.networks.values()}) == 1, name


def test_points_in_the_same_place_are_both_seen(tmp_path):
    from matplotlib.image import imread

    row = {"unfolds": 1, "error": 0.1, "error_std": None, "us": 3.0}
    names = ("mean of the outputs", "LTC, fused", "closed form", "CfC")
    solver = [{**row, "name": name, "us": 10.0 * (name != names[0])} for name in names[:2]]
    solver += [{**row, "name": name} for name in names[2:]]
    lengths = [
        {"network": network, "activation": "tanh", "width": width, "tau": 1.0, "scale": 2.0,
         "layers": 1, "length": 1.0, "length_std": 0.1}
        for network in expressivity.NETWORKS for width in (5, 10)
    ]  # fmt: skip
    studies.plot(solver, lengths, tmp_path / "studies.png")
    panel = imread(tmp_path / "studies.png")[:, :480, :3]
    for color in ("#ff7f0e", "#2ca02c"):  # second and third: closed form, CfC
        wanted = np.array([int(color[k : k + 2], 16) for k in (1, 3, 5)]) / 255
        seen = (np.abs(panel - wanted) < 0.02).all(axis=2)
        seen[:130] = False  # the legend
        assert seen.sum() > 20, color


def test_studies_measure_what_they_say(suite, tmp_path, capsys):
    options = parse(sequences, "--study", "--json", "--config", tmp_path / "suite.yaml",
                    "--out", tmp_path / "out")  # fmt: skip
    assert sequences.run(options) == 0
    result = json.loads(capsys.readouterr().out)
    solver = {(row["name"], row["unfolds"]): row for row in result["solver"]}
    error = {key: row["error"] for key, row in solver.items()}
    assert error["LTC, rk4", 6] < error["LTC, fused", 6] < error["LTC, fused", 1]
    assert error["closed form", 1] < error["mean of the outputs", 0]
    assert solver["closed form", 1]["us"] < solver["LTC, rk4", 6]["us"]
    assert len(result["expressivity"]) == 5 * 2 * (2 * 2 + 1)
    assert all(row["length"] > 0 for row in result["expressivity"])
    assert "as the closed form" in (tmp_path / "out" / "studies.md").read_text()
    assert (tmp_path / "out" / "studies.png").stat().st_size > 1000


def lengths(network, activation="tanh", *, width=30, tau=1.0, scale=2.0, layers=1, **changes):
    sizes = expressivity.Sizes(**{**STUDY["expressivity"], "steps": 40, "draws": 3, **changes})
    return expressivity.trajectory_lengths(
        network, activation, sizes, width=width, tau=tau, scale=scale, layers=layers
    )


def test_path_length_is_that_of_a_circle_in_any_plane():
    angle = torch.linspace(0.0, 2.0 * np.pi, 1001, dtype=torch.float64)
    basis = torch.linalg.qr(torch.randn(7, 2, dtype=torch.float64))[0]
    circle = torch.stack([angle.sin(), angle.cos()], dim=1) @ basis.T + 3.0
    length = expressivity.path_length(circle[None])
    torch.testing.assert_close(length[0].item(), 2.0 * np.pi, rtol=1e-5, atol=0.0)


def test_expressivity_follows_the_equations():
    # without weights f is a constant: an integrator runs straight, one with a leak settles
    straight = lengths("neural ode", scale=0.0)
    settled = lengths("ct-rnn", scale=0.0)
    leak = (1.0 - np.exp(-2.0 * np.pi)) / (2.0 * np.pi)
    torch.testing.assert_close(settled / straight, torch.full_like(settled, leak), rtol=1e-4,
                               atol=0.0)  # fmt: skip
    # the solver has converged, and states bounded by f >= 0 stay below the integrator's
    for network in ("ltc", "ct-rnn", "neural ode"):
        fine = lengths(network, steps=80)
        torch.testing.assert_close(lengths(network), fine, rtol=2e-2, atol=0.0)
    assert (lengths("ltc", "sigmoid") < lengths("neural ode", "sigmoid")).all()
    # where 1/tau + f may be negative nothing bounds an LTC
    assert (lengths("ltc", tau=5.0) > 3.0 * lengths("ltc")).all()


def test_standardised_inputs_are_those_of_the_training_part():
    rng = torch.Generator().manual_seed(0)
    scale = torch.tensor([0.1, 30.0])
    parts = tuple(
        tasks.Sequences(
            5.0 + factor * scale * torch.randn(40, 6, 2, generator=rng), torch.ones(40, 6, 1),
            None, torch.zeros(40, 6, 1),
        )
        for factor in (1.0, 1.0, 1e4)
    )  # fmt: skip
    train, _, test = tasks.standardised(parts, limit=3.0)
    assert train.input_NTF.mean(dim=(0, 1)).abs().max() < 0.05
    assert ((train.input_NTF.std(dim=(0, 1)) - 0.9).abs() < 0.1).all()
    assert test.input_NTF.abs().max() <= 3.0
    noisy = train.with_noise(0.5, rng).input_NTF - train.input_NTF
    assert noisy.std().item() == pytest.approx(0.5, rel=0.1)


@pytest.mark.parametrize("form", ["dense", "event", "irregular", "event_irregular"])
def test_xor_is_the_parity_of_the_time_spent_at_one(form):
    part = tasks.xor(np.random.default_rng(1), (50, 1, 1), form=form)[0]
    time = torch.where(part.input_NTF > 0, part.dt_NT1, 0.0)[:, :, 0].cumsum(dim=1)
    assert torch.equal(time.long() % 2, part.target)
    if part.observed_NT is not None:  # samples alternate, then padding
        count = part.observed_NT.sum(dim=1)
        assert torch.equal(part.observed_NT, torch.arange(part.steps) < count[:, None])
        both = part.observed_NT[:, 1:]
        assert (part.input_NTF[:, 1:, 0] * part.input_NTF[:, :-1, 0])[both].eq(-1).all()
    lasts = part.dt_NT1 if part.observed_NT is None else part.dt_NT1[part.observed_NT]
    assert lasts.min() == 1
    assert lasts.max() == {"dense": 1, "irregular": 2}.get(form, lasts.max())
    assert part.first(3).steps == part.first(3).target.shape[1] == 3


def test_spaced_gates_switch_at_their_times():
    config = {"kind": "cfc", "mode": "default", "wiring": {"kind": "fully_connected"}}
    network = training.Network(cell=config, units=6, switch_times=(0.5, 16.0))
    cell = training.make_network(network, 1, 2, torch.Generator().manual_seed(0), 0).cell
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


def test_padding_has_no_say(suite):
    task = suite.tasks["xor_event_irregular"]
    part = tasks.xor(np.random.default_rng(0), (20, 1, 1), form="event_irregular")[0]
    padding = ~part.observed_NT
    assert padding.any()
    cell = training.make_network(task.networks["late"], 1, 2, torch.Generator().manual_seed(0), 0)
    unit = torch.ones(1), torch.zeros(1)
    other = replace(part, input_NTF=part.input_NTF + 5.0 * padding[:, :, None])
    got, expected = (
        (training._loss(task, p, training._outputs(cell, p, unit)), training._score(task, cell, p,
                                                                                    unit))
        for p in (other, part)
    )  # fmt: skip
    torch.testing.assert_close(got, expected)


def test_bench_networks_writes_ratios_of_its_own_times(tmp_path, capsys):
    pytest.importorskip("ncps")
    sizes = {
        "units": 14, "motor": 2, "inputs": 4, "batch": 4, "steps": 4, "repeats": 1,
        "step_calls": 400, "scaling_units": [12, 16], "scaling_steps": [2, 4],
        "scaling_batch": [1, 2], "scaling_repeats": 1,
    }  # fmt: skip
    path = tmp_path / "networks.yaml"
    path.write_text(yaml.safe_dump(sizes))
    out = tmp_path / "out"
    assert networks.run(parse(networks, "--json", "--config", path, "--out", out)) == 0
    result = json.loads(capsys.readouterr().out)
    step, train = result["step_us"], result["train_ms"]
    ours = step["policy.onnx, cfc default"]
    assert (result["step_us_p50"], result["step_us_p99"]) == (ours["p50"], ours["p99"])
    assert all(0 < entry["p50"] <= entry["p99"] for entry in step.values())
    assert step["machine: clock"]["p50"] < ours["p50"]
    ratio = step["ncps torch cell"]["p50"] / result["step_us_p50"]
    assert result["step_speedup_vs_ncps"] == pytest.approx(ratio)
    for name, ours, theirs in (
        ("cfc_train_speedup_vs_ncps", "cfc default", "ncps CfC"),
        ("cfc_train_speedup_vs_lstm", "cfc default", "nn.LSTM, stored"),
        ("cfc_train_speedup_vs_lstm_active", "cfc default", "nn.LSTM, active"),
        ("ltc_train_speedup_vs_ncps", "ltc", "ncps LTC"),
    ):
        assert result[name] == pytest.approx(train[theirs] / train[ours])
    assert [value for value, _ in result["scaling"]["units"]["cfc default"]] == [12, 16]
    report = (out / "networks.md").read_text()
    assert f"`liquid-control bench networks --config {path} --out {out}`" in report
    assert "| ncps torch cell |" in report
    assert "| neurons | 12 | 16 |" in report
    assert "(networks.png)" in report
    assert (out / "networks.png").stat().st_size > 1000


def test_report_names_the_command_that_was_run():
    options = parse(networks, "--quick")
    assert networks._command(options) == "liquid-control bench networks --quick"
