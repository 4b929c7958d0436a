"""The studies of the LTC paper measure what they say."""

import json

import numpy as np
import pytest

from liquid_control.bench.sequences import command
from liquid_control.bench.studies import expressivity, expressivity_report
from liquid_control.bench.studies.random_networks import ODES, SETTINGS, Draw, slope
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
        {"setting": setting, "network": network, "activation": "tanh", "width": width, "tau": 1.0,
         "scale": 2.0, "layers": 1, "length": 1.0, "length_std": 0.1}
        for setting, networks in SETTINGS.items() for network in networks for width in (5, 10)
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
    # two activations; three ODEs in two settings of three cases, five networks in one of five
    assert len(result["expressivity"]) == 2 * (2 * 3 * (2 + 1) + 5 * (2 * 2 + 1))
    assert all(row["length"] is None or row["length"] > 0 for row in result["expressivity"])
    assert "as the closed form" in (tmp_path / "out" / "studies.md").read_text()
    assert (tmp_path / "out" / "studies.png").stat().st_size > 1000


def lengths(network, activation="tanh", *, setting="published", width=25, tau=None, scale=2.0,
            layers=1, **changes):  # fmt: skip
    sizes = ExpressivitySizes(**{**SIZES, **changes})
    return expressivity.trajectory_lengths(
        setting, network, activation, sizes, width=width, tau=tau, scale=scale, layers=layers
    )


def test_path_length_is_that_of_a_circle_in_any_plane():
    angle = np.linspace(0.0, 2.0 * np.pi, 1001)
    basis = np.linalg.qr(np.random.default_rng(0).standard_normal((7, 2)))[0]
    circle = np.stack([np.sin(angle), np.cos(angle)], axis=1) @ basis.T + 3.0
    assert expressivity.path_length(circle) == pytest.approx(2.0 * np.pi, rel=1e-5)


def test_expressivity_follows_the_equations():
    # without weights f is a constant: an integrator runs straight, one with a leak settles
    straight = lengths("neural ode", setting="equal f", tau=1.0, scale=0.0)
    settled = lengths("ct-rnn", setting="equal f", tau=1.0, scale=0.0)
    leak = (1.0 - np.exp(-2.0 * np.pi)) / (2.0 * np.pi)
    np.testing.assert_allclose(settled / straight, leak, rtol=1e-3)
    # one neuron, no recurrence: dx/dt = -(1/tau + |f| + |r|) x + f E + r E', all of it constant
    draw = Draw.of(np.random.default_rng(3), layers=1, width=1, tau=None, sigma_w=0.0, sigma_b=1.0,
                   sigma_a=2.0)  # fmt: skip
    f, r = (np.tanh(draw.bias[k])[0, 0] for k in range(2))
    e, e_own = (draw.pulls[k][0, 0] for k in range(2))
    x, at = 0.7, (np.full((1, 1), 0.7), 0.0)
    expected = f * e + r * e_own - (1.0 / draw.tau_DK[0, 0] + abs(f) + abs(r)) * x
    assert slope(draw, "published", "ltc", "tanh")(np.full((1, 1), x), 0.0) == pytest.approx(
        expected
    )
    expected = f - x / draw.tau_DK[0, 0]
    assert slope(draw, "published", "ct-rnn", "tanh")(*at) == pytest.approx(expected)


def test_samples_and_solver_don_t_decide_the_length():
    for network in ("ltc", "ct-rnn", "neural ode"):
        fine = lengths(network, steps=400)
        np.testing.assert_allclose(lengths(network, steps=200), fine, rtol=2e-2)


@pytest.mark.parametrize("activation", ["tanh", "sigmoid"])
def test_the_published_order_is_that_of_its_drive(activation):
    published = {name: lengths(name, activation).mean() for name in ODES}
    assert published["ltc"] > 2.0 * published["neural ode"] > 2.0 * published["ct-rnn"]
    drive = {name: lengths(name, activation, setting="same drive").mean() for name in ODES}
    assert drive["ltc"] == published["ltc"]
    equal = {name: lengths(name, activation, setting="equal f", tau=1.0).mean() for name in ODES}
    for same in (drive, equal):
        assert same["ltc"] < same["ct-rnn"] < same["neural ode"]


def test_what_grows_without_end_is_said_to_diverge():
    assert np.isinf(lengths("neural ode", "relu", setting="same drive")).all()
    row = {"setting": "same drive", "activation": "relu", "width": 25, "tau": None, "scale": 2.0,
           "layers": 1}  # fmt: skip
    rows = [{**row, "network": name, "length": None, "length_std": None} for name in ODES]
    rows[0] |= {"length": 14.0, "length_std": 2.0}
    assert "| relu | neural ode | diverges |" in expressivity_report.markdown(rows)
    assert "the longest in 0 of 1" in expressivity_report.markdown(rows)
