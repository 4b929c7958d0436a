"""Every network by name: build a cell from its config, and match parameter counts."""

import torch

from liquid_control.nn.cell import Cell
from liquid_control.nn.cfc import CfC

KINDS: dict[str, type[Cell]] = {"cfc": CfC}


def build_cell(config: dict, rng: torch.Generator) -> Cell:
    """The cell that ``config`` describes (``kind`` and that kind's arguments), freshly drawn.

    ``build_cell(cell.config(), rng)`` has the structure of ``cell``; load its ``state_dict`` for
    its weights.
    """
    kind = config.get("kind")
    if kind not in KINDS:
        raise ValueError(f"cell kind is {kind!r}, expected one of {list(KINDS)}")
    try:
        return KINDS[kind].from_config(config, rng)
    except (TypeError, KeyError) as error:
        raise ValueError(f"cell {kind!r}: {error}") from error
