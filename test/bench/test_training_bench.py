"""The bench of training: rates and parts of an update, small."""

import json
from pathlib import Path

import pytest

from liquid_control.bench.training import benchmark, command
from liquid_control.config import ConfigError
from liquid_control.training.config import load_training
from liquid_control.training.lanes.build import compiler

FIELDS = json.loads(Path(__file__).with_name("fields.json").read_text())["training"]


class _Dynamics:
    """In place of those that torch takes a minute to compile."""

    def __init__(self, size: int) -> None:
        self.size = size

    def rate(self) -> float:
        return 1e6


@pytest.mark.skipif(compiler() is None, reason="needs a C++ compiler")
def test_json_has_the_names_that_others_read(capsys, parse, monkeypatch):
    changes = {"optimiser.environments": 32, "optimiser.window": 10}
    monkeypatch.setattr(benchmark, "_Dynamics", _Dynamics)
    monkeypatch.setattr(benchmark, "load_training", lambda file: load_training(file, changes))
    assert command.run(parse(command, "--json", "--quick")) == 0
    output = capsys.readouterr().out
    assert output.count("\n") == 1
    result = json.loads(output)
    parts = result["update_ms"]
    assert [*result, *(f"update_ms / {name}" for name in parts)] == [
        *(name for name in FIELDS if "/" not in name),
        *(name for name in FIELDS if "/" in name),
    ]
    assert (result["compiled"], result["batch"], result["window"]) == ("lanes", 32, 10)
    assert result["fraction_of_dynamics"] == pytest.approx(result["env_steps_per_s"] / 1e6)
    assert min(parts.values()) > 0
    assert sum(parts.values()) == pytest.approx(2 * parts["all"])


def test_another_method_is_refused(parse):
    with pytest.raises(ConfigError, match="'imitation', expected 'gradient'"):
        command.run(parse(command, "--config", "hover_imitation"))


@pytest.mark.slow
def test_an_update_is_not_far_from_the_dynamics():
    result = benchmark.measure_training("hover_liquid", quick=True)
    assert result["fraction_of_dynamics"] > 0.2
