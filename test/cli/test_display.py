"""What the terminal shows at the end."""

import shutil

import pytest
from rich.console import Console

from liquid_control.cli.display import flight as flight_display
from liquid_control.cli.display import policy as policy_display
from liquid_control.config import share_dir
from liquid_control.evaluation.judge import judge
from liquid_control.evaluation.metrics import FlightMetrics
from liquid_control.runtime.artifact import load_artifact
from liquid_control.session.flight import FlightResult

VALUES = {
    **{"world": "demo", "policy": "hover_liquid", "vehicle": "crazyflie", "seed": 3},
    **{"crashed": False, "crash_reason": "", "rmse_m": 0.0123, "max_error_m": 0.034},
    **{"settle_time_s": None, "rate_rms_radps": 1.25, "step_us_p50": 40.0, "step_us_p99": 60.0},
    **{"late_ticks": 0, "mode_time_s": {"policy": 20.0}},
}


@pytest.fixture
def console(monkeypatch):
    console = Console(record=True, width=120, file=open("/dev/null", "w"))  # noqa: SIM115
    monkeypatch.setattr(flight_display, "CONSOLE", console)
    monkeypatch.setattr(policy_display, "CONSOLE", console)
    yield console
    console.file.close()


def test_every_limit_of_a_flight_is_shown(console):
    metrics = FlightMetrics(VALUES)
    limits = {"rmse_m": 0.05, "rate_rms_radps": 1.0, "unsettled_rate": 0.0}
    result = FlightResult(None, metrics, judge(metrics, limits), ())
    flight_display.show_flight(result)
    lines = console.export_text().splitlines()
    rows = {line.strip("│ ").split("│")[0].strip(): line for line in lines}
    for name, value, verdict in (
        ("position error, RMSE (cm)", "1.23", "met"),
        ("body rates, RMS (rad/s)", "1.25", "missed"),
        ("crashed or never settled within 10 cm (%)", "100.00", "missed"),
    ):
        assert value in rows[name]
        assert verdict in rows[name]


def test_the_synapses_of_a_policy_are_those_of_its_trained_weights(console):
    artifact = load_artifact(share_dir() / "config/policies/hover_19.onnx")
    policy_display.show_policy(artifact.path, artifact.metadata)
    text, wiring = console.export_text(), artifact.metadata.wiring
    counts = wiring.counts()
    assert f"{counts['excitatory']} excitatory, {counts['inhibitory']} inhibitory" in text
    assert "unknown" not in text
    source, target, strength = max(wiring.synapses, key=lambda synapse: abs(synapse[2]))
    names = artifact.metadata.neuron_names
    assert f"{names[source]} → {names[target]} {strength:+.2f}" in text


def test_several_trained_policies_are_a_line_each(console, tmp_path):
    shipped = share_dir() / "config/policies"
    runs = []
    for seed in ("1", "2"):
        runs.append(tmp_path / "hover_19" / seed / "policy.onnx")
        runs[-1].parent.mkdir(parents=True)
        shutil.copy(shipped / "hover_19.onnx", runs[-1])
    gains = tmp_path / "expert" / "gains.yaml"
    gains.parent.mkdir()
    gains.write_text("position: 1.0\n")
    policy_display.show_trained([*runs, gains])
    lines = console.export_text().splitlines()
    record = load_artifact(runs[0]).metadata.training
    for run in ("hover_19/1", "hover_19/2"):
        (line,) = (line for line in lines if f" {run} " in line)
        assert f" {record['updates']} " in line
        assert f" {record['seconds']} " in line
    assert sum(" expert " in line for line in lines) == 1
    assert len(lines) < 12


def test_a_policy_that_sees_says_with_what(console):
    artifact = load_artifact(share_dir() / "config/policies/lane_liquid.onnx")
    policy_display.show_policy(artifact.path, artifact.metadata)
    eye = f"64 × 32 px, 72° across; 16 features, {artifact.metadata.eye.weights} weights"
    assert eye in console.export_text()
