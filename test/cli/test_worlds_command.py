"""Worlds by command: the shipped ones are good, a broken one is named."""

import json

from liquid_control.cli.exits import BAD_INPUT
from liquid_control.cli.program import main
from liquid_control.config import share_dir


def test_a_broken_world_is_named_by_file_key_and_reason(tmp_path, capsys):
    text = (share_dir() / "sim_worlds" / "hover_gusts.yaml").read_text()
    for broken, key in (
        (text.replace("duration:", "controll_rate:"), "controll_rate: unknown key"),
        (text.replace("duration: 15.0 ", "duration: -1 ", 1), "duration"),
        (text.replace("duration: 15.0 ", "duration: .nan ", 1), "duration"),
        (text.replace("rmse_m", "rmse"), "success.limits.rmse: expected a metric, one of "),
        (text.replace("limits: ", "no_crash: true, limits: "), "leave out success.no_crash"),
        (text + "duration: 3.0\n", "'duration' stands twice"),
        (text + "  :\n- broken", "not valid YAML"),
    ):
        path = tmp_path / "hover_gusts.yaml"
        path.write_text(broken)
        assert main(["worlds", "check", str(path)]) == BAD_INPUT
        assert key in capsys.readouterr().err
        assert main(["fly", "--no-ros", "--world", str(path)]) == BAD_INPUT
        error = capsys.readouterr().err
        assert str(path) in error
        assert key in error


def test_the_shipped_worlds_are_good(capsys):
    assert main(["worlds", "check"]) == 0
    assert "0 problems" in capsys.readouterr().out
    assert main(["worlds", "list"]) == 0
    assert "hover_gusts" in capsys.readouterr().out
    assert main(["worlds", "schema"]) == 0
    assert json.loads(capsys.readouterr().out)["$schema"]
    assert main(["worlds", "keys"]) == 0
    assert "| `control_rate` |" in capsys.readouterr().out
