"""The registry: every benchmark is a module that a command can be made of, light to import."""

import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from liquid_control import bench
from liquid_control.bench.registry import BENCHMARKS


@pytest.mark.parametrize("name", BENCHMARKS)
def test_a_benchmark_describes_itself(name):
    command = import_module(BENCHMARKS[name])
    assert command.__doc__.startswith(f"Bench {name}: ")
    assert callable(command.add_arguments)
    assert callable(command.run)


def test_every_command_is_registered():
    files = Path(bench.__file__).parent.glob("*/command.py")
    found = {f"liquid_control.bench.{path.parent.name}.command" for path in files}
    assert found == set(BENCHMARKS.values())


def test_what_is_measured_is_imported_by_run_alone():
    modules = list(BENCHMARKS.values())
    code = f"""
import sys
from importlib import import_module
for name in {modules}:
    import_module(name)
print(*set(sys.modules) & {{"torch", "pybullet", "onnxruntime", "numpy", "pydantic"}})
"""
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
