"""What users install: the package by colcon and by pip, with the share data found in both."""

import ast
import json
import os
import re
import runpy
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

import liquid_control
from liquid_control.preflight import EXTRAS

ROOT = Path(__file__).parents[1]
NODES = {"controller", "recorder", "simulator"}
FIND = (
    "import liquid_control, liquid_control.config as c; print(liquid_control.__file__); "
    "from liquid_control.vehicles.catalogue import load_vehicle; "
    "print(c.share_dir()); print(load_vehicle('crazyflie').name)"
)


def run(*command, **keywords) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, **keywords)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """The files of the repository without what is built or ignored, in a colcon workspace."""
    target = tmp_path_factory.mktemp("workspace") / "src" / "liquid_control"
    names = ("liquid_control", "config", "sim_worlds", "launch", "resource", "scripts")
    for name in names:
        shutil.copytree(ROOT / name, target / name, ignore=shutil.ignore_patterns("__pycache__"))
    files = ("package.xml", "setup.py", "setup.cfg", "pyproject.toml", "README.md", "LICENSE")
    for name in files:
        shutil.copy(ROOT / name, target / name)
    return target


def share_files(folder: Path) -> set[str]:
    files = {"package.xml"}
    for pattern in ("config/**/*", "sim_worlds/**/*", "launch/*.py"):
        files |= {str(p.relative_to(folder)) for p in folder.glob(pattern) if p.is_file()}
    return files


def environment(**changes) -> dict[str, str]:
    return {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | changes


def setup_arguments(monkeypatch) -> dict:
    """What setup.py says."""
    setup = {}
    monkeypatch.setattr("setuptools.setup", lambda **arguments: setup.update(arguments))
    monkeypatch.chdir(ROOT)
    runpy.run_path("setup.py")
    return setup


@pytest.fixture(scope="module")
def colcon_install(checkout):
    """The install folder of a colcon build."""
    colcon = shutil.which("colcon") or shutil.which("colcon", path=Path(sys.executable).parent)
    if colcon is None:
        pytest.skip("colcon is not installed")
    workspace = checkout.parents[1]
    path = f"{Path(colcon).parent}{os.pathsep}{os.environ['PATH']}"
    keywords = {"cwd": workspace, "env": environment(PATH=path)}
    # A package.xml that does not validate would be listed as (python), without an error.
    assert "(ros.ament_python)" in run(colcon, "list", **keywords)
    run(colcon, "build", **keywords)
    return workspace / "install"


def test_colcon_workspace_holds_executables_share_and_marker(colcon_install):
    prefix = colcon_install / "liquid_control"
    executables = {p.name for p in (prefix / "lib" / "liquid_control").iterdir()}
    assert executables == NODES
    assert all(os.access(prefix / "lib/liquid_control" / name, os.X_OK) for name in NODES)
    share = prefix / "share" / "liquid_control"
    assert share_files(ROOT) <= share_files(share)
    assert (prefix / "share/ament_index/resource_index/packages/liquid_control").is_file()


def test_sourced_colcon_workspace_runs(colcon_install, tmp_path):
    """Console script on the PATH, package and share data from the workspace, nodes start."""
    script = f"""
        source {colcon_install}/setup.bash
        echo "$AMENT_PREFIX_PATH"; which liquid-control
        {sys.executable} -c "{FIND}"
        liquid-control --help > help.txt
    """
    lines = run("bash", "-ec", script, cwd=tmp_path, env=environment()).splitlines()
    prefix = str(colcon_install / "liquid_control")
    assert lines[0].split(":")[0] == prefix
    assert lines[1] == f"{prefix}/bin/liquid-control"
    assert lines[2].startswith(prefix)
    assert lines[3] == f"{prefix}/share/liquid_control"
    assert lines[4] == "crazyflie"


@pytest.mark.ros
def test_node_of_a_sourced_workspace_starts(colcon_install, tmp_path):
    pytest.importorskip("rclpy")
    node = colcon_install / "liquid_control/lib/liquid_control/controller"
    bin_dir = Path(sys.executable).parent
    script = f"""
        source {colcon_install}/setup.bash
        PATH={bin_dir}:$PATH {node} --ros-args -p autostart:=true -p policy:=no_such_policy
    """
    done = subprocess.run(
        ["bash", "-c", script], capture_output=True, text=True, timeout=60, env=environment()
    )
    assert done.returncode == 2
    assert "no such file: no_such_policy" in done.stderr


def test_pip_install_holds_console_script_and_share(checkout, tmp_path):
    """Not editable, into a prefix of its own; needs no network."""
    prefix = tmp_path / "prefix"
    # without --ignore-installed pip would remove the package that is under test
    flags = ("--no-deps", "--no-build-isolation", "--no-index", "--ignore-installed")
    pip = (sys.executable, "-m", "pip", "install", "--quiet", "--no-warn-script-location")
    run(*pip, *flags, "--prefix", prefix, checkout, env=environment())
    (site,) = prefix.glob("lib/python*/site-packages")
    scripts = {p.name for p in (prefix / "bin").iterdir()}
    assert scripts == {"liquid-control"}
    assert {p.name for p in (prefix / "lib/liquid_control").iterdir()} == NODES
    found = environment(PYTHONPATH=str(site))
    lines = run(sys.executable, "-c", FIND, cwd=tmp_path, env=found).splitlines()
    assert lines[0].startswith(str(site))
    assert lines[1] == str(prefix / "share" / "liquid_control")
    assert lines[2] == "crazyflie"
    assert share_files(ROOT) <= share_files(Path(lines[1]))
    run(prefix / "bin" / "liquid-control", "--help", cwd=tmp_path, env=found)


@pytest.fixture(scope="module")
def wheel(checkout, tmp_path_factory):
    """A wheel of the checkout; needs no network."""
    folder = tmp_path_factory.mktemp("wheel")
    flags = ("--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", folder)
    run(sys.executable, "-m", "pip", "wheel", "--quiet", *flags, checkout, env=environment())
    (path,) = folder.glob("*.whl")
    return path


def test_a_wheel_flies_without_the_checkout(wheel, tmp_path):
    """In a fresh environment, which finds what the package needs in that of the tests."""
    venv = tmp_path / "venv"
    run(sys.executable, "-m", "venv", "--without-pip", venv)
    pip = (sys.executable, "-m", "pip", "--python", venv / "bin/python", "install", "--quiet")
    run(*pip, "--no-deps", "--no-index", wheel, env=environment())
    (site,) = venv.glob("lib/python*/site-packages")
    (site / "others.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    keywords = {"cwd": tmp_path, "env": environment()}
    command = venv / "bin/liquid-control"
    code = "import liquid_control; print(liquid_control.__file__)"
    assert run(venv / "bin/python", "-c", code, **keywords).startswith(str(site))
    expected = f"liquid_control {liquid_control.__version__}\n"  # and no commit
    assert run(command, "--version", **keywords) == expected
    worlds = run(command, "worlds", "list", **keywords)
    assert {path.stem for path in (ROOT / "sim_worlds").glob("*.yaml")} <= set(worlds.split())
    fly = ("fly", "--no-ros", "--world", "hover_gusts", "--duration", "4", "--json")
    assert json.loads(run(command, *fly, **keywords))["passed"]
    assert json.loads(run(command, "policy", "hover_19", "--json", **keywords))["neuron_names"]


def test_a_wheel_is_ready_for_an_index(wheel):
    """Metadata by the rules of the index, the readme with links that lead somewhere, and files."""
    from packaging.metadata import Metadata

    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        (path,) = (name for name in names if name.endswith(".dist-info/METADATA"))
        about = Metadata.from_email(archive.read(path), validate=True)
    assert str(about.version) == liquid_control.__version__
    assert about.description_content_type == "text/markdown"
    assert about.description.startswith("# liquid_control\n")
    links = re.findall(r"\]\((.*?)\)", about.description)
    assert len(links) > 5
    assert all(link.startswith(("https://", "#")) for link in links)
    assert {"Documentation", "Source", "Changelog"} <= set(about.project_urls)
    assert about.author
    assert about.maintainer_email
    assert about.keywords
    assert "Typing :: Typed" in about.classifiers
    assert "liquid_control/py.typed" in names
    assert any(re.search(r"dist-info/(licenses/)?LICENSE$", name) for name in names)


def test_a_wheel_passes_twine(wheel):
    pytest.importorskip("twine")
    assert "PASSED" in run(sys.executable, "-m", "twine", "check", "--strict", wheel)


def test_package_xml_is_valid_and_agrees_with_setup(monkeypatch):
    catkin_pkg = pytest.importorskip("catkin_pkg.package")
    package = catkin_pkg.parse_package(ROOT)  # raises where the format is not kept
    assert package.package_format == 3
    assert package.licenses == ["Apache-2.0"]
    setup = setup_arguments(monkeypatch)
    assert package.version == setup["version"] == liquid_control.__version__
    (maintainer,) = package.maintainers
    assert (maintainer.name, maintainer.email) == (setup["maintainer"], setup["maintainer_email"])
    assert [url.url for url in package.urls] == [setup["url"]]


def test_every_ros_package_that_is_imported_is_declared():
    """Messages and clients: in package.xml for rosdep, in setup.py's extra for pip."""
    source = "\n".join(p.read_text() for p in (ROOT / "liquid_control/nodes").glob("*.py"))
    imported = set(re.findall(r"^from (\w+)\.(?:msg|srv) import", source, re.MULTILINE))
    assert imported >= {"sensor_msgs", "nav_msgs", "std_msgs"}
    declared = (ROOT / "package.xml").read_text()
    setup = (ROOT / "setup.py").read_text()
    for name in imported:
        assert f"<exec_depend>{name}</exec_depend>" in declared, name
        assert f'"ros-{name.replace("_", "-")}"' in setup, name


def test_every_other_package_that_is_imported_is_declared(monkeypatch):
    """In setup.py, where a plain install or the extra that the error names brings it."""
    setup = setup_arguments(monkeypatch)
    requirements = {"": setup["install_requires"], **setup["extras_require"]}
    names = {  # where pip's name is another than that of the import
        "yaml": "pyyaml", "PIL": "pillow", "sklearn": "scikit-learn", "rclpy": "ros-kilted-rclpy",
        "mcap_ros2": "mcap-ros2-support", "imageio_ffmpeg": "imageio-ffmpeg",
        "mpl_toolkits": "matplotlib", "annotated_types": "pydantic",
        "pydantic_core": "pydantic", "llvmlite": "numba",
        "foundation_policy": "foundation-policy",
    }  # fmt: skip
    base = dict.fromkeys(("numpy", "yaml", "pydantic", "pydantic_core", "annotated_types"), "")
    parts = {"mpl_toolkits": EXTRAS["matplotlib"], "llvmlite": EXTRAS["numba"]}
    extras = {**base, **EXTRAS, **parts}
    # PyFlyt is timed where somebody has it; torch's exporter imports onnxscript
    assert _imported() - {"PyFlyt"} == set(extras) - {"onnxscript"}
    for package in extras:
        wanted = [re.split(r"[>=\[]", text)[0] for text in requirements[extras[package]]]
        assert names.get(package, package) in wanted, package


def _imported() -> set[str]:
    """Top-level packages that the project imports anywhere, but for those of ROS messages."""
    found = set()
    for path in (ROOT / "liquid_control").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                found.add(node.module.split(".")[0])
    ros = {name for name in found if name.endswith(("_msgs", "_interfaces"))}
    return found - ros - set(sys.stdlib_module_names) - {"liquid_control"}


def test_launch_file_describes_a_flight():
    """Where the launch system is installed; its processes are described, not started."""
    pytest.importorskip("launch_ros")
    import importlib.util

    from launch.events.process import ProcessExited

    from launch import LaunchContext
    from liquid_control.config import ConfigError

    spec = importlib.util.spec_from_file_location("sim", ROOT / "launch/simulation.launch.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    names = {a.name for a in module.generate_launch_description().entities if hasattr(a, "name")}
    assert names >= {"world", "policy", "seed", "lockstep", "record"}

    def start(**changes):
        context = LaunchContext()
        given = {name: default for name, (default, _) in module.ARGUMENTS.items()}
        context.launch_configurations.update({**given, "world": "motor_fault", **changes})
        return module.start_nodes(context)

    entities = start(record="true")
    executables = [e.node_executable for e in entities if hasattr(e, "node_executable")]
    assert executables == ["recorder", "controller", "simulator"]
    for world in ("motor_fault", "lane_keeping", "target_approach"):  # each by its own policy
        assert len([e for e in start(world=world) if hasattr(e, "node_executable")]) == 2
    for wrong in ({"seed": "-1"}, {"record": "perhaps"}, {"world": "no_such_world"}):
        with pytest.raises(ConfigError, match=next(iter(wrong.values()))):
            start(**wrong)

    (controller,) = (e for e in entities if getattr(e, "node_executable", "") == "controller")
    ended = ProcessExited(
        action=controller, name="controller", cmd=[], cwd=None, env=None, pid=1, returncode=2
    )
    handlers = [e.event_handler for e in entities if hasattr(e, "event_handler")]
    assert any(handler.matches(ended) for handler in handlers)
