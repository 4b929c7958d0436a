"""Logs, a policy's metadata, and a browser."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from browser import browser
from made_up import COMMANDS, INTER, MOTOR, made_up_drive, made_up_log, real

from liquid_control.evaluation import metrics
from liquid_control.flight_log import FlightLog
from liquid_control.runtime.artifact import Golden, PolicyMetadata, Wiring, slot_entries
from liquid_control.structs import RATES_THRUST
from liquid_control.vehicles.quadrotor.rules import observer


@pytest.fixture(autouse=True, scope="module")
def shipped_metrics():
    """Only the metrics of the package, whatever other tests have registered."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(metrics, "METRICS", {})
        metrics._register_all()
        yield


@pytest.fixture(scope="session")
def real_log(log) -> FlightLog:
    return real(log)


@pytest.fixture(scope="session")
def make_log():
    return made_up_log


@pytest.fixture(scope="session")
def log() -> FlightLog:
    return made_up_log()


@pytest.fixture(scope="session")
def drive_log() -> FlightLog:
    """Of a car that steers by camera."""
    return made_up_drive()


@pytest.fixture(scope="session")
def metadata() -> PolicyMetadata:
    rng = np.random.default_rng(1)
    observation = observer(("pos_error", "vel_error", "up", "heading", "ang_vel")).layout
    units = INTER + COMMANDS + MOTOR
    inter, command = range(INTER), range(INTER, INTER + COMMANDS)
    motor = range(INTER + COMMANDS, units)

    def synapses(sources, targets, density):
        return [
            (s, t, float(rng.choice([-1, 1]) * rng.uniform(0.01, 2.0)))
            for s in sources
            for t in targets
            if rng.random() < density
        ]

    return PolicyMetadata(
        schema_version=1,
        network="cfc_ncp",
        observation=slot_entries(observation),
        command_kind="rates_thrust",
        command=slot_entries(RATES_THRUST.layout),
        control_period=0.01,
        state_names=[f"x{i}" for i in range(units)],
        neuron_names=list(made_up_log(0.1).neuron_names),
        neuron_index=list(range(units)),
        wiring=Wiring(
            layers={"inter": list(inter), "command": list(command), "motor": list(motor)},
            sensory_synapses=synapses(range(observation.size), inter, 0.4),
            synapses=synapses(inter, command, 0.4)
            + synapses(command, command, 0.2)
            + synapses(command, motor, 0.5),
        ),
        weights=900,
        vehicle="crazyflie",
        training={"config": "gradient", "seed": 0},
        golden=Golden(observation=[], dt=[], command=[], state=[]),
    )


@pytest.fixture
def browse(tmp_path):
    """Loads a page in a real browser: the drawn DOM and what the console complains about.

    The pages' security policy makes every request to a network a complaint.
    """
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("needs chromium to load the page")

    def load(page: Path) -> tuple[str, list[str]]:
        done = subprocess.run(
            [
                *(chromium, "--headless=new", "--no-sandbox", "--disable-dev-shm-usage"),
                *("--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--no-first-run"),
                *("--disable-background-networking", "--disable-component-update"),
                *("--enable-logging=stderr", f"--user-data-dir={tmp_path / 'browser'}"),
                *("--virtual-time-budget=5000", "--window-size=1280,900", "--dump-dom"),
                page.as_uri(),
            ],
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        )
        console = [line for line in done.stderr.splitlines() if ":CONSOLE" in line]
        return done.stdout, [line for line in console if "willReadFrequently" not in line]

    return load


@pytest.fixture(scope="module")
def tab(tmp_path_factory):
    """A tab of a real browser; what its console complains about fails the tests."""
    with browser(tmp_path_factory.mktemp("profile")) as open_tab:
        yield open_tab
        assert not open_tab.errors
