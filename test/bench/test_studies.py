"""The studies of the LTC paper measure what they say."""

import json

import numpy as np
import torch

from liquid_control.bench.sequences import command
from liquid_control.bench.studies import expressivity
from liquid_control.bench.studies.report import plot
from liquid_control.bench.studies.sizes import ExpressivitySizes

SIZES = {
    "activations": ["tanh"], "widths": [30], "taus": [1.0], "scales": [2.0], "layers": [1],
    "sigma_b2": 1.0, "steps": 40, "draws": 3,
}  # fmt: skip


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
    plot(solver, lengths, tmp_path / "studies.png")
    panel = imread(tmp_path / "studies.png")[:, :480, :3]
    for color in ("#ff7f0e", "#2ca02c"):  # second and third: closed form, CfC
        wanted = np.array([int(color[k : k + 2], 16) for k in (1, 3, 5)]) / 255
        seen = (np.abs(panel - wanted) < 0.02).all(axis=2)
        seen[:130] = False  # the legend
        assert seen.sum() > 20, color


def test_studies_measure_what_they_say(benchmark, tmp_path, capsys, parse):
    options = parse(command, "--study", "--json", "--config", tmp_path / "benchmark.yaml",
                    "--out", tmp_path / "out")  # fmt: skip
    assert command.run(options) == 0
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
    sizes = ExpressivitySizes(**{**SIZES, **changes})
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
