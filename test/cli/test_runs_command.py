"""The page of runs by command: what flew and trained is in it, and nothing of others is lost."""

import json

from liquid_control.cli.exits import BAD_INPUT, DONE
from liquid_control.cli.program import main


def test_what_was_flown_is_listed(tmp_path, capsys):
    fly = ["fly", "--no-ros", "--world", "hover_gusts", "--duration", "3.5", "--json"]
    for seed in ("1", "2"):
        main([*fly, "--seed", seed, "--out", str(tmp_path / "flights" / seed)])
    flown = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "log.jsonl").write_text("{}\n")
    assert main(["runs", str(tmp_path), "--json"]) == DONE
    output = capsys.readouterr()
    told = json.loads(output.out)
    assert told["page"] == str(tmp_path / "index.html")
    runs = {run["name"]: run for run in told["runs"]}
    for result, seed in zip(flown, (1, 2), strict=True):
        run = runs[f"flights/{seed}"]
        assert (run["seed"], run["verdict"]) == (seed, result["passed"])
        assert run["error_m"] == result["rmse_m"]
        assert {"report", "picture", "log"} <= set(run["files"])
        assert str(tmp_path / "flights" / str(seed) / "flight.npz") in result["files"]
    (problem,) = told["problems"]
    assert output.err == f"{problem}\n"
    assert problem.startswith(str(tmp_path / "broken" / "log.jsonl"))
    text = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert 'href="flights/1/report.html"' in text
    assert main(["runs", str(tmp_path)]) == DONE
    shown = capsys.readouterr().out
    assert shown == f"{tmp_path / 'index.html'}: 2 flights, 1 not read\n"


def test_the_page_may_stand_elsewhere(tmp_path, capsys):
    (tmp_path / "x").mkdir()
    row = {"update": 10, "seconds": 1.0, "loss": 1.0, "rmse_m": None}
    (tmp_path / "x" / "log.jsonl").write_text(json.dumps(row) + "\n")
    page = tmp_path / "new" / "mine.html"
    assert main(["runs", str(tmp_path / "x"), "--out", str(page)]) == DONE
    assert capsys.readouterr().out == f"{page}: 1 training\n"
    assert 'href="../x/log.jsonl"' in page.read_text(encoding="utf-8")


def test_a_page_of_somebody_else_is_refused(tmp_path, capsys):
    (tmp_path / "index.html").write_text("<h1>precious</h1>")
    assert main(["runs", str(tmp_path)]) == BAD_INPUT
    assert "index.html: is no list of runs and would be lost" in capsys.readouterr().err
    assert (tmp_path / "index.html").read_text() == "<h1>precious</h1>"


def test_a_folder_without_runs_leaves_no_page(tmp_path, capsys):
    (tmp_path / "notes.txt").write_text("x")
    assert main(["runs", str(tmp_path)]) == BAD_INPUT
    output = capsys.readouterr()
    assert (output.out, output.err.count("\n")) == ("", 1)
    assert "holds no run; expected what fly --out or train --out leaves" in output.err
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
