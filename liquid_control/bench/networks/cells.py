"""The networks that are compared, all of one wiring, and what ncps has in their place."""

import torch

from liquid_control.bench.networks.sizes import PERIOD, NetworkSizes
from liquid_control.nn.cells.cell import Cell
from liquid_control.nn.cells.cfc import CfC
from liquid_control.nn.cells.ltc import LTC
from liquid_control.nn.cells.wiring import auto_ncp


def liquid_cell(kind: str, sizes: NetworkSizes, units: int) -> Cell:
    """A cell of ours on a really sparse wiring: ``ltc``, or a CfC of the mode ``kind``."""
    rng = torch.Generator().manual_seed(0)
    wiring = auto_ncp(sensory=sizes.inputs, units=units, motor=sizes.motor, rng=0)
    if kind == "ltc":
        return LTC(wiring, nominal_dt=PERIOD, rng=rng)
    return CfC(wiring, mode=kind, nominal_dt=PERIOD, rng=rng)


def ncps_network(kind: str, sizes: NetworkSizes, units: int) -> torch.nn.Module:
    """The network of ncps of that size: ``cfc`` or ``ltc``."""
    from ncps import torch as ncps_torch
    from ncps.wirings import AutoNCP

    network = {"cfc": ncps_torch.CfC, "ltc": ncps_torch.LTC}[kind]
    return network(sizes.inputs, AutoNCP(units, sizes.motor))
