import json
import re

import numpy as np
import pytest

from liquid_control.config import ConfigError, share_dir
from liquid_control.evaluation.judge import judge
from liquid_control.evaluation.metrics import flight_metrics
from liquid_control.evaluation.views import figures
from liquid_control.evaluation.views.circuit import circuit_svg
from liquid_control.evaluation.views.film import write_video
from liquid_control.evaluation.views.report import write_report
from liquid_control.runtime.artifact import load_artifact
from liquid_control.vehicles.catalogue import load_vehicle


@pytest.fixture(scope="module")
def report(tmp_path_factory, make_log, metadata):
    folder = tmp_path_factory.mktemp("report")
    log = make_log(4.0)
    film = write_video(
        folder / "flight.mp4", log, load_vehicle(log.vehicle), fps=10, size=(640, 360)
    )
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


SYNAPSE = re.compile(r'class="synapse (\w+)" data-ends="(\w+) (\w+)" style="--width:([\d.]+);')


def test_circuit_shows_every_neuron_and_synapse_as_strong_as_it_is(metadata):
    drawing, wiring = circuit_svg(metadata), metadata.wiring
    assert drawing.count('class="neuron"') == 15 + 34
    strengths = {(f"s{s}", f"n{t}"): value for s, t, value in wiring.sensory_synapses}
    strengths |= {(f"n{s}", f"n{t}"): value for s, t, value in wiring.synapses}
    drawn = {(a, b): (kind, float(w)) for kind, a, b, w in SYNAPSE.findall(drawing)}
    assert drawn.keys() == strengths.keys()
    for ends, (kind, width) in drawn.items():
        assert kind == ("excite" if strengths[ends] > 0 else "inhibit")
        share = abs(strengths[ends]) / max(map(abs, strengths.values()))
        assert width == pytest.approx(0.6 + 3.4 * share, abs=0.006)


@pytest.mark.parametrize("name", ["hover_19", "hover_any", "hover_liquid", "hover_state"])
def test_what_is_drawn_of_a_shipped_policy_is_what_its_graph_computes(name):
    """The slopes of a long step, in which every neuron reaches its target, by the drawing alone.

    A neuron settles at tanh(w z + b), so its slopes are (1 - h^2) times the strengths of its
    synapses times the slopes of their sources, which the same step has made fresh.
    """
    artifact = load_artifact(share_dir() / f"config/policies/{name}.onnx")
    metadata, wiring = artifact.metadata, artifact.metadata.wiring
    scales = metadata.training["config"]["observation"]
    scale = np.array([scales[s.name] for s in metadata.observation for _ in range(s.size)])
    inputs, neurons = len(scale), len(metadata.neuron_names)
    kinds = {(a, b): kind for kind, a, b, _ in SYNAPSE.findall(circuit_svg(metadata))}
    weight = np.zeros((inputs + neurons, neurons))
    for letter, first, synapses in (
        ("s", 0, wiring.sensory_synapses),
        ("n", inputs, wiring.synapses),
    ):
        for source, target, strength in synapses:
            sign = {"excite": 1, "inhibit": -1}[kinds[f"{letter}{source}", f"n{target}"]]
            weight[first + source, target] = sign * abs(strength)

    rng = np.random.default_rng(0)
    start = np.array(metadata.golden.observation[0])
    z = np.concatenate([start / scale, rng.uniform(-0.5, 0.5, neurons)])

    def settled(z):
        feed = {
            "observation": (z[None, :inputs] * scale).astype(np.float32),
            "dt": np.full((1, 1), 1e4, np.float32),  # s
            "state": z[None, inputs:].astype(np.float32),
        }
        return artifact.session.run(["next_state"], feed)[0][0].astype(float)

    step, here = 3e-3, settled(z)
    slopes = np.array([settled(z + step * e) - settled(z - step * e) for e in np.eye(len(z))])
    slopes /= 2 * step  # (F + H, H)
    expected = np.zeros_like(slopes)
    for ids in wiring.layers.values():
        source = np.eye(len(z))
        source[:, inputs : inputs + ids[0]] = expected[:, : ids[0]]  # groups before are new
        expected[:, ids] = source @ weight[:, ids] * (1 - here[ids] ** 2)
    assert np.abs(slopes).max() > 0.3
    np.testing.assert_allclose(slopes, expected, atol=0.01)


def test_a_circuit_of_unknown_strengths_claims_no_sign(metadata):
    unknown = metadata.model_copy(update={"wiring": metadata.wiring.with_strengths(None)})
    drawing = circuit_svg(unknown)
    assert {kind for kind, *_ in SYNAPSE.findall(drawing)} == {"silent"}
    assert "excitatory" not in drawing


def test_flight_without_policy_or_video_is_reported(tmp_path, make_log):
    log = make_log(1.0, neurons=np.zeros((100, 0)), neuron_names=(), step_us=np.full(100, np.nan))
    path = write_report(tmp_path, log)
    text = path.read_text(encoding="utf-8")
    assert "<h2>Circuit" not in text
    assert "Step latency" not in text
    for block in re.findall(r'<script type="application/json"[^>]*>(.*?)</script>', text, re.S):
        json.loads(block)


def test_a_real_browser_draws_every_plot_without_errors(report, browse):
    dom, errors = browse(report)
    assert not errors
    figures = len(re.findall(r'data-figure="', dom))
    assert f'data-drawn="{figures}"' in dom
    assert len(re.findall(r'class="[^"]*js-plotly-plot', dom)) == figures == 5
    # Lines and their legends: error, wind, thrust, rates, rotors; then the error's colours.
    assert len(re.findall(r'<path class="js-line"', dom)) > 2 * (4 + 3 + 1 + 3 + 4)
    assert "<canvas" in dom  # the 3-D path
    assert "color-mix" in dom  # the replay coloured the circuit
    assert "failed" not in re.findall(r'class="plot[^"]*"', dom)


def test_the_legend_of_the_rotors_leaves_room_for_its_title(log):
    figure = figures.commands(log)
    names = [trace.name for trace in figure.data if trace.legend == "legend3"]
    assert names == ["0", "1", "2", "3"]
    assert "rotors, rad/s" in {note.text for note in figure.layout.annotations}
