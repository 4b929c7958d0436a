"""What a network of the ``ncps`` package computes besides its weights, which no state_dict tells.

Source: ncps 1.0.1, ``ncps.torch``: attributes of ``CfCCell``, ``WiredCfCCell`` and ``LTCCell``.
Used by :mod:`liquid_control.nn.compat`.
"""

from typing import Any

from torch import nn

from liquid_control.nn.cells.backbone import BackboneCfC
from liquid_control.nn.cells.cell import Cell
from liquid_control.nn.cells.cfc import CfC
from liquid_control.nn.cells.ltc import MAPPINGS
from liquid_control.nn.compat_entries import parts_of

# the classes that their backbone bends with
ACTIVATION_OF = {
    "LeCun": "lecun_tanh",
    "Tanh": "tanh",
    "ReLU": "relu",
    "SiLU": "silu",
    "GELU": "gelu",
}
# the names in a state_dict tell the mappings, unless there is none
_TOLD_BY_NAMES = ("input_mapping", "output_mapping")


def ncps_settings(cell: Cell) -> dict[str, Any]:
    """The arguments of ncps's constructor that make its network compute what ``cell`` does.

    Those that shapes and names of the weights do not tell: ``ncps.torch.LTC(inputs, wiring,
    **ncps_settings(cell))`` takes the weights of ``ncps_state_dict(cell)``.
    """
    inner, mixed, _ = parts_of(cell)
    memory = {"mixed_memory": mixed is not None}
    if isinstance(inner, CfC):
        return {"mode": inner.mode.name, **memory}
    if isinstance(inner, BackboneCfC):
        activation = {"activation": inner.activation.name} if inner.backbone_layers else {}
        return {"mode": inner.mode.name, **activation, **memory}
    return {
        "ode_unfolds": inner.unfolds,
        "epsilon": inner.epsilon,
        "implicit_param_constraints": inner.positive == "softplus",
        "input_mapping": inner.input_mapping,
        "output_mapping": inner.output_mapping,
        **memory,
    }


def settings_of(theirs: nn.Module) -> dict[str, Any]:
    """The same of a network of theirs, or of its cell; ValueError for a module that is neither."""
    cell = getattr(theirs, "rnn_cell", theirs)
    memory = {"mixed_memory": bool(getattr(theirs, "use_mixed", False))}
    if hasattr(cell, "_ode_unfolds"):
        return {
            "ode_unfolds": cell._ode_unfolds,
            "epsilon": cell._epsilon,
            "implicit_param_constraints": bool(cell._implicit_param_constraints),
            "input_mapping": _mapping(cell._input_mapping),
            "output_mapping": _mapping(cell._output_mapping),
            **memory,
        }
    if hasattr(cell, "_layers"):
        modes = sorted({layer.mode for layer in cell._layers})
        return {"mode": modes[0] if len(modes) == 1 else modes, **memory}
    if hasattr(cell, "backbone_layers"):
        activation = {}
        if cell.backbone is not None:
            of = type(cell.backbone[1]).__name__
            activation = {"activation": ACTIVATION_OF.get(of, of)}
        return {"mode": cell.mode, **activation, **memory}
    raise ValueError(
        f"theirs is a {type(theirs).__name__}, expected a CfC or LTC of ncps, its rnn_cell, or a "
        "state_dict"
    )


def _mapping(theirs: Any) -> str:
    """Whatever ncps does not know maps nothing."""
    return theirs if theirs in MAPPINGS else "none"


def check_settings(cell: Cell, given: dict[str, Any]) -> None:
    """ValueError unless what is given is what ``cell`` computes, and nothing is left unsaid."""
    expected = ncps_settings(cell)
    unknown = sorted(set(given) - set(expected))
    if unknown:
        raise ValueError(f"settings {unknown} of another network, expected {sorted(expected)}")
    told = {*given, *_TOLD_BY_NAMES, "mixed_memory"}
    untold = {name: value for name, value in expected.items() if name not in told}
    if untold:
        call = ", ".join(f"{name}={value!r}" for name, value in untold.items())
        raise ValueError(
            f"a state_dict does not tell {', '.join(untold)}: give the network itself, or what it "
            f"was built with; this cell is that of {call}"
        )
    wrong = [
        f"{name} is {value!r}, expected {expected[name]!r}"
        for name, value in given.items()
        if value != expected[name]
    ]
    if wrong:
        raise ValueError(f"a network that computes something else: {', '.join(wrong)}")
