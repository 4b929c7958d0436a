"""Every network by name: build a cell from its config, and match parameter counts."""

from collections.abc import Callable

import torch

from liquid_control.nn.cells.backbone import BackboneCfC
from liquid_control.nn.cells.baselines import BASELINES, Baseline
from liquid_control.nn.cells.cell import Cell
from liquid_control.nn.cells.cfc import CfC
from liquid_control.nn.cells.ltc import LTC
from liquid_control.nn.cells.wiring import wiring_from_config
from liquid_control.nn.cells.wrappers import MixedMemory, NominalTime, Readout

WIRED: dict[str, type[Cell]] = {"cfc": CfC, "ltc": LTC}
UNWIRED: dict[str, type[Cell]] = {"cfc_backbone": BackboneCfC}
WRAPPERS: dict[str, type[Cell]] = {
    "mixed_memory": MixedMemory,
    "readout": Readout,
    "nominal_time": NominalTime,
}
KINDS = (*WIRED, *UNWIRED, *BASELINES, *WRAPPERS)


def build_cell(config: dict, rng: torch.Generator) -> Cell:
    """The cell that ``config`` describes (``kind`` and that kind's arguments), freshly drawn.

    ``build_cell(cell.config(), rng)`` has the structure of ``cell``; load its ``state_dict`` for
    its weights.
    """
    kind = config.get("kind")
    values = {key: value for key, value in config.items() if key != "kind"}
    try:
        if kind in WIRED:
            return WIRED[kind](wiring_from_config(values.pop("wiring")), rng=rng, **values)
        if kind in UNWIRED:
            return UNWIRED[kind](rng=rng, **values)
        if kind in BASELINES:
            return Baseline(kind, rng=rng, **values)
        if kind in WRAPPERS:
            return WRAPPERS[kind](build_cell(values.pop("cell"), rng), rng=rng, **values)
    except KeyError as error:
        raise ValueError(f"cell {kind!r}: needs {error.args[0]!r}") from error
    except TypeError as error:
        raise ValueError(f"cell {kind!r}: {error}") from error
    raise ValueError(f"cell kind is {kind!r}, expected one of {KINDS}")


def matching_units(
    build: Callable[[int], Cell], parameters: int, *, least: int = 1, most: int = 4096
) -> int:
    """The number of units for which ``build(units)`` comes closest to ``parameters`` weights.

    Bisection from ``least`` to ``most`` units: the count grows with them. Raises ValueError if
    ``most`` units don't suffice.
    """
    low, high = least, min(2 * least, most)
    while build(high).parameter_count() < parameters:
        if high == most:
            raise ValueError(f"{most} units have fewer than {parameters} parameters")
        low, high = high, min(2 * high, most)
    while high - low > 1:
        middle = (low + high) // 2
        if build(middle).parameter_count() < parameters:
            low = middle
        else:
            high = middle
    return min((low, high), key=lambda units: abs(build(units).parameter_count() - parameters))
