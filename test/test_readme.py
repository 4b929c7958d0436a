"""What the README and the pages repeat stands as it is where it comes from."""

import re
import sys
from pathlib import Path

import numpy as np
import pytest

import liquid_control as lc
from liquid_control.config import share_dir

ROOT = share_dir()
README = (ROOT / "README.md").read_text(encoding="utf-8")
RESULTS = ROOT / "docs" / "results"
FLOWN = ("storm", "comparison", "far", "true_dt", "half", "ablation")
FIGURE = re.compile(r"\d+\.\d+ ± \d+\.\d+")
INTERVAL = re.compile(r"\d+\.\d+\**? \[\d+\.\d+, \d+\.\d+\]")
WALK = re.findall(r"^\d\. \[`(.+?)`\]\((.+?)\)", README, re.MULTILINE)


def cited(text):
    return {figure.replace("*", "") for figure in INTERVAL.findall(text)}


def test_the_page_on_networks_cites_its_results():
    page = (ROOT / "docs" / "networks.md").read_text(encoding="utf-8")
    page = page.split("\nSequence tasks: ")[1].split("\n### Solver and expressivity")[0]
    measured = (RESULTS / "sequences.md").read_text(encoding="utf-8")
    for pattern in (FIGURE, INTERVAL):
        found = set(pattern.findall(page))
        assert len(found) > 10
        assert found <= set(pattern.findall(measured))


@pytest.mark.parametrize("page", ["README.md", "docs/measured.md"])
def test_flight_results_are_those_of_their_pages(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    text = text.split("<!-- results -->")[1].split("<!-- /results -->")[0]
    pages = [RESULTS / f"{name}.md" for name in FLOWN]
    measured = set().union(*(cited(p.read_text(encoding="utf-8")) for p in pages))
    assert len(cited(text)) > 20
    assert cited(text) <= measured


def test_the_readme_is_one_short_read():
    lines = README.splitlines()
    assert len(lines) < 110
    assert len([line for line in lines if line.startswith("!")]) == 1, "one picture"


# The walk of one IMU sample


def test_the_walk_is_at_most_eight_files():
    assert 1 < len(WALK) <= 8
    for name, path in WALK:
        assert path == f"liquid_control/{name}"
        assert (ROOT / path).is_file()


# What the files of the walk call that is no stage of its own: tables, rotations, limits
_HELPERS = {
    "liquid_control/control/stamps.py",
    "liquid_control/frames.py",
    "liquid_control/nodes/inbox.py",
    "liquid_control/structs.py",
    "liquid_control/vehicles/quadrotor/rules.py",
}


class Steps:
    """Which file of the project called which, while it watches."""

    def __enter__(self):
        self.calls = []
        sys.setprofile(self._note)
        return self

    def __exit__(self, *_):
        sys.setprofile(None)

    def _note(self, frame, event, _):
        if event != "call" or frame.f_back is None:
            return
        caller, callee = (self._file(f) for f in (frame.f_back, frame))
        if callee and caller != callee:
            self.calls.append((caller, callee))

    @staticmethod
    def _file(frame):
        path = Path(frame.f_code.co_filename)
        return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT / "liquid_control") else ""


def assert_walk(calls, first, last):
    """The files of the walk from one to another were entered in their order, and never upward."""
    order = [path for _, path in WALK]
    entered = list(dict.fromkeys(callee for _, callee in calls))
    stages = order[order.index(first) : order.index(last) + 1]
    assert [path for path in entered if path in order] == stages
    assert set(entered) - set(order) <= _HELPERS
    for caller, callee in calls:
        if caller in order and callee in order:
            assert order.index(callee) > order.index(caller), f"{caller} -> {callee}"


def test_a_sample_walks_from_the_loop_to_the_policy():
    vehicle = lc.load_vehicle("crazyflie")
    loop = lc.make_loop(lc.load_policy("hover_liquid"), vehicle, lc.make_parameters(vehicle))
    rest, level = np.zeros(3), np.array([0.0, 0.0, 0.0, 1.0])

    def frame(now):
        imu = lc.ImuSample(now, rest, np.array([0.0, 0.0, 9.8]))
        return lc.SensorFrame.at(now, imu, lc.OdometrySample(now, rest, level, rest, rest))

    loop.step(frame(0), None, 0.01)
    newest = frame(10_000_000)
    with Steps() as steps:
        done = loop.step(newest, None, 0.01)
    assert done.mode.value == "policy"
    assert_walk(steps.calls, "liquid_control/control/loop.py", "liquid_control/runtime/policy.py")


def test_a_message_walks_through_the_inputs_and_a_command_out():
    pytest.importorskip("rclpy")
    from liquid_control.nodes import conversions, inputs
    from liquid_control.structs import RATES_THRUST

    message = conversions.imu_to_msg(lc.ImuSample(5, np.zeros(3), np.array([0.0, 0.0, 9.8])))

    class Reader:
        def __init__(self, *messages):
            self.messages = [(m, 0.0) for m in messages]

        def take(self):
            return self.messages.pop() if self.messages else None

    class Box:
        def subscribe(self, kind, topic, qos):
            return Reader(message) if topic == "imu/data" else Reader()

    def refuse(reason):
        raise AssertionError(reason)

    heard = inputs.Inputs(Box(), lc.ControllerParameters(), ("imu", "odometry"), refuse)
    with Steps() as steps:
        frame = heard.take_newest()
    assert frame.imu.sample.stamp == 5
    order = ("liquid_control/nodes/inputs.py", "liquid_control/nodes/conversions.py")
    assert_walk(steps.calls, *order)
    with Steps() as steps:
        conversions.command_to_msg(RATES_THRUST.command(*RATES_THRUST.neutral), 5)
    assert_walk(steps.calls, order[1], order[1])
