"""Every cell and wiring, for the tests that hold for all of them."""

import torch

from liquid_control.nn.cells.baselines import BASELINES
from liquid_control.nn.cells.cell import Cell
from liquid_control.nn.cells.modes.registry import MODES
from liquid_control.nn.cells.wiring import auto_ncp, fully_connected, random_wiring
from liquid_control.nn.cells.zoo import build_cell

PERIOD = 0.01
SOLVERS = ("fused", "euler", "rk4")


def make_wiring(name: str, *, sensory: int = 5, units: int = 14, motor: int = 4, seed: int = 0):
    sizes = dict(sensory=sensory, units=units, motor=motor, rng=seed)
    if name == "ncp":
        return auto_ncp(**sizes)
    if name == "fully_connected":
        return fully_connected(**sizes)
    return random_wiring(**sizes, sparsity=0.5)


WIRING_NAMES = ("ncp", "fully_connected", "random")
CELL_NAMES = (
    *(f"cfc-{mode}" for mode in MODES),
    *(f"ltc-{solver}" for solver in SOLVERS),
    "cfc_backbone",
    *BASELINES,
    "mixed-closed",
    "mixed-default",
    "mixed-ltc",
    "timeless-closed",
    "readout",
)
WIRED = [(cell, wiring) for cell in CELL_NAMES if "-" in cell for wiring in WIRING_NAMES]
ALL = [*WIRED, *((cell, "none") for cell in CELL_NAMES if "-" not in cell)]


def make_cell(
    name: str, wiring: str = "ncp", *, sensory: int = 5, units: int = 14, seed: int = 0
) -> Cell:
    rng = torch.Generator().manual_seed(seed)
    family, _, variant = name.partition("-")
    config = {
        "kind": name, "input_size": sensory, "units": units, "nominal_dt": PERIOD, "output_size": 4
    }  # fmt: skip
    if wiring != "none":
        config = {
            "wiring": make_wiring(wiring, sensory=sensory, units=units, seed=seed).config(),
            "nominal_dt": PERIOD,
        }
        if family == "ltc" or variant == "ltc":
            config |= {"kind": "ltc", "solver": variant if family == "ltc" else "fused"}
        else:
            config |= {"kind": "cfc", "mode": variant}
        if family == "ncps":
            config["compat"] = "ncps"
        if family == "mixed":
            config = {"kind": "mixed_memory", "cell": config}
        if family == "timeless":
            config = {"kind": "nominal_time", "cell": config}
    if name == "readout":
        inner = {**config, "kind": "gru", "output_size": None, "dt_input": True}
        config = {"kind": "readout", "cell": inner, "output_size": 4}
    return build_cell(config, rng)


def random_inputs(cell: Cell, batch: int, steps: int, seed: int = 0, dtype=torch.float32):
    """Input (B, T, F), state (B, H) within reach, dt (B, T, 1) from 0 to three periods."""
    rng = torch.Generator().manual_seed(seed)
    input_BTF = torch.randn(batch, steps, cell.input_size, generator=rng, dtype=dtype)
    state_BH = 0.3 * torch.randn(batch, cell.state_size, generator=rng, dtype=dtype)
    dt_BT1 = 3 * PERIOD * torch.rand(batch, steps, 1, generator=rng, dtype=dtype)
    return input_BTF, state_BH, dt_BT1
