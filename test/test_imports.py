"""The import table of the design: who may import what, and what flies without what."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "liquid_control"
BASE = {
    "arguments", "config", "extending", "flight_log", "frames", "importing", "kinds", "packing",
    "mistakes", "parameters", "pixels", "preflight", "spelling", "structs", "whole_file", "wire",
    "workers",
}  # fmt: skip
LOOP = BASE | {"control", "vehicles"}
FLYING = LOOP | {"runtime"}
# What a module of each package may import from the project, at any depth of the code.
MAY_IMPORT = {
    **dict.fromkeys(sorted(BASE), BASE),
    "control": BASE | {"control"},
    "vehicles": LOOP,
    "runtime": FLYING,
    "sim": FLYING | {"sim"},
    "nn": BASE | {"nn", "runtime"},
    "training": FLYING | {"sim", "evaluation", "nn", "training"},
    "evaluation": FLYING | {"sim", "evaluation"},
    "nodes": FLYING | {"nodes"},
    "peers": LOOP | {"peers"},
}
EXCEPTIONS = {("nodes/simulator.py", "sim"), ("nodes/world_messages.py", "sim")}
HEAVY = ("torch", "pybullet", "rclpy")
# Heavy packages that importing every module of a package may load.
MAY_LOAD = {
    **dict.fromkeys(sorted(LOOP | FLYING), ()),
    "sim": ("pybullet",),
    "nn": ("torch",),
    "training": ("torch", "pybullet"),
    "evaluation": ("pybullet",),
    "nodes": ("rclpy", "pybullet"),
    "session": ("pybullet",),
    "peers": (),
    "cli": (),
}


def modules(name: str) -> list[Path]:
    """The Python files of a package, or the one of a module."""
    folder = PACKAGE / name
    return sorted(folder.rglob("*.py")) if folder.is_dir() else [PACKAGE / f"{name}.py"]


def imports(path: Path) -> set[str]:
    """Packages and modules of the project that a file imports, also inside of functions."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names = [node.module]
            if node.module == "liquid_control":
                of = [alias.name for alias in node.names if alias.name != "__version__"]
                names = [f"liquid_control.{name}" for name in of]
        parts = [name.split(".") for name in names]
        found |= {p[1] for p in parts if p[0] == "liquid_control" and len(p) > 1}
    return found


@pytest.mark.parametrize("name", MAY_IMPORT)
def test_project_imports_keep_to_the_table(name):
    for path in modules(name):
        relative = str(path.relative_to(PACKAGE))
        allowed = MAY_IMPORT[name] | {to for file, to in EXCEPTIONS if file == relative}
        assert imports(path) <= allowed, relative


def test_rclpy_is_imported_in_nodes_only():
    for path in PACKAGE.rglob("*.py"):
        if "rclpy" in path.read_text() and path.parent.name != "nodes":
            tree = ast.walk(ast.parse(path.read_text()))
            froms = {n.module for n in tree if isinstance(n, ast.ImportFrom)}
            assert not any(name and name.startswith("rclpy") for name in froms), path


@pytest.mark.parametrize("name", MAY_LOAD)
def test_package_loads_with_the_rest_blocked(name):
    """In a process of its own, where importing a package that is not allowed fails."""
    blocked = [package for package in HEAVY if package not in MAY_LOAD[name]]
    for package in MAY_LOAD[name]:
        pytest.importorskip(package)
    names = [
        ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
        for path in modules(name)
        if path.name != "__main__.py"
    ]
    code = f"""
import importlib, sys
for package in {blocked}:
    sys.modules[package] = None
for name in {names}:
    importlib.import_module(name.removesuffix(".__init__"))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_flying_needs_neither_torch_nor_ros():
    """The shipped policy steps with torch, pybullet and rclpy out of reach."""
    code = f"""
import sys
for package in {HEAVY}:
    sys.modules[package] = None
import numpy as np
from liquid_control.vehicles.catalogue import load_vehicle
from liquid_control.runtime.catalogue import make_loop
from liquid_control.vehicles.quadrotor.parameters import QuadrotorParameters
from liquid_control.runtime.policy import load_policy
from liquid_control.structs import ImuSample, OdometrySample, SensorFrame, Setpoint
parameters = QuadrotorParameters()
loop = make_loop(load_policy(parameters.policy), load_vehicle(parameters.vehicle), parameters)
rest, zero = np.array([0, 0, 9.80665]), np.zeros(3)
imu = ImuSample(0, zero, rest)
odometry = OdometrySample(0, zero, np.array([0.0, 0, 0, 1]), zero, zero)
step = loop.step(SensorFrame.at(0, imu, odometry), Setpoint(zero), 0.01)
assert step.mode.value == "policy", step
assert step.command is not None
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def module_imports(path: Path) -> set[str]:
    """Modules of the project that a file imports, also inside of functions, by their full names."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if module_file(name) else node.module for name in names}
    return {name for name in found if name.startswith("liquid_control.") and module_file(name)}


def module_file(name: str) -> Path | None:
    path = PACKAGE.parent.joinpath(*name.split("."))
    for file in (path.with_suffix(".py"), path / "__init__.py"):
        if file.is_file():
            return file
    return None


def test_no_circle_of_imports():
    """Not even one that an import inside of a function opens up."""
    graph = {}
    for path in PACKAGE.rglob("*.py"):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        name = ".".join(parts).removesuffix(".__init__")
        if name != "liquid_control":  # the front door leads to everything
            graph[name] = module_imports(path) - {name}
    done, under_way = set(), []

    def visit(name):
        if name in under_way:
            circle = [*under_way[under_way.index(name) :], name]
            pytest.fail(" -> ".join(circle))
        if name not in done:
            under_way.append(name)
            for other in sorted(graph.get(name, ())):
                visit(other)
            done.add(under_way.pop())

    for name in sorted(graph):
        visit(name)
