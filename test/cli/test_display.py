"""What the terminal shows at the end."""

from types import SimpleNamespace

import pytest
from rich.console import Console

from liquid_control.cli.display import flight as flight_display
from liquid_control.evaluation.judge import judge
from liquid_control.evaluation.metrics import FlightMetrics

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
    yield console
    console.file.close()


def test_every_limit_of_a_flight_is_shown(console):
    metrics = FlightMetrics(VALUES)
    limits = {"rmse_m": 0.05, "rate_rms_radps": 1.0, "unsettled_rate": 0.0}
    result = SimpleNamespace(metrics=metrics, checks=judge(metrics, limits), files=(), passed=False)
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
