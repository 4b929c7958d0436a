"""Bench networks: time of one step and of training, against ncps and nn.LSTM in the same run.

One thread, float32. The networks take turns, so that a change of the machine's load meets them all.
Ratios travel between machines, absolute times don't.
"""

import argparse
import gc
import json
import platform
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from pydantic import Field

from liquid_control.config import StrictModel, find_file, load_yaml
from liquid_control.nn.baselines import Baseline
from liquid_control.nn.cell import Cell
from liquid_control.nn.cfc import CfC
from liquid_control.nn.export import policy_graph
from liquid_control.nn.ltc import LTC
from liquid_control.nn.policy import Policy
from liquid_control.nn.sequence import run_sequence
from liquid_control.nn.wiring import auto_ncp
from liquid_control.nn.zoo import matching_units
from liquid_control.runtime.artifact import INPUTS, OUTPUTS

PERIOD = 0.01


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
    parser.add_argument("--config", default="config/benchmarks/networks.yaml")
    parser.add_argument("--out", type=Path, help="folder for the table (Markdown) and the plot")
    parser.add_argument("--quick", action="store_true", help="few repeats, no scaling plot")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")


def run(options: argparse.Namespace) -> int:
    """The command ``liquid-control bench networks``."""
    sizes = load_yaml(find_file(options.config, "config/benchmarks"), Sizes)
    result = bench_networks(sizes, options.out, quick=options.quick)
    print(json.dumps(result, allow_nan=False) if options.json else markdown(result))
    return 0


def bench_networks(sizes: Sizes, out: Path | None = None, *, quick: bool = False) -> dict:
    """Measure; with ``out`` also write ``networks.md`` and, unless quick, ``networks.png``.

    Returns step_us_p50, step_us_p99, step_speedup_vs_ncps, cfc_train_speedup_vs_ncps,
    cfc_train_speedup_vs_lstm, ltc_train_speedup_vs_ncps and the times behind them. The policy and
    the CfC are the network that ncps computes (mode "default"), on a really sparse wiring; nn.LSTM
    has as many stored parameters as that CfC (``..._lstm_active``: as many as it has synapses).
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        repeats = 5 if quick else sizes.repeats
        result = _step_times(sizes, sizes.step_calls // (10 if quick else 1))
        result |= _training_times(sizes, repeats)
        if out is not None:
            out.mkdir(parents=True, exist_ok=True)
            (out / "networks.md").write_text(markdown(result))
            if not quick:
                result["scaling"] = _scaling(sizes)
                _plot(result["scaling"], out / "networks.png")
        return result
    finally:
        torch.set_num_threads(threads)


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
    """One step, batch 1: µs of the exported policies and of the torch cell of ncps."""
    steps: dict[str, Callable[[], None]] = {"ncps torch cell": _ncps_step(sizes)}
    for mode in ("default", "closed"):
        steps[f"policy.onnx, cfc {mode}"] = _exported_step(_cell(mode, sizes, sizes.units))
    lstm = Baseline("lstm", input_size=sizes.inputs, units=sizes.units, nominal_dt=PERIOD,
                    rng=torch.Generator().manual_seed(0), output_size=sizes.motor)  # fmt: skip
    steps["policy.onnx, lstm"] = _exported_step(lstm)
    elapsed = {name: [] for name in steps}
    rounds = 20
    gc.disable()  # a collection is not part of a step, and a real-time loop turns it off as well
    try:
        for _ in range(rounds):
            for name, step in steps.items():
                for k in range(-20, calls // rounds):
                    start = time.perf_counter_ns()
                    step()
                    stop = time.perf_counter_ns()
                    if k >= 0:
                        elapsed[name].append((stop - start) / 1e3)
    finally:
        gc.enable()
    table = {
        name: {f"p{q}": float(np.percentile(values, q)) for q in (50, 99)}
        for name, values in elapsed.items()
    }
    ours, theirs = table["policy.onnx, cfc default"], table["ncps torch cell"]
    return {
        "step_us": table,
        "step_us_p50": ours["p50"],
        "step_us_p99": ours["p99"],
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


def _exported_step(cell: Cell) -> Callable[[], None]:
    """The graph as the runtime runs it: one thread, arrays in, arrays out, state carried."""
    policy = Policy(
        cell,
        observation_offset=torch.zeros(cell.input_size),
        observation_scale=torch.ones(cell.input_size),
        command_offset=torch.zeros(cell.output_size),
        command_scale=torch.ones(cell.output_size),
    )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        policy_graph(policy), options, providers=["CPUExecutionProvider"]
    )
    rng = np.random.default_rng(0)
    feed = dict(zip(INPUTS, (
        rng.standard_normal((1, cell.input_size)).astype(np.float32),
        np.full((1, 1), PERIOD, np.float32),
        np.zeros((1, cell.state_size), np.float32),
    )))  # fmt: skip

    def step() -> None:
        _, feed["state"] = session.run(OUTPUTS, feed)

    return step


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


def _plot(scaling: dict, path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(1, len(scaling), figsize=(13, 4), sharey=True)
    for panel, (axis, curves) in zip(panels, scaling.items()):
        for name, points in curves.items():
            panel.loglog(*zip(*points), marker="o", label=name)
        panel.set_xlabel({"units": "neurons", "steps": "sequence length"}.get(axis, axis))
        panel.grid(True, which="both", alpha=0.3)
    panels[0].set_ylabel("forward + backward, ms")
    panels[0].legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    plt.close(figure)


def markdown(result: dict) -> str:
    """The measured table."""
    lines = [
        "Command: `liquid-control bench networks`. One thread, float32, medians; "
        f"torch {torch.__version__}, ONNX Runtime {onnxruntime.__version__}, "
        f"{platform.machine()}.",
        "",
        "| one step, batch 1 | p50 µs | p99 µs | times faster than ncps |",
        "|---|---|---|---|",
    ]
    theirs = result["step_us"]["ncps torch cell"]["p50"]
    for name, t in result["step_us"].items():
        lines.append(f"| {name} | {t['p50']:.1f} | {t['p99']:.1f} | {theirs / t['p50']:.1f} |")
    lines += [
        "",
        "| training, forward + backward | CPU ms | times faster than ncps |",
        "|---|---|---|",
    ]
    for name, ms in result["train_ms"].items():
        reference = result["train_ms"]["ncps LTC" if "ltc" in name.lower() else "ncps CfC"]
        lines.append(f"| {name} | {ms:.2f} | {reference / ms:.1f} |")
    lines += [
        "",
        f"The CfC stores {result['cfc_stored_parameters']} parameters, of which "
        f"{result['cfc_active_parameters']} belong to a synapse or a neuron; nn.LSTM is sized to "
        "either number.",
        "",
    ]
    return "\n".join(lines)
