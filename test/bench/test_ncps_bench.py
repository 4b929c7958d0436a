"""The drop-in is timed against ncps with the same weights, and the table says what was found."""

import json

import pytest
import yaml

from liquid_control.bench.ncps import command


def test_bench_ncps_tells_times_and_the_difference_of_the_outputs(tmp_path, capsys, parse):
    pytest.importorskip("ncps")
    sizes = {
        "inputs": 3, "units": 6, "wired_units": 9, "motor": 2, "batches": [1, 3], "steps": 4,
        "turns": 1,
    }  # fmt: skip
    path = tmp_path / "ncps.yaml"
    path.write_text(yaml.safe_dump(sizes))
    assert command.run(parse(command, "--json", "--config", path)) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {row["network"] for row in rows} >= {"CfC", "CfC, wired", "LTC, wired"}
    assert {row["batch"] for row in rows} == {1, 3}
    for row in rows:
        assert row["error"] < 5e-6
        for what in ("train_ms", "infer_ms"):
            assert list(row[what]) == ["ncps", "here", "nn.LSTM"]
            assert min(row[what].values()) > 0
    assert command.run(parse(command, "--config", path)) == 0
    assert "| LTC, wired | 3 |" in capsys.readouterr().out
