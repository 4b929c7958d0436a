"""The figures: what they show is what the simulation does."""

import warnings

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from liquid_control.evaluation.views.wind import cost_figure, wind_figure
from liquid_control.sim.scenario import load_world, read_world


def test_the_wind_page_shows_simulated_spectra_on_the_theory(tmp_path):
    figure = wind_figure(load_world("hover_dryden_light"), seed=0)
    over_time, spectra = figure.axes
    assert len(over_time.lines) == 3
    lines = {line.get_label(): line.get_ydata() for line in spectra.lines}
    frequency = spectra.lines[0].get_xdata()
    band = (frequency > 0.3) & (frequency < 5)
    for axis in "uvw":
        ratio = lines[f"{axis}, simulated"][band] / lines[f"{axis}, Dryden"][band]
        assert np.mean(ratio) == pytest.approx(1, abs=0.15)
    figure.savefig(tmp_path / "wind.png")


def test_the_wind_page_shows_the_gusts_among_the_faults():
    gust = {"kind": "gust", "at": 1.0, "until": 2.0, "velocity": [0.0, 3.0, 0.0]}
    world = read_world("hover_calm", {"faults": [gust], "wind": []}, source="test")
    over_time, _ = wind_figure(world, seed=0).axes
    time, north = over_time.lines[1].get_data()
    np.testing.assert_array_equal(north, np.where((time >= 1.0) & (time < 2.0), 3.0, 0.0))


def test_cost_figure_has_a_line_for_each_number_of_substeps():
    cost = {"environments": [1, 10], "substeps": [1, 5], "steps_per_s": [[1, 9], [1, 4]]}
    (axes,) = cost_figure(cost).axes
    assert [line.get_ydata().tolist() for line in axes.lines] == cost["steps_per_s"]


@pytest.mark.parametrize("wind", [[], [{"kind": "steady", "speed": 3.0, "toward_deg": 0.0}]])
def test_a_steady_wind_has_a_figure_without_a_warning(tmp_path, wind):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        wind_figure(read_world("hover_calm", {"wind": wind}), 0).savefig(tmp_path / "wind.png")
