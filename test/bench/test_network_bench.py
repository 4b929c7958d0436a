"""The comparison of networks writes what it measured, with the names that others read."""

import json
from pathlib import Path

import pytest
import yaml

from liquid_control.bench.networks import command

FIELDS = json.loads(Path(__file__).with_name("fields.json").read_text())["networks"]


def fields(result: dict, at: str = "") -> list[str]:
    """All keys in order, those of inner mappings behind their own."""
    names = []
    for key, value in result.items():
        names.append(at + key)
        if isinstance(value, dict):
            names += fields(value, f"{at}{key} / ")
    return names


def test_bench_networks_writes_ratios_of_its_own_times(tmp_path, capsys, parse):
    pytest.importorskip("ncps")
    sizes = {
        "units": 14, "motor": 2, "inputs": 4, "batch": 4, "steps": 4, "repeats": 1,
        "step_calls": 400, "scaling_units": [12, 16], "scaling_steps": [2, 4],
        "scaling_batch": [1, 2], "scaling_repeats": 1,
    }  # fmt: skip
    path = tmp_path / "networks.yaml"
    path.write_text(yaml.safe_dump(sizes))
    out = tmp_path / "out"
    assert command.run(parse(command, "--json", "--config", path, "--out", out)) == 0
    result = json.loads(capsys.readouterr().out)
    assert fields({k: v for k, v in result.items() if k != "scaling"}) == FIELDS
    step, train = result["step_us"], result["train_ms"]
    ours = step["policy.onnx, cfc default"]
    assert (result["step_us_p50"], result["step_us_p99"]) == (ours["p50"], ours["p99"])
    assert all(0 < entry["p50"] <= entry["p99"] for entry in step.values())
    assert step["machine: clock"]["p50"] < ours["p50"]
    ratio = step["ncps torch cell"]["p50"] / result["step_us_p50"]
    assert result["step_speedup_vs_ncps"] == pytest.approx(ratio)
    for name, ours, theirs in (
        ("cfc_train_speedup_vs_ncps", "cfc default", "ncps CfC"),
        ("cfc_train_speedup_vs_lstm", "cfc default", "nn.LSTM, stored"),
        ("cfc_train_speedup_vs_lstm_active", "cfc default", "nn.LSTM, active"),
        ("ltc_train_speedup_vs_ncps", "ltc", "ncps LTC"),
    ):
        assert result[name] == pytest.approx(train[theirs] / train[ours])
    assert [value for value, _ in result["scaling"]["units"]["cfc default"]] == [12, 16]
    report = (out / "networks.md").read_text()
    assert f"`liquid-control bench networks --config {path} --out {out}`" in report
    assert "| ncps torch cell |" in report
    assert "| neurons | 12 | 16 |" in report
    assert "(networks.png)" in report
    assert (out / "networks.png").stat().st_size > 1000


def test_report_names_the_command_that_was_run(parse):
    options = parse(command, "--quick")
    assert command.command_line(options) == "liquid-control bench networks --quick"
