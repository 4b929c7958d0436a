"""What ``liquid-control bench ncps`` times, and its table."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from pydantic import Field

from liquid_control.bench.timing import in_turns, one_thread
from liquid_control.config import StrictModel
from liquid_control.nn import ncps as drop_in
from liquid_control.preflight import require_packages

COLUMNS = ("ncps", "here", "nn.LSTM")


class Sizes(StrictModel):
    """What config/benchmarks/ncps.yaml says: which sizes are timed."""

    inputs: int = Field(gt=0)
    units: int = Field(gt=0)
    wired_units: int = Field(gt=0)
    motor: int = Field(gt=0)
    batches: list[int]
    steps: int = Field(gt=0)
    turns: int = Field(gt=0)


def compare(sizes: Sizes) -> list[dict]:
    """One row a network and batch: CPU ms of an update and of inference, for each of COLUMNS.

    An update is forward and backward over the whole batch. nn.LSTM has the number of units that
    comes closest to as many trained weights as the network here, without those of missing synapses.
    """
    require_packages("ncps")
    from ncps import torch as theirs
    from ncps.wirings import AutoNCP

    def wiring():
        return AutoNCP(sizes.wired_units, sizes.motor)

    networks = {
        "CfC": ("CfC", lambda: sizes.units, {}),
        "CfC, 3 backbone layers": ("CfC", lambda: sizes.units, {"backbone_layers": 3}),
        "CfC, mixed memory": ("CfC", lambda: sizes.units, {"mixed_memory": True}),
        "CfC, wired": ("CfC", wiring, {}),
        "LTC, wired": ("LTC", wiring, {}),
    }
    rows = []
    with one_thread():
        for name, (kind, units, arguments) in networks.items():
            peer = getattr(theirs, kind)(sizes.inputs, units(), **arguments)
            ours = getattr(drop_in, kind)(sizes.inputs, units(), **arguments)
            ours.load_state_dict(peer.state_dict())
            lstm = _lstm(sizes.inputs, ours.cell.parameter_count())
            modules = (peer, ours, lstm)
            for batch in sizes.batches:
                x = torch.randn(batch, sizes.steps, sizes.inputs)
                error = (peer(x)[0] - ours(x)[0]).abs().max().item()
                rows.append({"network": name, "batch": batch, "error": error})
                for what, work in (("train_ms", _update), ("infer_ms", _infer)):
                    calls = [work(module, x) for module in modules]
                    in_turns(calls, 1, 2)
                    times = 1e3 * np.median(in_turns(calls, 1, sizes.turns), axis=0)
                    rows[-1][what] = dict(zip(COLUMNS, times.tolist()))
    return rows


def _lstm(inputs: int, weights: int) -> torch.nn.Module:
    """nn.LSTM of about so many weights: 4 U (inputs + U + 2)."""
    units = max(1, round(-(inputs + 2) / 2 + np.sqrt((inputs + 2) ** 2 / 4 + weights / 4)))
    return torch.nn.LSTM(inputs, units, batch_first=True)


def _update(module: torch.nn.Module, x: torch.Tensor) -> Callable[[], None]:
    def work() -> None:
        module.zero_grad()
        module(x)[0].square().mean().backward()

    return work


def _infer(module: torch.nn.Module, x: torch.Tensor) -> Callable[[], None]:
    def work() -> None:
        with torch.no_grad():
            module(x)

    return work


def markdown(rows: list[dict], sizes: Sizes) -> str:
    """The table, with what it is of."""
    lines = [
        f"{sizes.inputs} inputs, sequences of {sizes.steps} steps, one thread, float32, CPU ms, "
        f"medians of {sizes.turns}; torch {torch.__version__}.",
        "",
        "| network | batch | train: ncps | here | times as fast | nn.LSTM of as many weights "
        "| infer: ncps | here | times as fast | nn.LSTM |",
        "|---" * 10 + "|",
    ]
    for row in rows:
        cells = [row["network"], str(row["batch"])]
        for what in ("train_ms", "infer_ms"):
            peer, ours, lstm = row[what].values()
            cells += [f"{peer:.2f}", f"{ours:.2f}", f"{peer / ours:.1f}", f"{lstm:.2f}"]
        lines.append("| " + " | ".join(cells) + " |")
    worst = max(row["error"] for row in rows)
    return "\n".join([*lines, "", f"The outputs differ by at most {worst:.1e}."])
