"""Time of training: forward + backward over a batch of sequences, and how it grows with sizes."""

import time
from collections.abc import Callable

import numpy as np
import torch

from liquid_control.bench.networks.cells import liquid_cell, ncps_network
from liquid_control.bench.networks.sizes import PERIOD, NetworkSizes
from liquid_control.nn.cells.cell import Cell
from liquid_control.nn.cells.sequence import run_sequence
from liquid_control.nn.cells.zoo import matching_units


def training_times(sizes: NetworkSizes, repeats: int) -> dict:
    """Forward + backward over a batch of sequences, ms."""
    default, ltc = (liquid_cell(kind, sizes, sizes.units) for kind in ("default", "ltc"))
    stored = sum(parameter.numel() for parameter in default.parameters())
    active = default.parameter_count()
    shape = (sizes.batch, sizes.steps, sizes.inputs)
    updates = {
        "ncps CfC": _update_module(ncps_network("cfc", sizes, sizes.units), shape),
        "ncps LTC": _update_module(ncps_network("ltc", sizes, sizes.units), shape),
        "cfc default": _update_cell(default, shape),
        "cfc default, torch only": _update_cell(default, shape, compiled=False),
        "cfc closed": _update_cell(liquid_cell("closed", sizes, sizes.units), shape),
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


def scaling_times(sizes: NetworkSizes) -> dict:
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
                "cfc default": _update_cell(liquid_cell("default", sizes, size["units"]), shape),
                "cfc closed": _update_cell(liquid_cell("closed", sizes, size["units"]), shape),
                "ltc": _update_cell(liquid_cell("ltc", sizes, size["units"]), shape),
                "nn.LSTM, as many units": _update_module(lstm, shape),
            }
            if size["units"] <= 4 * sizes.units:  # larger ones take ncps seconds an update
                updates["ncps CfC"] = _update_module(
                    ncps_network("cfc", sizes, size["units"]), shape
                )
            for name, times in _take_turns(updates, sizes.scaling_repeats).items():
                curve = result.setdefault(axis, {}).setdefault(name, [])
                curve.append([value, float(np.median(times))])
    return result
