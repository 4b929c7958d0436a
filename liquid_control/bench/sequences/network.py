"""The cell of a task: its sizes filled in, its time gates spaced, a readout on top."""

import torch

from liquid_control.bench.sequences.config import TaskNetwork
from liquid_control.nn.cells.cfc import CfC
from liquid_control.nn.cells.wrappers import Readout
from liquid_control.nn.cells.zoo import build_cell

SHARPNESS = 6.0  # of spaced time gates, per unit of time


def make_network(network: TaskNetwork, inputs: int, outputs: int, rng: torch.Generator, seed: int):
    """The cell of a task with a linear readout of all its neurons; one unit of time is nominal."""
    config = _sized(network.cell, network.units, inputs, outputs, seed)
    cell = build_cell(config, rng)
    if network.switch_times is not None:
        _space_gates(cell.cell if config["kind"] == "mixed_memory" else cell, *network.switch_times)
    return Readout(cell, output_size=outputs, rng=rng)


def _sized(cell: dict, units: int, inputs: int, outputs: int, seed: int) -> dict:
    """The config of a cell with its sizes; those of a mixed memory are of the cell inside."""
    if cell["kind"] == "mixed_memory":
        return {**cell, "cell": _sized(cell["cell"], units, inputs, outputs, seed)}
    if "wiring" not in cell:
        return {**cell, "nominal_dt": 1.0, "input_size": inputs, "units": units}
    motor = outputs if cell["wiring"]["kind"] == "auto_ncp" else units
    sizes = {"sensory": inputs, "units": units, "motor": motor, "seed": seed}
    return {**cell, "nominal_dt": 1.0, "wiring": {**cell["wiring"], **sizes}}


def _space_gates(cfc: CfC, low: float, high: float) -> None:
    """Time gates that start as sigmoid(SHARPNESS*(t - t_k)), t_k evenly spaced over the neurons.

    What tau_range is to time constants: with zero biases all gates switch near t = 0, and a count
    of units of time is learned very slowly.
    """
    times_H = torch.linspace(low, high, cfc.state_size)
    for layer, bias in zip(cfc.layers, cfc.bias):
        slope_N, offset_N = bias.data.chunk(4)[2:]
        slope_N += SHARPNESS
        offset_N -= SHARPNESS * times_H[layer.start : layer.stop]
