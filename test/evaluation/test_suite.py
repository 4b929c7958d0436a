import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import yaml

from liquid_control.cli.program import main
from liquid_control.config import ConfigError, find_file
from liquid_control.evaluation import metrics
from liquid_control.evaluation.metrics import flight_metrics
from liquid_control.evaluation.suite import config
from liquid_control.evaluation.suite.config import load_suite
from liquid_control.evaluation.suite.figures import learning_curves
from liquid_control.evaluation.suite.flights import ROWS_FILE, fly_cell, run_suite
from liquid_control.evaluation.suite.report import write_suite_report
from liquid_control.evaluation.suite.results import markdown, write_results
from liquid_control.evaluation.suite.summary import Summary
from liquid_control.parameters import InputGateParameters
from liquid_control.runtime.catalogue import make_parameters

CALM = {"description": "Still air.", "world": "hover_calm", "changes": {}}
SUITE = {
    "description": "Test.",
    "first_seed": 7,
    "flights": 4,
    "after": 0.5,
    "quick": {"flights": 2, "conditions": ["calm"]},
    "changes": {"duration": 1.5},
    "policies": {"expert": ["geometric"], "twin": ["geometric", "geometric"]},
    "baselines": ["expert"],
    "conditions": {
        "calm": CALM,
        "late": {
            "description": "Odometry 30 ms late, more noise.",
            "world": "hover_gusts",
            "changes": {"odometry": {"delay": 0.03, "position_noise": 0.01}},
            "loop_ticks": [1, 2],
        },
    },
}


def _write(folder, **changes) -> Path:
    path = folder / "suite.yaml"
    path.write_text(yaml.safe_dump({**SUITE, **changes}))
    return path


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A suite that was flown in one go: the suite, its rows and its folder."""
    folder = tmp_path_factory.mktemp("suite")
    suite = load_suite(_write(folder))
    return suite, run_suite(suite, folder), folder


def _figures(rows):
    """Rows without what the clock decides."""
    return [{k: v for k, v in row.items() if not k.startswith("step_us")} for row in rows]


def test_changes_reach_the_world_and_nothing_else(tmp_path):
    cells = {cell.condition: cell for cell in load_suite(_write(tmp_path)).cells}
    calm, late = cells["calm"].setting.scenario, cells["late"].setting.scenario
    assert (late.odometry.delay, late.odometry.position_noise) == (0.03, 0.01)
    assert late.odometry.velocity_noise == calm.odometry.velocity_noise > 0
    assert late.duration == calm.duration == 1.5
    assert len(late.wind) > len(calm.wind) == 0
    assert late.name == "late"


def test_quick_form_and_choices(tmp_path):
    path = _write(tmp_path)
    quick = load_suite(path, quick=True)
    assert (quick.flights, {cell.condition for cell in quick.cells}) == (2, {"calm"})
    chosen = load_suite(path, flights=9, conditions=["late"], policies={"third": ["geometric"]})
    assert (len(chosen.chosen), len(chosen.cells), len(chosen.seeds)) == (4, 8, 9)
    alone = load_suite(path, only=["twin"])
    assert {cell.policy for cell in alone.chosen} == {"twin"}
    assert {cell.policy for cell in alone.cells} == {"expert", "twin"}
    with pytest.raises(ConfigError, match=r"unknown policy \['nobody'\]"):
        load_suite(path, only=["nobody"])
    with pytest.raises(ConfigError, match=r"--policy twin: .* has a policy of that name"):
        load_suite(path, policies={"twin": ["geometric"]})
    for flights in (0, -2):
        with pytest.raises(ConfigError, match=rf"--flights {flights}: expected a whole number"):
            load_suite(path, flights=flights)


def test_every_policy_is_loaded_before_the_first_flight(tmp_path):
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"no policy")
    with pytest.raises(ConfigError, match=r"broken\.onnx: digest check failed"):
        load_suite(_write(tmp_path), policies={"broken": [str(broken)]})


def test_a_policy_that_is_not_to_fly_may_lack_its_file(tmp_path):
    path = _write(tmp_path, policies={**SUITE["policies"], "absent": ["no_such_policy"]})
    with pytest.raises(ConfigError, match="no such file: no_such_policy"):
        load_suite(path)
    assert {cell.policy for cell in load_suite(path, only=["twin"]).cells} == {"expert", "twin"}


def _evaluate(suite: Path, out: Path, *choice: str) -> dict:
    command = ["evaluate", str(suite), "--no-film", "--json", "--out", str(out), *choice]
    assert main([*command, "--flights", "2"]) == 0
    return json.loads((out / "results.json").read_text())


def test_a_choice_leaves_the_results_of_the_rest(tmp_path, capsys):
    """`--only` and `--condition` choose what flies; results are of all that was ever flown."""
    policies = {"expert": ["geometric"], "searched": ["expert_searched"]}
    suite, out = _write(tmp_path, policies=policies), tmp_path / "out"
    first = _evaluate(suite, out, "--only", "searched", "--condition", "late")
    assert list(first["policies"]) == ["searched"]  # of the rest nothing has flown
    assert list(first["metrics"]["rmse_m"]) == ["late"]
    assert first["differences"] == {}
    text = (out / "results.md").read_text()
    assert "Not flown: calm by any policy; anything by expert." in text

    second = _evaluate(suite, out, "--only", "expert")
    assert list(second["policies"]) == ["expert", "searched"]
    assert list(second["metrics"]["rmse_m"]) == ["calm", "late"]
    table = second["metrics"]["rmse_m"]
    assert table["late"]["searched"] == first["metrics"]["rmse_m"]["late"]["searched"]
    assert set(table["calm"]["searched"].values()) == {None}
    assert second["crashes"]["calm"]["searched"]["flights"] == 0
    assert second["differences"]["expert"]["rmse_m"]["late"]["searched"]["mean"] is not None
    text = (out / "results.md").read_text()
    assert "Not flown: calm by searched." in text
    assert "| not flown |" in text
    assert "not flown" in (out / "report.html").read_text()

    whole = _evaluate(suite, out)
    assert "Not flown" not in (out / "results.md").read_text()
    again = _evaluate(suite, out, "--condition", "calm")
    for key in ("policies", "conditions", "crashes", "metrics", "differences"):
        assert again[key] == whole[key], key
    rows = (out / ROWS_FILE).read_text().splitlines()
    assert len(rows) == 2 * 2 * 2  # each was flown once


def test_training_seeds_that_are_missing_make_a_cell_not_flown(finished):
    suite, rows, _ = finished
    kept = [row for row in rows if (row["policy"], row["training"]) != ("twin", 1)]
    summary = Summary(suite, kept)
    assert summary.policies == ["expert"]
    assert summary.not_flown == {"twin": ["calm", "late"]}


def test_a_suite_extends_another_with_its_own_policies(tmp_path):
    for seed in ("1", "2"):
        (tmp_path / seed).mkdir()
        shutil.copy(find_file("hover_liquid", "config/policies"), tmp_path / seed / "policy.onnx")
    base, path = _write(tmp_path), tmp_path / "other.yaml"
    policies = {"net": [f"{tmp_path}/*/policy.onnx"], "expert": ["geometric"]}
    path.write_text(yaml.safe_dump({"extends": str(base), "flights": 9, "policies": policies}))
    suite = load_suite(path)
    assert (suite.flights, suite.config.changes) == (9, SUITE["changes"])
    assert {(cell.policy, cell.training) for cell in suite.cells} == {
        *(("net", 0), ("net", 1), ("expert", 0))
    }


def test_a_suite_takes_some_of_the_conditions_of_another(tmp_path):
    base, path = _write(tmp_path), tmp_path / "other.yaml"
    named = {"extends": str(base), "conditions": {"early": CALM}, "only": ["late", "early"]}
    path.write_text(yaml.safe_dump(named))
    assert list(load_suite(path).config.conditions) == ["late", "early"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"only": ["warm"]}, r"only: unknown condition \['warm'\], expected of \['calm', 'late'\]"),
        ({"baselines": ["nobody"]}, r"unknown baseline \['nobody'\], expected \['expert'"),
        ({"policies": {"a": ["no_such_policy"]}}, "no such file: no_such_policy"),
        ({"policies": {"a": ["none/*/policy.onnx"]}}, r"policy a: no file matches none/\*"),
        ({"extends": "nothing"}, "no such file: nothing"),
        ({"flights": 0}, "flights: .* got 0"),
        ({"limits": {"nobody": {}}}, r"unknown policy with limits \['nobody'\]"),
        ({"limits": {"twin": {"rmse_m": {"warm": 1.0}}}}, r"unknown condition \['warm'\]"),
        ({"limits": {"twin": {"rmse": {"calm": 1.0}}}}, r"unknown metric of a limit \['rmse'\]"),
        (
            {"conditions": {"a": {**CALM, "loop_ticks": [3, 1]}}},
            r"loop_ticks: expected .* \[3, 1\]",
        ),
        ({"changes": {"duration": -1}}, "condition calm: duration"),
        ({"after": 1.5}, r"after: expected less than the 1\.5 s of condition calm, got 1\.5"),
        ({"first_seed": -1}, "first_seed: .* got -1"),
        ({"changes": {"durration": 1}}, "condition calm: durration: unknown key"),
    ],
)
def test_a_broken_suite_is_refused(tmp_path, change, message):
    with pytest.raises(ConfigError, match=message):
        load_suite(_write(tmp_path, **{"baselines": [], **change}))


def test_uneven_rates_skip_steps_as_the_seed_says(finished):
    suite = finished[0]
    cells = {cell.condition: cell for cell in suite.cells}
    steps = {name: np.isfinite(fly_cell(cell, 7).step_us) for name, cell in cells.items()}
    assert steps["calm"].all()
    assert 0.55 < steps["late"].mean() < 0.8
    assert (np.isfinite(fly_cell(cells["late"], 7).step_us) == steps["late"]).all()


def test_the_shipped_suite_resolves_and_knows_its_conditions():
    suite = load_suite("storm")
    assert len({cell.condition for cell in suite.cells}) == len(suite.config.conditions)
    by_name = {cell.condition: cell.setting for cell in suite.cells}
    assert by_name["mass_up_30"].scenario.faults[0].factor == 1.3
    assert by_name["rate_33"].scenario.control_rate == 33
    assert all(cell.setting.scenario.physics_rate >= 400 for cell in suite.cells)


def test_every_cell_flies_the_same_seeds(finished):
    suite, rows, _ = finished
    assert len(rows) == 3 * 2 * 4
    assert {row["seed"] for row in rows} == set(suite.seeds) == {7, 8, 9, 10}
    one = [row for row in rows if row["policy"] == "expert" and row["condition"] == "late"]
    assert len({row["rmse_m"] for row in one}) == 4
    assert all(len(row["error_mm"]) == pytest.approx(1.5 * 5, abs=1) for row in one)


def test_a_flight_can_be_flown_again_from_its_row(finished):
    suite, rows, _ = finished
    cell = next(c for c in suite.cells if c.key == rows[-1]["cell"])
    log = fly_cell(cell, rows[-1]["seed"])
    assert flight_metrics(log, after=0.5).rmse_m == rows[-1]["rmse_m"]


def test_processes_change_nothing(finished, tmp_path):
    suite, rows, _ = finished
    assert _figures(run_suite(suite, tmp_path, jobs=2)) == _figures(rows)


def test_a_run_cut_short_goes_on_where_it_was(finished, tmp_path):
    suite, rows, folder = finished
    lines = (folder / ROWS_FILE).read_text().splitlines(keepends=True)
    (tmp_path / ROWS_FILE).write_text("".join(lines[:5]) + lines[5][:40])
    seen = []
    again = run_suite(suite, tmp_path, on_progress=lambda done, total: seen.append((done, total)))
    # All policies of this suite are one controller, so its cells are flown once for all.
    assert (seen[0], seen[-1]) == ((5, 8), (8, 8))
    assert _figures(again) == _figures(rows)
    kept = (tmp_path / ROWS_FILE).read_text().splitlines(keepends=True)
    assert kept[:5] == lines[:5]
    assert len(kept) == len(lines)


def test_a_changed_condition_is_flown_anew(finished, tmp_path):
    suite = finished[0]
    conditions = json.loads(json.dumps(SUITE["conditions"]))
    conditions["late"]["changes"]["odometry"]["delay"] = 0.0
    changed = load_suite(_write(tmp_path, conditions=conditions))
    keys = {c.condition: c.key for c in suite.cells}, {c.condition: c.key for c in changed.cells}
    assert keys[0]["calm"] == keys[1]["calm"]
    later = load_suite(_write(tmp_path, after=1.0))
    assert not {c.key for c in later.cells} & {c.key for c in suite.cells}
    assert keys[0]["late"] != keys[1]["late"]


def _keys(suite_file: Path) -> set[str]:
    return {cell.key for cell in load_suite(suite_file).cells}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("lockstep", True), ("autostart", True), ("world_frame", "map"), ("body_frame", "body")),
        *(("policy", "hover_19"), ("vehicle", "hummingbird"), ("control_rate", 250.0)),
    ],
)
def test_what_only_a_node_is_told_leaves_the_key_alone(tmp_path, monkeypatch, name, value):
    before = _keys(_write(tmp_path))
    monkeypatch.setattr(
        config,
        "make_parameters",
        lambda vehicle, **values: make_parameters(vehicle, **{name: value, **values}),
    )
    assert _keys(_write(tmp_path)) == before


def test_a_limit_of_the_gate_changes_the_key(tmp_path, monkeypatch):
    before = _keys(_write(tmp_path))
    gate = InputGateParameters(max_odometry_age=0.2)
    monkeypatch.setattr(
        config,
        "make_parameters",
        lambda vehicle, **values: make_parameters(vehicle, **{"input_gate": gate, **values}),
    )
    assert not _keys(_write(tmp_path)) & before


def test_words_and_criteria_leave_the_key_alone(tmp_path):
    conditions = json.loads(json.dumps(SUITE["conditions"]))
    conditions["calm"]["description"] = "No wind at all."
    conditions["calm"]["changes"] = {"success": {"settle_time": 1.0}}
    assert _keys(_write(tmp_path)) == _keys(_write(tmp_path, conditions=conditions))


def test_a_metric_that_workers_lack_is_one_clear_error(tmp_path, monkeypatch):
    monkeypatch.setattr(metrics, "METRICS", dict(metrics.METRICS))
    metrics.register_metric(metrics.Metric("own_m", lambda log, after: 1.0))
    suite = load_suite(_write(tmp_path), quick=True)
    assert run_suite(suite, tmp_path / "here")[0]["own_m"] == 1.0
    with pytest.raises(ConfigError, match="a worker has no metric own_m"):
        run_suite(suite, tmp_path / "there", jobs=2)


def test_the_keys_of_results_and_rows_are_pinned(finished, tmp_path):
    suite, rows, _ = finished
    results = Summary(suite, rows).to_dict()
    assert set(results) == {
        *("description", "flights", "first_seed", "after_s", "statistics", "command"),
        *("provenance", "policies", "conditions", "limits", "crashes", "metrics", "differences"),
        *("training_seeds", "family", "success", "collisions", "departures_per_km", "curves"),
    }
    compared = {
        *("rmse_m", "p95_error_m", "max_error_m", "settle_time_s", "step_time_s"),
        *("upright_time_s", "rate_rms_radps", "rate_variation_radps2", "thrust_variation_mps3"),
    }
    assert set(results["metrics"]) == set(results["differences"]["expert"]) == compared
    assert set(rows[0]) == compared | {
        *("cell", "policy", "training", "condition", "seed", "error_mm", "duration_s"),
        *("control_rate_hz", "crashed", "crash_reason", "thrust_rms_mps2", "step_us_p50"),
        *("step_us_p99", "late_ticks", "mode_time_s"),
    }


def test_foreign_rows_are_refused(finished, tmp_path):
    (tmp_path / ROWS_FILE).write_text('{"no": "flight"}\n')
    with pytest.raises(ConfigError, match="not a file of flights"):
        run_suite(finished[0], tmp_path)


def test_results_are_strict_json_with_intervals_and_differences(finished, tmp_path):
    suite, rows, _ = finished
    summary = Summary(suite, rows)
    files = write_results(summary, tmp_path)
    results = json.loads(files[0].read_text(), parse_constant=lambda name: pytest.fail(name))
    entry = results["metrics"]["rmse_m"]["late"]["twin"]
    assert entry["low"] < entry["mean"] < entry["high"]
    assert results["crashes"]["calm"]["twin"]["flights"] == 8
    # Both are the same controller, so flights pair off exactly.
    difference = results["differences"]["expert"]["rmse_m"]["late"]["twin"]
    zero = {"mean": 0, "low": 0, "high": 0, "p": 1, "p_family": 1, "clear": 0}
    assert difference == pytest.approx(zero, abs=1e-9)
    assert entry["iqm_low"] < entry["iqm"] < entry["iqm_high"]
    lines = files[1].read_text().splitlines()
    assert len(lines) == 1 + 2 * 2 * (len(results["metrics"]) + 1)
    assert f"{100 * entry['mean']:.2f}" in markdown(summary)


def _with_second_policy(rows, factor):
    """The rows, with the error of the policy named twin changed."""
    return [
        {**row, "rmse_m": row["rmse_m"] * factor} if row["policy"] == "twin" else row
        for row in rows
    ]


def test_the_best_is_named_only_where_it_is_clear(finished):
    suite, rows, _ = finished
    assert Summary(suite, rows).best("calm", "rmse_m") is None
    better = Summary(suite, _with_second_policy(rows, 0.5))
    assert better.best("calm", "rmse_m") == "twin"
    assert better.tally("twin", "expert") == (2, 0, 0)
    assert better.tally("expert", "twin") == (0, 2, 0)


def test_limits_are_judged_on_means_and_on_shares(finished, tmp_path):
    limits = {
        "twin": {
            "rmse_m": {"calm": 1.0, "late": 0.0},
            "crash_rate": {"calm": 0.0},
            "unsettled_rate": {"late": 0.2},
        }
    }
    suite = load_suite(_write(tmp_path, limits=limits))
    rows = [dict(row) for row in finished[1]]
    late = [row for row in rows if (row["policy"], row["condition"]) == ("twin", "late")]
    for row, settled in zip(late, [None, None, *[1.0] * 6], strict=True):
        row["settle_time_s"] = settled
    summary = Summary(suite, rows)
    met = {(limit.metric, limit.condition): limit.met for limit in summary.limits()}
    assert met == {
        ("rmse_m", "calm"): True,
        ("rmse_m", "late"): False,
        ("crash_rate", "calm"): True,
        ("unsettled_rate", "late"): False,
    }
    text = markdown(summary)
    assert "| twin | late | crashed or never settled within 10 cm, % | 20 | 25.0 [" in text
    assert text.count("**missed**") == 2
    quick = load_suite(_write(tmp_path, limits=limits), quick=True)
    calm = [row for row in rows if row["condition"] == "calm"]
    assert {limit.condition for limit in Summary(quick, calm).limits()} == {"calm"}


def test_markdown_says_how_it_came_about(finished):
    suite, rows, _ = finished
    text = markdown(Summary(suite, _with_second_policy(rows, 0.5), "liquid-control evaluate x"))
    assert text.startswith("# Test.\n\nCommand: `liquid-control evaluate x`\n\n20")
    for expected in (
        *("| twin | expert | – | 1 |", "against expert", "| twin | 2 / 0 / 0 |", "**"),
        "twin is clearly better than expert in 2 of 2 conditions and clearly worse in 0.",
        "| *interval over* | flights, not trained | 2 training seeds and flights |",
        "## Interquartile mean",
    ):
        assert expected in text
    assert "Training seeds" not in text


def test_crashed_flights_are_counted_not_averaged(finished):
    suite, rows, _ = finished
    rows = [dict(row) for row in rows]
    first = next(row for row in rows if row["policy"] == "twin")
    first.update(crashed=True, rmse_m=99.0)
    summary = Summary(suite, rows)
    assert summary.crashes("twin", "calm") == (1, 8)
    assert summary.mean("twin", "calm", "rmse_m").high < 1


def test_report_of_a_suite(finished, tmp_path):
    suite, rows, _ = finished
    path = write_suite_report(Summary(suite, rows), tmp_path, film=False)
    text = path.read_text(encoding="utf-8")
    for expected in (
        *("Against expert", "<b>0 / 0 / 2</b>", "Worst flight", "late", "Interquartile mean"),
        "twin is clearly better than expert in 0 of 2 conditions and clearly worse in 0.",
        "flights,<br>not trained",
    ):
        assert expected in text
    assert len(text) < 6e6


@pytest.mark.parametrize("log", ["log.jsonl", "policy.jsonl"])
def test_training_logs_beside_artifacts_become_learning_curves(tmp_path, log):
    shutil.copy(find_file("hover_liquid", "config/policies"), tmp_path / "policy.onnx")
    errors = [0.3] * 10 + [0.1, None, 0.1]
    lines = [{"seconds": 10.0 * k, "rmse_m": e, "update": k} for k, e in enumerate(errors, 1)]
    (tmp_path / log).write_text("\n".join(map(json.dumps, lines)))
    policies = {"trained": [str(tmp_path / "policy.onnx")]}
    suite = load_suite(_write(tmp_path, policies=policies, baselines=[]), quick=True)
    summary = Summary(suite, run_suite(suite, tmp_path))
    (curve,) = learning_curves(summary).data
    assert list(curve.x) == [100, 110, 130]
    assert list(curve.y) == pytest.approx([30, 28, 26])  # means of ten rows
    text = write_suite_report(summary, tmp_path, film=False).read_text(encoding="utf-8")
    assert "Error over training time" in text
    assert f"{summary.records('trained')[0]['weights']}</td>" in text
    assert write_results(summary, tmp_path)[-1].name == "training.png"


def test_what_an_earlier_evaluation_left_is_removed(tmp_path):
    suite, out = _write(tmp_path), tmp_path / "out"
    out.mkdir()
    for name in ("worst.mp4", "training.png", "notes.md"):
        (out / name).write_text("earlier")
    command = ["evaluate", str(suite), "--quick", "--no-film", "--json", "--out", str(out)]
    assert main(command) == 0
    assert {path.name for path in out.iterdir()} == {
        *("flights.jsonl", "report.html", "results.json", "results.csv", "results.md", "notes.md")
    }


def test_an_interrupted_command_keeps_its_rows_and_resumes(tmp_path):
    suite = _write(tmp_path, flights=200, changes={"duration": 4.0})
    command = [sys.executable, "-m", "liquid_control.cli", "evaluate", str(suite)]
    command += ["--out", str(tmp_path), "--jobs", "2", "--json"]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(
            signal.SIGINT, signal.SIG_DFL
        ),  # a background job has none
    )
    rows = tmp_path / ROWS_FILE
    deadline = time.monotonic() + 60
    while not (rows.exists() and rows.stat().st_size) and time.monotonic() < deadline:
        time.sleep(0.1)
    os.kill(process.pid, signal.SIGINT)
    out, _ = process.communicate(timeout=30)
    assert process.returncode == 130
    assert not out
    count = len(rows.read_text().splitlines())
    assert 0 < count < 1200
    flown = []
    small = load_suite(_write(tmp_path, flights=10, changes={"duration": 4.0}))
    run_suite(small, tmp_path, on_progress=lambda done, total: flown.append(done))
    assert flown[0] > 0


@pytest.mark.slow
def test_a_real_browser_draws_the_report_of_a_suite(finished, tmp_path, browse):
    suite, rows, _ = finished
    dom, errors = browse(write_suite_report(Summary(suite, rows), tmp_path))
    assert not errors
    figures = dom.count("data-figure=")
    assert f'data-drawn="{figures}"' in dom
    assert dom.count('class="errorbars"') >= 1
    assert "<video" in dom


@pytest.mark.slow
def test_ray_changes_nothing(finished, tmp_path):
    ray = pytest.importorskip("ray", reason="needs liquid_control[ray]")
    suite, rows, _ = finished
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    try:
        assert _figures(run_suite(suite, tmp_path, ray_address="auto")) == _figures(rows)
    finally:
        ray.shutdown()


def test_a_suite_without_baselines_is_reported(finished, tmp_path):
    _, rows, _ = finished
    data = {key: value for key, value in SUITE.items() if key != "baselines"}
    path = tmp_path / "suite.yaml"
    path.write_text(yaml.safe_dump(data))
    summary = Summary(load_suite(path), rows)
    assert summary.baselines == []
    assert "against" not in markdown(summary)
    write_results(summary, tmp_path)
    assert write_suite_report(summary, tmp_path, film=False).is_file()
