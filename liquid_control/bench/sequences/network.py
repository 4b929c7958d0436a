"""The cell of a task: its sizes filled in, its time gates spaced, a readout on top."""

import torch

from liquid_control.bench.sequences.config import TaskNetwork
from liquid_control.nn.cells.cfc import CfC
from liquid_control.nn.cells.wrappers import Readout
from liquid_control.nn.cells.zoo import build_cell

SHARPNESS = 6.0  # of spaced time gates, per unit of time


def make_network(network: TaskNetwork, inputs: int, outputs: int, rng: torch.Generator, seed: int):
    """The cell of a task with a linear readout of all its neurons; one unit of time is nominal."""
    config = {**network.cell, "nominal_dt": 1.0}
    wired = config["cell"] if config["kind"] == "mixed_memory" else config
    if wired["kind"] in ("cfc", "ltc"):
        sizes = {"sensory": inputs, "units": network.units, "seed": seed}
        motor = network.units if wired["wiring"]["kind"] != "auto_ncp" else outputs
        wired = {**wired, "wiring": {**wired["wiring"], **sizes, "motor": motor}}
        wired["nominal_dt"] = config.pop("nominal_dt")
        config = {**config, "cell": wired} if config["kind"] == "mixed_memory" else wired
    else:
        config |= {"input_size": inputs, "units": network.units}
    cell = build_cell(config, rng)
    if network.switch_times is not None:
        _space_gates(cell.cell if config["kind"] == "mixed_memory" else cell, *network.switch_times)
    return Readout(cell, output_size=outputs, rng=rng)


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
