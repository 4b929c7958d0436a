import json
import re

import numpy as np
import pytest

from liquid_control.config import ConfigError
from liquid_control.evaluation.judge import judge
from liquid_control.evaluation.metrics import flight_metrics
from liquid_control.evaluation.views import figures
from liquid_control.evaluation.views.circuit import circuit_svg
from liquid_control.evaluation.views.film import write_video
from liquid_control.evaluation.views.report import write_report
from liquid_control.vehicles.catalogue import load_vehicle


@pytest.fixture(scope="module")
def report(tmp_path_factory, make_log, metadata):
    folder = tmp_path_factory.mktemp("report")
    log = make_log(4.0)
    film = write_video(folder / "flight.mp4", log, load_vehicle(log.vehicle))
    return write_report(
        folder,
        log,
        criteria={"rmse_m": 0.05, "max_error_m": 1e-6},
        metadata=metadata,
        video=film,
        configuration={"note": "</script><b>&"},
    )


def test_report_is_one_small_file_without_links(report):
    text = report.read_text(encoding="utf-8")
    assert len(text) < 6e6
    markup = re.sub(r"<script.*?</script>", "", text, flags=re.S)
    assert not re.search(r"(src|href)=\"(?!data:)", markup)
    assert "default-src 'none'" in markup
    assert "<b>&" not in markup


def test_report_judges_each_criterion(report, make_log):
    text = report.read_text(encoding="utf-8")
    assert text.count("✗ fail") == 2  # the largest error, and the flight as a whole
    metrics = flight_metrics(make_log(4.0))
    assert f"{100 * metrics.rmse_m:.2f} <small>cm" in text


def test_criteria_must_be_metrics(log):
    with pytest.raises(ConfigError, match=r"'rmse'.*rmse_m"):
        judge(flight_metrics(log), {"rmse": 1.0})


def test_an_undefined_metric_does_not_pass(make_log):
    checks = judge(flight_metrics(make_log(1.0)), {"rmse_m": 1.0, "late_ticks": 0})
    assert [check.passed for check in checks] == [True, False, True]


def test_circuit_shows_every_neuron_and_synapse(metadata):
    drawing, wiring = circuit_svg(metadata), metadata.wiring
    assert drawing.count('class="neuron"') == 15 + 34
    signs = [s[2] for s in (*wiring.sensory_synapses, *wiring.synapses)]
    assert drawing.count('class="synapse excite"') == sum(s > 0 for s in signs)
    assert drawing.count('class="synapse inhibit"') == sum(s < 0 for s in signs)


def test_flight_without_policy_or_video_is_reported(tmp_path, make_log):
    log = make_log(1.0, neurons=np.zeros((100, 0)), neuron_names=(), step_us=np.full(100, np.nan))
    path = write_report(tmp_path, log)
    text = path.read_text(encoding="utf-8")
    assert "Circuit" not in text
    assert "Step latency" not in text
    for block in re.findall(r'<script type="application/json"[^>]*>(.*?)</script>', text, re.S):
        json.loads(block)


def test_a_real_browser_draws_every_plot_without_errors(report, browse):
    dom, errors = browse(report)
    assert not errors
    figures = len(re.findall(r"data-figure=", dom))
    assert f'data-drawn="{figures}"' in dom
    assert len(re.findall(r'class="[^"]*js-plotly-plot', dom)) == figures == 5
    # Lines and their legends: error, wind, thrust, rates, rotors.
    assert len(re.findall(r'<path class="js-line"', dom)) == 2 * (4 + 3 + 1 + 3 + 4)
    assert "<canvas" in dom  # the 3-D path
    assert "color-mix" in dom  # the replay coloured the circuit
    assert "failed" not in re.findall(r'class="plot[^"]*"', dom)


def test_the_legend_of_the_rotors_leaves_room_for_its_title(log):
    figure = figures.commands(log)
    names = [trace.name for trace in figure.data if trace.legend == "legend3"]
    assert names == ["0", "1", "2", "3"]
    assert "rotors, rad/s" in {note.text for note in figure.layout.annotations}
