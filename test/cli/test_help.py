"""Help and version: there at once, complete and true."""

import re
import subprocess
import sys

import pytest

import liquid_control
from liquid_control.bench.registry import BENCHMARKS
from liquid_control.cli.program import COMMANDS, main
from liquid_control.runtime.catalogue import make_parameters
from liquid_control.session.flight import fly
from liquid_control.sim.scenario import load_world
from liquid_control.vehicles.catalogue import load_vehicle

HEAVY = ("torch", "pybullet", "rclpy", "onnxruntime", "matplotlib", "pydantic", "numpy", "rich")


def shown(capsys, *arguments) -> str:
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert end.value.code == 0
    return " ".join(capsys.readouterr().out.split())


def test_help_names_the_defaults(capsys):
    for command in (["fly"], ["bench", "sequences"], ["bench", "networks"]):
        with pytest.raises(SystemExit):
            main([*command, "--help"])
    text = capsys.readouterr().out
    for default in ("demo", "that of the vehicle, hover_liquid", "out/sequences", "networks.yaml"):
        assert f"default: {default}" in " ".join(text.split()).replace("config/benchmarks/", "")


@pytest.mark.parametrize(
    ("world", "policy"), [("hover_calm", "hover_liquid"), ("lane_keeping", "lane_liquid")]
)
def test_what_flies_by_default_is_what_the_vehicle_flies(world, policy):
    """As in its nodes."""
    pytest.importorskip("pybullet")
    flown = fly(world, duration=4.0)
    assert flown.metrics.policy == policy
    assert make_parameters(load_vehicle(load_world(world).vehicle)).policy == policy


@pytest.mark.parametrize("arguments", [["--help"], ["fly", "--help"], ["bench", "--help"]])
def test_help_imports_nothing_heavy(arguments):
    code = f"""
import sys
from liquid_control.cli import main
try:
    main({arguments})
except SystemExit:
    pass
print(*set(sys.modules) & set({HEAVY}))
"""
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.endswith("\n\n"), done.stdout.splitlines()[-1]


def test_help_lists_every_command_and_benchmark_with_a_line(capsys):
    text = shown(capsys, "--help")
    for command in COMMANDS:
        name = command.__name__.rpartition(".")[2]
        assert re.search(rf" {name} [a-z]\w+ ", text), name
    text = shown(capsys, "bench", "--help")
    for name in BENCHMARKS:
        assert re.search(rf" {name} [a-z]\w+ ", text), name


@pytest.mark.parametrize("name", BENCHMARKS)
def test_a_benchmark_says_what_it_takes(name, capsys):
    text = shown(capsys, "bench", name, "--help")
    assert text.startswith(f"usage: liquid-control bench {name} ")
    assert "--json one JSON object on stdout" in text


def test_version_is_name_number_and_commit(capsys):
    text = shown(capsys, "--version")
    number = re.escape(liquid_control.__version__)
    assert re.fullmatch(rf"liquid_control {number}( \([0-9a-f]+(-dirty)?\))?", text)
