"""The arguments of ncps's networks, made into cells, wirings, timespans and states.

Used by :mod:`liquid_control.nn.ncps` and :mod:`liquid_control.nn.ncps_cells`.

Shapes: B batch, T time, F inputs, H neurons.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from liquid_control.nn.cells.backbone import BackboneCfC
from liquid_control.nn.cells.cell import Cell
from liquid_control.nn.cells.cfc import CfC
from liquid_control.nn.cells.circuit import Wiring
from liquid_control.nn.cells.ltc import LTC
from liquid_control.nn.cells.wrappers import MixedMemory
from liquid_control.nn.checks import one_of, whole
from liquid_control.nn.compat import wiring_from_ncps
from liquid_control.nn.compat_entries import FORGET_OFFSET

MODES = ("default", "no_gate", "pure")  # of ncps's CfC
NCPS_SEED = 1111  # of ncps.wirings.FullyConnected


def generator() -> torch.Generator:
    """One seeded by torch's own, as all layers of torch are."""
    return torch.Generator().manual_seed(int(torch.randint(2**62, ())))


def is_wiring(units: Any) -> bool:
    """Whether ``units`` is a wiring, of ncps or of this package."""
    return isinstance(units, Wiring) or hasattr(units, "get_neurons_of_layer")


def make_wiring(units: Any, input_size: int | None, *, all_neurons: bool = False) -> Wiring:
    """The wiring that ``units`` is, built for ``input_size`` inputs, or all of so many neurons.

    One of ncps that has inputs already is taken as it is: building it again, as ncps does, would
    draw more synapses into it, for every network that it is part of.

    all_neurons: whether one of ncps without groups outputs all of its neurons.
    """
    if not is_wiring(units):
        return _fully_connected(whole("input_size", input_size), whole("units", units))
    if isinstance(units, Wiring):
        if input_size not in (None, units.sensory):
            raise ValueError(f"input_size is {input_size}, expected {units.sensory} of the wiring")
        return units
    if not units.is_built() and input_size is not None:
        units.build(whole("input_size", input_size))
    wiring = wiring_from_ncps(units)
    if input_size not in (None, wiring.sensory):
        raise ValueError(f"input_size is {input_size}, expected {wiring.sensory} of the wiring")
    if all_neurons and not wiring.command:
        synapses = units.sensory_adjacency_matrix, units.adjacency_matrix
        return Wiring("random", wiring.sensory, 0, 0, wiring.units, *synapses)
    return wiring


def _fully_connected(inputs: int, units: int) -> Wiring:
    """The synapses of ``ncps.wirings.FullyConnected(units)``, drawn as it draws them."""
    rng = np.random.default_rng(NCPS_SEED)
    adjacency = rng.choice([-1, 1, 1], size=(units, units))
    sensory = rng.choice([-1, 1, 1], size=(inputs, units))
    return Wiring("fully_connected", inputs, 0, 0, units, sensory, adjacency)


def make_backbone(
    input_size: int, units: int, mode: str, activation: str, rng: torch.Generator, **backbone: Any
) -> BackboneCfC:
    """The paper's CfC, with ncps's defaults."""
    one_of("mode", mode, MODES)
    return BackboneCfC(
        input_size=input_size,
        units=units,
        mode=mode,
        activation=activation,
        nominal_dt=1.0,
        rng=rng,
        **backbone,
    )


def make_wired_cfc(input_size: int | None, units: Any, mode: str, rng: torch.Generator) -> CfC:
    """The CfC of a wiring, whose neurons are all outputs where it has no groups."""
    one_of("mode", mode, MODES)
    wiring = make_wiring(units, input_size, all_neurons=True)
    return CfC(wiring, mode=mode, nominal_dt=1.0, compat="ncps", rng=rng)


def make_ltc(
    input_size: int | None,
    units: Any,
    input_mapping: str | None,
    output_mapping: str | None,
    ode_unfolds: int,
    epsilon: float,
    implicit_param_constraints: bool,
    rng: torch.Generator,
) -> LTC:
    """An LTC with what ncps names otherwise: mappings, unfolds, and what keeps weights positive."""
    return LTC(
        make_wiring(units, input_size),
        nominal_dt=1.0,
        rng=rng,
        unfolds=ode_unfolds,
        positive="softplus" if implicit_param_constraints else "identity",
        compat="ncps",
        epsilon=epsilon,
        input_mapping="none" if input_mapping is None else input_mapping,
        output_mapping="none" if output_mapping is None else output_mapping,
    )


def like_ncps(cell: Cell, rng: torch.Generator) -> MixedMemory:
    """A mixed memory around ``cell`` that begins in ncps's ranges."""
    mixed = MixedMemory(cell, rng=rng)
    inputs = cell.input_size
    with torch.no_grad():
        nn.init.xavier_uniform_(mixed.weight[:, :inputs], generator=rng)
        nn.init.orthogonal_(mixed.weight[:, inputs:], generator=rng)
        nn.init.uniform_(mixed.bias, -0.1, 0.1, generator=rng)
        mixed.bias.chunk(4)[1].add_(FORGET_OFFSET)
    return mixed


def timespans_of(
    timespans: Tensor | float | None, input_BTF: Tensor, batched: bool, batch_first: bool
) -> Tensor:
    """(B, T, 1) of what ncps's ``forward`` was given; ValueError for another shape."""
    batch, steps, _ = input_BTF.shape
    if timespans is None:
        timespans = 1.0
    timespans = torch.as_tensor(timespans)
    if timespans.dim() == 0:
        return timespans.to(input_BTF).expand(batch, steps, 1)
    given = tuple(timespans.shape)
    dt = timespans.to(input_BTF)
    if dt.dim() == 3 or (dt.dim() == 2 and not batched):
        dt = dt[..., 0] if dt.shape[-1] == 1 else dt.new_empty(0, 0)
    if batched and not batch_first and dt.dim() == 2:
        dt = dt.T
    dt = dt[None] if dt.dim() == 1 else dt
    if dt.shape not in ((batch, steps), (1, steps)):
        own = (batch, steps) if batch_first else (steps, batch)
        expected = f"{own}, {(*own, 1)} or ({steps},)" if batched else f"({steps},) or {(steps, 1)}"
        raise ValueError(f"timespans have shape {given}, expected {expected}")
    return dt.expand(batch, steps)[..., None]


def state_of(hx: Any, batched: bool, mixed_memory: bool) -> Tensor:
    """(B, H), with mixed memory (B, 2H), of what ncps's ``forward`` was given as ``hx``."""
    parts = hx if mixed_memory else (hx,)
    if not (isinstance(parts, (tuple, list)) and all(isinstance(p, Tensor) for p in parts)):
        expected = "a pair (h, c) of tensors, for mixed memory" if mixed_memory else "a tensor"
        raise ValueError(f"hx is {_kind(hx)}, expected {expected}")
    if len(parts) != 1 + mixed_memory:
        raise ValueError(f"hx has {len(parts)} parts, expected {1 + mixed_memory}")
    dimensions = 2 if batched else 1
    for part in parts:
        if part.dim() != dimensions:
            expected = f"{dimensions} dimensions, as the input has {dimensions + 1}"
            raise ValueError(f"hx has shape {tuple(part.shape)}, expected {expected}")
    return torch.cat([part if batched else part[None] for part in parts], dim=1)


def _kind(value: Any) -> str:
    if isinstance(value, (tuple, list)):
        return f"a {type(value).__name__} of {len(value)}"
    return f"a {type(value).__name__}"
