"""All that is measured of the simulator, and the files of it."""

from __future__ import annotations

import json
import os
import platform
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from liquid_control.bench.simulation.camera import measure_camera
from liquid_control.bench.simulation.peers import measure_peers
from liquid_control.bench.simulation.world import measure_world
from liquid_control.preflight import output_folder, require_packages
from liquid_control.sim.compiled import kernel_kind

BATCH = 4096
TURNS, QUICK_TURNS = 31, 9


def measure_simulation(out: Path | None = None, *, quick: bool = False) -> dict[str, Any]:
    """Measure; with ``out`` also write ``sim.json`` and, unless quick, ``cost.png``."""
    if out is not None:
        require_packages("matplotlib")
        output_folder(out)
    turns = QUICK_TURNS if quick else TURNS
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
        from liquid_control.bench import batched

        result |= batched.measure_batched(BATCH, turns)
        if out is not None and not quick:
            cost = batched.measure_cost()
    if out is not None:
        _save(out, result, cost)
    return result


def _save(folder: Path, result: dict[str, Any], cost: dict[str, Any]) -> None:
    (folder / "sim.json").write_text(json.dumps({**result, "cost": cost}, indent=2) + "\n")
    if cost:
        from liquid_control.evaluation.views.wind import cost_figure

        cost_figure(cost).savefig(folder / "cost.png", dpi=150)
