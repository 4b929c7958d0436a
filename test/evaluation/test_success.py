"""Suites about success: shares of flights, collisions, departures, curves."""

import json

import pytest
import yaml

from liquid_control.evaluation.suite.config import load_suite
from liquid_control.evaluation.suite.report import write_suite_report
from liquid_control.evaluation.suite.results import markdown, write_results
from liquid_control.evaluation.suite.statistics import rate_interval
from liquid_control.evaluation.suite.summary import Summary

WIND = "wind, m/s"
SUITE = {
    "description": "Test.",
    "first_seed": 7,
    "flights": 4,
    "after": 17.0,
    "success": True,
    "quick": {"flights": 2, "conditions": ["calm"]},
    "changes": {},
    "policies": {"pilot": ["pilot"], "twins": ["pilot", "pilot"]},
    "conditions": {
        "windy": {
            "description": "As it is.",
            "world": "target_approach",
            "changes": {},
            "along": [{"quantity": WIND, "value": 2.0}, {"quantity": "images, Hz", "value": 25}],
        },
        "calm": {
            "description": "Still air.",
            "world": "target_approach",
            "changes": {"wind": []},
            "along": [{"quantity": WIND, "value": 0.0}],
            "after": 10.0,
        },
    },
}


@pytest.fixture
def suite(tmp_path):
    path = tmp_path / "suite.yaml"
    path.write_text(yaml.safe_dump(SUITE))
    return load_suite(path)


def rows_of(suite, good):
    """A row a flight; ``good`` says of policy, training, condition and seed what came of it."""
    rows = []
    for cell in suite.cells:
        for seed in suite.seeds:
            reason, error = good(cell, seed)
            rows.append(
                {
                    **dict.fromkeys(cell.metrics),
                    "cell": cell.key,
                    "policy": cell.policy,
                    "training": cell.training,
                    "condition": cell.condition,
                    "seed": seed,
                    "crashed": bool(reason),
                    "crash_reason": reason,
                    "rmse_m": error,
                    "max_error_m": error,
                    "path_length_m": 10.0,
                    "duration_s": 20.0,
                    "error_mm": [1, 2],
                    "mode_time_s": {"policy": 20.0},
                }
            )
    return rows


def some_fail(cell, seed):
    """In wind flight 7 hits a tree, 8 stays 0.7 m away, beyond the limit of 0.6."""
    if cell.condition == "windy" and seed in (7, 8):
        return ("hit an obstacle", 0.1) if seed == 7 else ("", 0.7)
    return "", 0.3


def test_success_is_meeting_the_limits_of_the_world(suite):
    summary = Summary(suite, rows_of(suite, some_fail))
    assert summary.success("pilot", "windy") == rate_interval(2, 4)
    assert summary.success("pilot", "calm") == rate_interval(4, 4)
    assert summary.success("twins", "windy").mean == 0.5
    results = summary.to_dict()
    assert results["success"]["windy"]["pilot"]["mean"] == 0.5
    assert results["collisions"]["windy"] == {"pilot": 1, "twins": 2}
    assert results["collisions"]["calm"] == {"pilot": 0, "twins": 0}
    assert results["departures_per_km"]["windy"]["pilot"] == pytest.approx(25.0)
    json.dumps(results, allow_nan=False)


def test_of_several_trainings_the_interval_knows_their_spread(suite):
    """Two that always and never succeed say less than eight flights of one would."""
    summary = Summary(
        suite,
        rows_of(suite, lambda cell, seed: ("", 0.9 if cell.training and seed < 11 else 0.1)),
    )
    found, flights = summary.success("twins", "calm"), rate_interval(4, 8)
    assert found.mean == 0.5 == flights.mean
    assert found.high - found.low > flights.high - flights.low


def test_curves_are_in_order_of_their_values(suite, tmp_path):
    summary = Summary(suite, rows_of(suite, some_fail))
    wind = summary.curves()[WIND]["pilot"]
    assert [(value, found.mean) for value, found in wind] == [(0.0, 1.0), (2.0, 0.5)]
    assert [value for value, _ in summary.curves()["images, Hz"]["twins"]] == [25]
    files = {path.name for path in write_results(summary, tmp_path)}
    assert "curves.png" in files
    assert (tmp_path / "curves.png").stat().st_size > 5000


def test_a_condition_may_count_errors_from_another_time(suite):
    after = {cell.condition: cell.setting.after for cell in suite.cells}
    assert after == {"windy": 17.0, "calm": 10.0}
    settled = {c.condition: c.setting.scenario.success.settle_time for c in suite.cells}
    assert settled == after


def test_they_are_told_first(suite, tmp_path):
    summary = Summary(suite, rows_of(suite, some_fail))
    text = markdown(summary)
    assert text.index("## Success") < text.index("## Position error")
    assert "| windy | As it is. | 50.0 [" in text
    assert "1 of 4 crashed" in text
    page = write_suite_report(summary, tmp_path, film=False).read_text(encoding="utf-8")
    assert page.index(">Success<") < page.index("Position error, RMSE")
