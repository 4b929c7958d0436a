"""Images per second of the camera against the bare renderer."""

from __future__ import annotations

from statistics import median
from typing import Any

import numpy as np

from liquid_control.bench.timing import in_turns
from liquid_control.config import find_file, load_yaml
from liquid_control.sim.sensors.camera import Camera, CameraConfig


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
