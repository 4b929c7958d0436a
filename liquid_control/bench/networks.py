"""Bench networks: time of one step and of training, against ncps and nn.LSTM in the same run.

One thread, float32. The networks take turns, so that a change of the machine's load meets them all.
Ratios travel between machines, absolute times don't.
"""

import argparse
import gc
import json
import os
import shlex
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from pydantic import Field

from liquid_control.bench.networks_report import NCPS_CELL, markdown, write_report
from liquid_control.bench.sequence_training import one_thread
from liquid_control.config import StrictModel, find_file, load_yaml
from liquid_control.nn.cells.baselines import Baseline
from liquid_control.nn.cells.cell import Cell
from liquid_control.nn.cells.cfc import CfC
from liquid_control.nn.cells.ltc import LTC
from liquid_control.nn.cells.sequence import run_sequence
from liquid_control.nn.cells.wiring import auto_ncp
from liquid_control.nn.cells.zoo import matching_units
from liquid_control.nn.export import export_policy
from liquid_control.nn.policy import Policy
from liquid_control.preflight import output_folder, require_packages
from liquid_control.runtime.policy import OnnxPolicy
from liquid_control.structs import Layout, Slot

CONFIG = "config/benchmarks/networks.yaml"
PERIOD = 0.01
BLOCKS = 20  # of steps, in which the networks take turns


class Sizes(StrictModel):
    """config/benchmarks/networks.yaml."""

    units: int = Field(gt=0)
    motor: int = Field(gt=0)
    inputs: int = Field(gt=0)
    batch: int = Field(gt=0)
    steps: int = Field(gt=0)
    repeats: int = Field(gt=0)
    step_calls: int = Field(gt=0)
    scaling_units: list[int]
    scaling_steps: list[int]
    scaling_batch: list[int]
    scaling_repeats: int = Field(gt=0)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", default=CONFIG, help="sizes; default: %(default)s")
    parser.add_argument(
        "--out",
        type=Path,
        help="folder for the table (Markdown) and the plot; default: nothing is kept",
    )
    parser.add_argument("--quick", action="store_true", help="few repeats, no scaling")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")


def run(options: argparse.Namespace) -> int:
    """The command ``liquid-control bench networks``."""
    sizes = load_yaml(find_file(options.config, "config/benchmarks"), Sizes)
    command = _command(options)
    result = bench_networks(sizes, options.out, quick=options.quick, command=command)
    text = json.dumps(result, allow_nan=False) if options.json else markdown(result, sizes, command)
    print(text)
    return 0


def _command(options: argparse.Namespace) -> str:
    """What was typed, as far as it changes what is measured and written."""
    words = ["liquid-control", "bench", "networks"]
    if options.config != CONFIG:
        words += ["--config", options.config]
    if options.quick:
        words.append("--quick")
    if options.out is not None:
        words += ["--out", str(options.out)]
    return shlex.join(words)


def bench_networks(
    sizes: Sizes, out: Path | None = None, *, command: str, quick: bool = False
) -> dict:
    """Measure; with ``out`` also write ``networks.md`` and, unless quick, ``networks.png``.

    Returns step_us_p50, step_us_p99, step_speedup_vs_ncps, cfc_train_speedup_vs_ncps,
    cfc_train_speedup_vs_lstm, ltc_train_speedup_vs_ncps and the times behind them. The policy and
    the CfC are the network that ncps computes (mode "default"), on a really sparse wiring; nn.LSTM
    has as many stored parameters as that CfC (``..._lstm_active``: as many as it has synapses).
    """
    require_packages("ncps")
    if out is not None:
        require_packages("matplotlib")
        output_folder(out)
    with one_thread():
        result = {"load_average": os.getloadavg()[0], "cores": os.cpu_count()}
        result |= _step_times(sizes, sizes.step_calls // (10 if quick else 1))
        result |= _training_times(sizes, 5 if quick else sizes.repeats)
        if not quick:
            result["scaling"] = _scaling(sizes)
    if out is not None:
        write_report(result, sizes, command, out)
    return result


def _cell(kind: str, sizes: Sizes, units: int) -> Cell:
    rng = torch.Generator().manual_seed(0)
    wiring = auto_ncp(sensory=sizes.inputs, units=units, motor=sizes.motor, rng=0)
    if kind == "ltc":
        return LTC(wiring, nominal_dt=PERIOD, rng=rng)
    return CfC(wiring, mode=kind, nominal_dt=PERIOD, rng=rng)


def _ncps(kind: str, sizes: Sizes, units: int) -> torch.nn.Module:
    from ncps import torch as ncps_torch
    from ncps.wirings import AutoNCP

    network = {"cfc": ncps_torch.CfC, "ltc": ncps_torch.LTC}[kind]
    return network(sizes.inputs, AutoNCP(units, sizes.motor))


def _step_times(sizes: Sizes, calls: int) -> dict:
    """One step, batch 1: µs of the policies as they fly and of the torch cell of ncps.

    Beside them stand what the machine does to anything: reading the clock, and a fixed product in
    NumPy. A step of theirs that takes long was interrupted.
    """
    steps: dict[str, Callable[[], object]] = {NCPS_CELL: _ncps_step(sizes)}
    for mode in ("default", "closed"):
        steps[f"policy.onnx, cfc {mode}"] = _flown_step(_cell(mode, sizes, sizes.units))
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


def _ncps_step(sizes: Sizes) -> Callable[[], None]:
    cell = _ncps("cfc", sizes, sizes.units).rnn_cell
    inputs, state = torch.randn(1, sizes.inputs), torch.zeros(1, sizes.units)

    def step() -> None:
        nonlocal state
        with torch.inference_mode():
            _, state = cell(inputs, state, 1.0)

    return step


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
            command=Layout((Slot("command", cell.output_size, "1", "none"),)),
            control_period=PERIOD,
            network="benchmark",
            vehicle="none",
            training={},
            rng=np.random.default_rng(0),
        )
        flown = OnnxPolicy(artifact)
    observation = np.random.default_rng(0).standard_normal(cell.input_size)
    return lambda: flown.step(observation, PERIOD)


def _numpy_step(sizes: Sizes) -> Callable[[], object]:
    rng = np.random.default_rng(0)
    a = rng.standard_normal((1, sizes.inputs + sizes.units)).astype(np.float32)
    b = rng.standard_normal((a.size, 4 * sizes.units)).astype(np.float32)
    out = np.empty((1, 4 * sizes.units), np.float32)
    return lambda: np.matmul(a, b, out=out)


def _training_times(sizes: Sizes, repeats: int) -> dict:
    """Forward + backward over a batch of sequences, ms."""
    default, ltc = (_cell(kind, sizes, sizes.units) for kind in ("default", "ltc"))
    stored = sum(parameter.numel() for parameter in default.parameters())
    active = default.parameter_count()
    shape = (sizes.batch, sizes.steps, sizes.inputs)
    updates = {
        "ncps CfC": _update_module(_ncps("cfc", sizes, sizes.units), shape),
        "ncps LTC": _update_module(_ncps("ltc", sizes, sizes.units), shape),
        "cfc default": _update_cell(default, shape),
        "cfc default, torch only": _update_cell(default, shape, compiled=False),
        "cfc closed": _update_cell(_cell("closed", sizes, sizes.units), shape),
        "ltc": _update_cell(ltc, shape),
        "ltc, torch only": _update_cell(ltc, shape, compiled=False),
        "nn.LSTM, stored": _update_module(_lstm(sizes.inputs, stored), shape),
        "nn.LSTM, active": _update_module(_lstm(sizes.inputs, active), shape),
    }
    times = _take_turns(updates, repeats)
    table = {name: float(np.median(values)) for name, values in times.items()}
    return {
        "train_ms": table,
        "cfc_stored_parameters": stored,
        "cfc_active_parameters": active,
        "cfc_train_speedup_vs_ncps": table["ncps CfC"] / table["cfc default"],
        "cfc_train_speedup_vs_lstm": table["nn.LSTM, stored"] / table["cfc default"],
        "cfc_train_speedup_vs_lstm_active": table["nn.LSTM, active"] / table["cfc default"],
        "ltc_train_speedup_vs_ncps": table["ncps LTC"] / table["ltc"],
    }


def _lstm(inputs: int, parameters: int) -> torch.nn.Module:
    """nn.LSTM of the number of units that comes closest to ``parameters``."""

    class Sized(torch.nn.LSTM):
        def parameter_count(self) -> int:
            return sum(parameter.numel() for parameter in self.parameters())

    def build(units: int) -> torch.nn.Module:
        return Sized(inputs, units, batch_first=True)

    return build(matching_units(build, parameters))


def _update_module(module: torch.nn.Module, shape: tuple[int, int, int]) -> Callable[[], None]:
    input_BTF = torch.randn(shape)

    def update() -> None:
        module.zero_grad()
        module(input_BTF)[0].square().mean().backward()

    return update


def _update_cell(cell: Cell, shape: tuple[int, int, int], compiled=True) -> Callable[[], None]:
    input_BTF = torch.randn(shape)
    dt_BT1 = torch.full((*shape[:2], 1), PERIOD)

    def update() -> None:
        cell.zero_grad()
        state_BH = cell.initial_state(shape[0])
        output, _ = run_sequence(cell, input_BTF, state_BH, dt_BT1, compiled=compiled)
        output.square().mean().backward()

    return update


def _take_turns(updates: dict[str, Callable[[], None]], repeats: int) -> dict[str, list[float]]:
    """CPU ms of each update, twice warmed, in blocks of three that take turns.

    Time of the thread, so that other processes on the machine don't count.
    """
    times: dict[str, list[float]] = {name: [] for name in updates}
    for update in updates.values():
        update()
        update()
    for _ in range(repeats):
        for name, update in updates.items():
            update()  # brings its data back into the cache
            for _ in range(3):
                start = time.thread_time()
                update()
                times[name].append(1e3 * (time.thread_time() - start))
    return times


def _scaling(sizes: Sizes) -> dict:
    """ms of an update over the number of neurons, the length and the batch."""
    base = {"units": sizes.units, "steps": sizes.steps, "batch": sizes.batch}
    axes = {
        "units": sizes.scaling_units,
        "steps": sizes.scaling_steps,
        "batch": sizes.scaling_batch,
    }
    result: dict[str, dict] = {}
    for axis, values in axes.items():
        for value in values:
            size = {**base, axis: value}
            shape = (size["batch"], size["steps"], sizes.inputs)
            lstm = torch.nn.LSTM(sizes.inputs, size["units"], batch_first=True)
            updates = {
                "cfc default": _update_cell(_cell("default", sizes, size["units"]), shape),
                "cfc closed": _update_cell(_cell("closed", sizes, size["units"]), shape),
                "ltc": _update_cell(_cell("ltc", sizes, size["units"]), shape),
                "nn.LSTM, as many units": _update_module(lstm, shape),
            }
            if size["units"] <= 4 * sizes.units:  # larger ones take ncps seconds an update
                updates["ncps CfC"] = _update_module(_ncps("cfc", sizes, size["units"]), shape)
            for name, times in _take_turns(updates, sizes.scaling_repeats).items():
                curve = result.setdefault(axis, {}).setdefault(name, [])
                curve.append([value, float(np.median(times))])
    return result
