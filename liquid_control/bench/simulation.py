"""``liquid-control bench sim``: how fast the world is, against PyBullet alone and other simulators.

Everything runs on one core. World and floor are timed in turns within the same seconds, so that
a busy machine slows both, and the fraction is the median over the turns. The floor is a PyBullet
loop that applies four forces to the same body and reads its state each step.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pybullet

from liquid_control.bench.timing import in_turns, seconds
from liquid_control.config import find_file, load_yaml
from liquid_control.preflight import output_folder, require_packages
from liquid_control.sim.compiled import kernel_kind
from liquid_control.sim.scenario import CameraConfig, load_world
from liquid_control.sim.sensors.camera import Camera
from liquid_control.sim.world import World
from liquid_control.structs import GRAVITY, RATES_THRUST
from liquid_control.vehicles.catalogue import load_vehicle

WORLD = "hover_gusts"
ALTITUDE = 900.0  # m; nobody controls the vehicle here, so it needs room
BATCH = 4096


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.epilog = "rotorpy (extra test) and PyFlyt (in no extra) are timed where installed."
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    parser.add_argument(
        "--out", type=Path, help="folder for sim.json and cost.png; default: nothing is kept"
    )
    parser.add_argument("--quick", action="store_true", help="fewer turns, no plot: about 1 minute")


def run(options: argparse.Namespace) -> int:
    """Measure and show; returns the exit status."""
    if options.out is not None:
        require_packages("matplotlib")
        output_folder(options.out)
    turns = 9 if options.quick else 31
    result: dict[str, Any] = {
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "kernel": kernel_kind(),
        **measure_world(turns),
        **measure_camera(turns),
        **measure_peers(),
    }
    cost = {}
    if find_spec("torch") is None:
        result |= {"batched_steps_per_s": None, "batched_grad_steps_per_s": None}
    else:
        from liquid_control.bench.batched import measure_batched, measure_cost

        result |= measure_batched(BATCH, turns)
        if options.out is not None and not options.quick:
            cost = measure_cost()
    if options.out is not None:
        _save(options.out, result, cost)
    if options.json:
        print(json.dumps(result, allow_nan=False))
    else:
        for key, value in result.items():
            shown = f"{value:,.3g}" if isinstance(value, float) and value < 100 else value
            print(f"{key:28} {shown:,.0f}" if isinstance(shown, float) else f"{key:28} {shown}")
    return 0


def _save(folder: Path, result: dict[str, Any], cost: dict[str, Any]) -> None:
    (folder / "sim.json").write_text(json.dumps({**result, "cost": cost}, indent=2) + "\n")
    if cost:
        from liquid_control.evaluation.views.wind import cost_figure

        cost_figure(cost).savefig(folder / "cost.png", dpi=150)


def measure_world(turns: int) -> dict[str, Any]:
    """The world with motors, drag, wind and IMU against the bare loop."""
    scenario = load_world(WORLD)
    start = scenario.start.model_copy(update={"pos": (0.0, 0.0, ALTITUDE)})
    arena = scenario.arena.model_copy(update={"max_distance": 1e6})
    scenario = scenario.model_copy(update={"start": start, "arena": arena})
    vehicle = load_vehicle(scenario.vehicle)
    command = RATES_THRUST.command(*RATES_THRUST.neutral)
    with World(scenario, vehicle, seed=0) as world, _Floor(vehicle) as floor:
        for _ in range(50):
            world.step(command)
        table = in_turns([floor.step, lambda: world.step(command)], 500, turns)
    table[:, 1] /= scenario.substeps
    return {
        "floor_steps_per_s": float(1 / median(table[:, 0])),
        "world_steps_per_s": float(1 / median(table[:, 1])),
        "world_fraction_of_floor": float(median(table[:, 0] / table[:, 1])),
    }


class _Floor:
    """Four forces, a step and the state, in PyBullet alone."""

    def __init__(self, vehicle):
        self._client = client = pybullet.connect(pybullet.DIRECT)
        pybullet.setGravity(0, 0, -GRAVITY, physicsClientId=client)
        pybullet.setTimeStep(1 / 500, physicsClientId=client)
        half = [size / 2 for size in vehicle.collision_size]
        shape = pybullet.createCollisionShape(
            pybullet.GEOM_BOX, halfExtents=half, physicsClientId=client
        )
        self._body = pybullet.createMultiBody(
            vehicle.mass, shape, basePosition=[0, 0, 1], physicsClientId=client
        )
        pybullet.changeDynamics(
            self._body, -1, linearDamping=0, angularDamping=0, physicsClientId=client
        )
        self._force = [0, 0, vehicle.mass * GRAVITY / 4]
        self._positions = [list(position) for position in vehicle.rotor_positions]

    def __enter__(self) -> _Floor:
        return self

    def __exit__(self, *_) -> None:
        pybullet.disconnect(physicsClientId=self._client)

    def step(self) -> None:
        client, body, force = self._client, self._body, self._force
        for position in self._positions:
            pybullet.applyExternalForce(
                body, -1, force, position, pybullet.LINK_FRAME, physicsClientId=client
            )
        pybullet.stepSimulation(physicsClientId=client)
        pybullet.getBasePositionAndOrientation(body, physicsClientId=client)
        pybullet.getBaseVelocity(body, physicsClientId=client)


def measure_camera(turns: int) -> dict[str, Any]:
    """A 64×48 image with fog and noise against the renderer's own time for the same view."""
    config = load_yaml(find_file("camera_64x48", "sim_worlds/sensors"), CameraConfig)
    camera = Camera(config, (), np.random.default_rng(0))
    pose = (np.array([0.0, 0.0, 1.0]), np.array([0.0, 0.0, 0.0, 1.0]), np.zeros(3), np.zeros(3))
    view = camera.view(*pose[:2])
    functions = [lambda: camera.draw_only(view), lambda: camera.image(*pose)]
    table = in_turns(functions, 20, turns)
    camera.close()
    return {
        "camera_frames_per_s": float(1 / median(table[:, 1])),
        "camera_overhead": float(median(table[:, 1] / table[:, 0])),
    }


@contextmanager
def _stdout_to_stderr() -> Iterator[None]:
    """Also of C code, so below Python's own stream."""
    sys.stdout.flush()
    stdout = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(stdout, 1)
        os.close(stdout)


def measure_peers() -> dict[str, Any]:
    """Physics steps per second of other simulators of quadrotors, where installed."""
    result = {}
    if find_spec("rotorpy") is not None:
        from rotorpy.vehicles.hummingbird_params import quad_params
        from rotorpy.vehicles.multirotor import Multirotor

        vehicle = Multirotor(quad_params)
        state = dict(vehicle.initial_state, rotor_speeds=np.full(4, 469.0))
        control = {"cmd_motor_speeds": np.full(4, 469.0)}
        result["rotorpy_steps_per_s"] = 1 / seconds(
            lambda: vehicle.step(state, control, 0.002), 300
        )
    if find_spec("PyFlyt") is not None:
        from PyFlyt.core import Aviary

        with _stdout_to_stderr():  # Aviary prints, and --json promises one object
            aviary = Aviary(np.array([[0.0, 0.0, 9.0]]), np.zeros((1, 3)), drone_type="quadx")
        aviary.step()  # compiles
        steps = aviary.updates_per_step
        result["pyflyt_steps_per_s"] = steps / seconds(aviary.step, 300)
        aviary.disconnect()
    return result
