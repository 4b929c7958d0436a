"""Runs found in folders: what is listed of them, and the curves that are laid over each other."""

import json
import os
from dataclasses import replace

import numpy as np
import pytest

from liquid_control.config import ConfigError, share_dir
from liquid_control.evaluation.columns import position_error
from liquid_control.evaluation.metrics import flight_metrics
from liquid_control.evaluation.runs.find import find_runs
from liquid_control.evaluation.runs.flights import keep_flight
from liquid_control.evaluation.runs.page import write_runs
from liquid_control.evaluation.runs.record import FLIGHT, TRAINING, read_record, write_record
from liquid_control.evaluation.runs.run import thinned
from liquid_control.evaluation.views.training_curves import training_curve
from liquid_control.structs import CommandKind, Layout, Slot

POLICIES = share_dir() / "config" / "policies"


def keep(folder, log, *, after=3.0, passed=True):
    folder.mkdir(parents=True)
    keep_flight(folder, log, flight_metrics(log, after=after), passed=passed, after=after)
    return folder


def keep_training(folder, rows, **facts):
    folder.mkdir(parents=True)
    (folder / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    known = {"name": "mine", "config": {"method": "gradient", "vehicle": "crazyflie", "seed": 7}}
    write_record(folder, TRAINING, {**known, "done": False, "updates": 900, **facts})
    return folder


def made_up_rows(count=300, factor=1.0):
    for k in range(1, count + 1):
        yield {
            "update": 10 * k,
            "seconds": 0.5 * k * factor,
            "loss": factor * 3 / k,
            "rmse_m": None if k == 1 else factor / k,
            "learning_rate": 0.01 * (1 - k / count),
            "env_steps_per_s": 1000.0 * factor,
            "rollbacks": 0,
        }


def course(run, title):
    (curve,) = (curve for curve in run.curves if curve.title == title)
    return curve


def test_a_flight_is_listed_with_what_came_of_it(tmp_path, log):
    folder = keep(tmp_path / "a" / "b", log, passed=False)
    (folder / "report.html").write_text("x")
    (run,), problems = find_runs(tmp_path)
    assert not problems
    assert (run.kind, run.name, run.verdict) == ("flight", "a/b", False)
    assert (run.policy, run.setting, run.vehicle) == ("hover_liquid", "figure8_gusts", "crazyflie")
    assert (run.seed, run.seconds) == (3, 8.0)
    assert run.error_m == flight_metrics(log, after=3.0).rmse_m
    assert run.files == {"report": folder / "report.html", "log": folder / "flight.npz"}
    assert run.date.endswith(" UTC")


def test_the_curves_of_a_flight_are_its_columns(tmp_path, log):
    keep(tmp_path / "a", log)
    (run,), _ = find_runs(tmp_path)
    time = run.axes["time, s"]
    assert 400 < len(time) <= 601
    rows = np.searchsorted(log.time, time)
    for title, values in (
        ("position error, cm", 100 * position_error(log)),
        ("up, m", log.truth.pos_world[:, 2]),
        ("thrust / mass, m/s²", log.command[:, 0]),
        ("body rates, pitch, rad/s", log.command[:, 2]),
        ("wind, north, m/s", log.wind_world[:, 1]),
    ):
        np.testing.assert_array_equal(course(run, title).values, values[rows])
    np.testing.assert_array_equal(course(run, "east, m").target, log.setpoint_pos_world[rows, 0])
    assert [curve.group for curve in run.curves] == (
        ["error"] + 3 * ["position"] + 4 * ["command"] + 3 * ["wind"]
    )


def test_a_real_flight_has_no_wind(tmp_path, real_log):
    real_log.save(tmp_path / "flight.npz")
    (run,), _ = find_runs(tmp_path)
    assert {curve.group for curve in run.curves} == {"error", "position", "command"}
    assert (run.name, run.verdict, run.seed) == (tmp_path.name, None, None)
    assert run.error_m == flight_metrics(real_log, after=3.0).rmse_m


def test_a_flight_of_a_vehicle_of_ones_own_is_read_without_it(tmp_path, log):
    slots = (Slot("speed", 1, "m/s", "body"), Slot("turn_rate", 1, "rad/s", "body"))
    kind = CommandKind("test_nobody_knows", Layout(slots), neutral=(0.0, 0.0))
    keep(tmp_path / "a", replace(log, kind=kind, command=log.command[:, :2]))
    (run,), problems = find_runs(tmp_path)
    assert not problems
    titles = [curve.title for curve in run.curves if curve.group == "command"]
    assert titles == ["speed, m/s", "turn rate, rad/s"]


def test_a_recording_is_read_where_no_log_was_kept(tmp_path, log, monkeypatch):
    (tmp_path / "flight.mcap").write_text("x")
    monkeypatch.setattr("liquid_control.evaluation.recording.read_flight", lambda path, kind: log)
    (run,), _ = find_runs(tmp_path)
    assert run.policy == log.policy
    assert set(run.files) == {"recording"}


@pytest.mark.parametrize("count", [1, 599, 600, 601, 12345])
def test_thinning_keeps_ends_and_peaks(count, rng):
    values = rng.normal(size=count)
    values[rng.random(count) < 0.1] = np.nan
    peak = rng.integers(count)
    values[peak] = 9.0
    rows = thinned(values)
    assert len(rows) <= 601
    assert (np.diff(rows) > 0).all()
    assert {0, peak, count - 1} <= set(rows.tolist())
    assert np.diff(rows).max(initial=0) <= 2 * max(count / 300, 1)


def test_a_training_under_way_is_listed(tmp_path):
    folder = keep_training(tmp_path / "x", made_up_rows(), update=3000, updates=4000, seconds=99.0)
    (run,), problems = find_runs(tmp_path)
    assert not problems
    assert (run.kind, run.policy, run.setting, run.seed) == ("training", "mine", "gradient", 7)
    assert (run.count, run.planned, run.verdict, run.seconds) == (3000, 4000, False, 99.0)
    assert run.error_m == pytest.approx(np.mean([1 / k for k in range(291, 301)]))
    assert run.files == {"log": folder / "log.jsonl"}


def test_the_curves_of_a_training_are_its_log_averaged(tmp_path):
    rows = list(made_up_rows(2000))
    keep_training(tmp_path / "x", rows)
    (run,), _ = find_runs(tmp_path)
    update, time = (run.axes[title] for title in ("update", "training time, s"))
    assert len(update) <= 600
    assert update[-1] == 20000
    np.testing.assert_allclose(time, update / 20)
    loss = course(run, "loss")
    index = (update / 10).astype(int)
    np.testing.assert_allclose(loss.raw, 3 / index)
    means = [np.mean([3 / k for k in range(max(1, i - 9), i + 1)]) for i in index]
    np.testing.assert_allclose(loss.values, means)
    error = course(run, "error in training, cm").values
    assert error[-1] == pytest.approx(100 * np.mean([1 / k for k in range(1991, 2001)]))


def test_the_held_out_error_is_joined_by_lines_and_stands_for_the_run(tmp_path):
    rows = [dict(row, held_out_m=None) for row in made_up_rows(2000)]
    rows[499]["held_out_m"], rows[999]["held_out_m"] = 0.5, 0.25
    keep_training(tmp_path / "x", rows)
    (run,), _ = find_runs(tmp_path)
    update, error = run.axes["update"], course(run, "error in held-out episodes, cm").values
    wanted = np.interp(update, [5000, 10000], [50.0, 25.0], left=np.nan)
    np.testing.assert_allclose(error, wanted)
    assert run.error_m == 0.25


def test_a_damaged_record_is_named_and_not_the_log_that_is_missing(tmp_path):
    (tmp_path / "training.json").write_text("{")
    runs, (problem,) = find_runs(tmp_path)
    assert not runs
    assert problem.startswith(f"{tmp_path / 'training.json'}: no JSON")


def test_the_first_rows_without_an_error_have_none(tmp_path):
    keep_training(tmp_path / "x", made_up_rows(20))
    (run,), _ = find_runs(tmp_path)
    error = course(run, "error in training, cm").values
    assert np.isnan(error[0])
    np.testing.assert_allclose(error[1:3], [100 / 2, 100 * (1 / 2 + 1 / 3) / 2])


def test_logs_beside_the_shipped_policies_are_runs():
    runs, problems = find_runs(POLICIES)
    assert not problems
    by_name = {run.name: run for run in runs}
    run = by_name["policies/hover_liquid"]
    _, curve = training_curve(POLICIES / "hover_liquid.onnx")
    assert run.error_m == pytest.approx(curve[-1])
    assert run.verdict is True
    assert run.vehicle == "crazyflie"
    assert run.files["policy"] == POLICIES / "hover_liquid.onnx"


def test_what_cannot_be_read_is_named_and_the_rest_is_found(tmp_path, log):
    keep(tmp_path / "good", log)
    wrong = {
        "cut/flight.npz": (tmp_path / "good" / "flight.npz").read_bytes()[:3000],
        "foreign/log.jsonl": b'{"epoch": 1}\n',
        "empty/log.jsonl": b"",
        "text/log.jsonl": b'{"update": "x", "seconds": 1, "loss": 1, "rmse_m": null}\n',
        "binary/log.jsonl": b"\xff\xfe\x00",
        "list/training.json": b"[1]",
        "newer/flight.json": b'{"kind": "flight", "schema": 99}',
        "suite/results.json": b"{",
    }
    for name, content in wrong.items():
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_bytes(content)
    (tmp_path / "list" / "log.jsonl").write_text(json.dumps(next(made_up_rows())))
    (tmp_path / "bench").mkdir()
    (tmp_path / "bench" / "results.json").write_text('{"speed": 3}')
    runs, problems = find_runs(tmp_path)
    assert [run.name for run in runs] == ["good"]
    assert len(problems) == len(wrong)
    for name in wrong:
        assert sum(problem.startswith(f"{tmp_path / name}: ") for problem in problems) == 1, name
    assert all("\n" not in problem for problem in problems)


def test_hidden_folders_and_links_to_folders_are_left_alone(tmp_path, log):
    keep(tmp_path / "seen", log)
    keep(tmp_path / ".hidden" / "a", log)
    os.symlink(tmp_path, tmp_path / "seen" / "loop")
    runs, problems = find_runs(tmp_path)
    assert [run.name for run in runs] == ["seen"]
    assert not problems


def test_a_record_appears_whole_or_not_at_all(tmp_path):
    write_record(tmp_path, TRAINING, {"update": 1})
    with pytest.raises(ValueError, match="JSON"):
        write_record(tmp_path, TRAINING, {"update": float("nan")})
    assert read_record(tmp_path, TRAINING)["update"] == 1
    assert read_record(tmp_path, FLIGHT) == {}
    assert [path.name for path in tmp_path.iterdir()] == ["training.json"]


def test_another_page_is_not_written_over(tmp_path, log):
    keep(tmp_path / "a", log)
    runs, _ = find_runs(tmp_path)
    page = tmp_path / "index.html"
    page.write_text("<!doctype html><title>My own</title>")
    with pytest.raises(ConfigError, match=r"index\.html: is no list of runs"):
        write_runs(page, tmp_path, runs)
    assert "My own" in page.read_text()
    page.unlink()
    write_runs(page, tmp_path, runs)
    write_runs(page, tmp_path, runs)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "index.html"]


def test_names_of_folders_are_text_and_links_lead_to_their_files(tmp_path, log):
    from html.parser import HTMLParser
    from urllib.parse import unquote

    folder = keep(tmp_path / "<b>&\"'# 1?", log)
    (folder / "report.html").write_text("x")
    page = write_runs(tmp_path / "pages" / "list.html", tmp_path, find_runs(tmp_path)[0])
    links = []

    class Links(HTMLParser):
        def handle_starttag(self, tag, attributes):
            assert tag != "b"
            links.extend(value for key, value in attributes if key == "href")

    Links().feed(page.read_text(encoding="utf-8"))
    found = {(page.parent / unquote(link)).resolve() for link in links}
    assert found == {folder / "report.html", folder / "flight.npz"}
