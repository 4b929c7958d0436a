"""Time of one step, batch 1: a policy as it flies against the torch cell of ncps."""

import gc
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from liquid_control.bench.networks.cells import liquid_cell, ncps_network
from liquid_control.bench.networks.report import NCPS_CELL
from liquid_control.bench.networks.sizes import PERIOD, NetworkSizes
from liquid_control.nn.cells.baselines import Baseline
from liquid_control.nn.cells.cell import Cell
from liquid_control.nn.export import export_policy
from liquid_control.nn.policy import Policy
from liquid_control.runtime.policy import OnnxPolicy
from liquid_control.structs import CommandKind, Layout, Slot

BLOCKS = 20  # of steps, in which the networks take turns


def step_times(sizes: NetworkSizes, calls: int) -> dict:
    """One step, batch 1: µs of the policies as they fly and of the torch cell of ncps.

    Beside them stand what the machine does to anything: reading the clock, and a fixed product in
    NumPy. A step of theirs that takes long was interrupted.
    """
    steps: dict[str, Callable[[], object]] = {NCPS_CELL: _ncps_step(sizes)}
    for mode in ("default", "closed"):
        steps[f"policy.onnx, cfc {mode}"] = _flown_step(liquid_cell(mode, sizes, sizes.units))
    lstm = Baseline("lstm", input_size=sizes.inputs, units=sizes.units, nominal_dt=PERIOD,
                    rng=torch.Generator().manual_seed(0), output_size=sizes.motor)  # fmt: skip
    steps["policy.onnx, lstm"] = _flown_step(lstm)
    steps["machine: clock"] = lambda: None
    steps["machine: NumPy product"] = _numpy_step(sizes)
    elapsed = {name: np.empty((BLOCKS, calls // BLOCKS)) for name in steps}
    gc.disable()  # a collection is not part of a step, and a real-time loop turns it off as well
    try:
        for block in range(BLOCKS):
            for name, step in steps.items():
                for k in range(-20, calls // BLOCKS):
                    start = time.perf_counter_ns()
                    step()
                    stop = time.perf_counter_ns()
                    if k >= 0:
                        elapsed[name][block, k] = (stop - start) / 1e3
    finally:
        gc.enable()
    table = {
        name: {
            "p50": float(np.percentile(values, 50)),
            "p99": float(np.percentile(values, 99)),
            "p99_median_block": float(np.median(np.percentile(values, 99, axis=1))),
        }
        for name, values in elapsed.items()
    }
    ours, theirs = table["policy.onnx, cfc default"], table[NCPS_CELL]
    return {
        "step_us": table,
        "step_us_p50": ours["p50"],
        "step_us_p99": ours["p99"],
        "step_p99_over_p50": ours["p99"] / ours["p50"],
        "step_speedup_vs_ncps": theirs["p50"] / ours["p50"],
    }


def _ncps_step(sizes: NetworkSizes) -> Callable[[], None]:
    cell = ncps_network("cfc", sizes, sizes.units).rnn_cell
    inputs, state = torch.randn(1, sizes.inputs), torch.zeros(1, sizes.units)

    def step() -> None:
        nonlocal state
        with torch.inference_mode():
            _, state = cell(inputs, state, 1.0)

    return step


def _numbers(size: int) -> CommandKind:
    """A kind of command of so many numbers that no vehicle takes."""
    layout = Layout((Slot("command", size, "1", "none"),))
    return CommandKind("benchmark", layout, neutral=(0.0,) * size)


def _flown_step(cell: Cell) -> Callable[[], object]:
    """The step that the control loop calls: an exported file, loaded and checked."""
    policy = Policy(
        cell,
        observation_offset=torch.zeros(cell.input_size),
        observation_scale=torch.ones(cell.input_size),
        command_offset=torch.zeros(cell.output_size),
        command_scale=torch.ones(cell.output_size),
    )
    with tempfile.TemporaryDirectory() as folder:
        artifact = export_policy(
            policy,
            Path(folder) / "policy.onnx",
            observation=Layout((Slot("observation", cell.input_size, "1", "none"),)),
            command=_numbers(cell.output_size),
            control_period=PERIOD,
            network="benchmark",
            vehicle="none",
            training={},
            rng=np.random.default_rng(0),
        )
        flown = OnnxPolicy(artifact)
    observation = np.random.default_rng(0).standard_normal(cell.input_size)
    return lambda: flown.step(observation, PERIOD)


def _numpy_step(sizes: NetworkSizes) -> Callable[[], object]:
    rng = np.random.default_rng(0)
    a = rng.standard_normal((1, sizes.inputs + sizes.units)).astype(np.float32)
    b = rng.standard_normal((a.size, 4 * sizes.units)).astype(np.float32)
    out = np.empty((1, 4 * sizes.units), np.float32)
    return lambda: np.matmul(a, b, out=out)
