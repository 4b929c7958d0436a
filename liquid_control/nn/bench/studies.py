"""Two studies of the LTC paper: solver against closed form, and expressivity by trajectory length.

Both are run by ``liquid-control bench sequences --study``.
"""

import time

import numpy as np
import torch
from torch.nn import functional as F

from liquid_control.nn.baselines import Baseline
from liquid_control.nn.cell import Cell
from liquid_control.nn.cfc import CfC
from liquid_control.nn.ltc import LTC
from liquid_control.nn.sequence import run_sequence
from liquid_control.nn.wiring import auto_ncp, fully_connected

UNFOLDS = (1, 2, 4, 8, 16, 32)


def solver_study(seeds: int = 5, *, updates: int = 400) -> list[dict]:
    """Time and error of an LTC's step by solver and unfolds, and of a closed form taught by it.

    The reference is RK4 with 64 substeps. The closed form (same wiring, one exponential a neuron
    and step) is trained on the reference's outputs for smooth random inputs and judged on new ones.
    Returns rows {name, error (RMSE of the motor neurons), error_std, us}; us is CPU time a step
    and sample of a sequence of 64 x 64 in plain torch, the same for all rows.
    """
    errors: dict[str, list[float]] = {}
    times: dict[str, list[float]] = {}
    for seed in range(seeds):
        wiring = auto_ncp(sensory=8, units=24, motor=4, rng=seed)

        def ltc(solver: str, unfolds: int, wiring=wiring, seed=seed) -> Cell:
            rng = torch.Generator().manual_seed(seed)
            arguments = dict(nominal_dt=1.0, rng=rng, tau_range=(0.5, 20.0))
            return LTC(wiring, solver=solver, unfolds=unfolds, **arguments)

        rng = torch.Generator().manual_seed(seed)
        reference = ltc("rk4", 64)
        test = _smooth_inputs(64, 64, 8, rng)
        expected = _run(reference, test)
        for solver in ("fused", "rk4"):
            for unfolds in UNFOLDS:
                cell = ltc(solver, unfolds)
                got = _run(cell, test)
                _note(errors, f"LTC {solver}, {unfolds}", _rmse(got, expected))
                _note(times, f"LTC {solver}, {unfolds}", _microseconds(cell, test))
        student = CfC(wiring, mode="closed", nominal_dt=1.0, tau_range=(0.5, 20.0),
                      polarity="initial", rng=rng)  # fmt: skip
        train = _smooth_inputs(64, 64, 8, rng)
        gain = torch.nn.Parameter(torch.ones(4))
        offset = torch.nn.Parameter(torch.zeros(4))
        _teach(student, gain, offset, train, _run(reference, train), updates)
        _note(errors, "closed form", _rmse(_run(student, test) * gain + offset, expected))
        _note(times, "closed form", _microseconds(student, test))
    return [
        {
            "name": name,
            "error": float(np.mean(values)),
            "error_std": float(np.std(values, ddof=1)) if seeds > 1 else 0.0,
            "us": float(np.median(times[name])),
        }
        for name, values in errors.items()
    ]


def expressivity_study(seeds: int = 5) -> list[dict]:
    """Length of the hidden trajectory of untrained networks for an input that runs round a circle.

    As in the LTC paper: principal components of the states, length of the path of the first two,
    divided by that of the input. Weights are scaled around their initialisation by 1, 2 and 4.
    Returns rows {name, units, scale, length, length_std}.
    """
    angle = torch.linspace(0.0, 2.0 * np.pi, 200)
    circle_BTF = torch.stack([angle.sin(), angle.cos()], dim=1)[None]
    rows = []
    for name in ("ltc", "closed", "default", "ctrnn", "neural_ode"):
        for units in (10, 25, 100):
            for scale in (1.0, 2.0, 4.0):
                lengths = [
                    _trajectory(name, units, scale, seed, circle_BTF) for seed in range(seeds)
                ]
                rows.append(
                    {
                        "name": name,
                        "units": units,
                        "scale": scale,
                        "length": float(np.mean(lengths)),
                        "length_std": float(np.std(lengths, ddof=1)) if seeds > 1 else 0.0,
                    }
                )
    return rows


def _trajectory(name: str, units: int, scale: float, seed: int, circle_BTF) -> float:
    rng = torch.Generator().manual_seed(seed)
    if name == "neural_ode":
        cell: Cell = Baseline(name, input_size=2, units=units, nominal_dt=1.0, rng=rng)
        scaled = [cell.weight_input, cell.weight_hidden]
    else:
        wiring = fully_connected(sensory=2, units=units, motor=units, rng=seed)
        arguments = dict(nominal_dt=1.0, rng=rng, tau_range=(0.5, 20.0))
        if name == "ltc":
            cell = LTC(wiring, **arguments)
            scaled = [cell.sensory_sigma, cell.neural_sigma]  # the slope of each synapse
        else:
            cell = CfC(wiring, mode=name, **arguments)
            scaled = list(cell.weight)
    with torch.no_grad():
        for weight in scaled:
            weight.mul_(scale)
        dt = torch.full((1, circle_BTF.shape[1], 1), 0.1)
        states, _ = run_sequence(cell, circle_BTF, cell.initial_state(1), dt)
    return _path_length(states[0]) / _path_length(circle_BTF[0])


def _path_length(states_TH: torch.Tensor) -> float:
    """Length of the path of the first two principal components."""
    centered = (states_TH - states_TH.mean(dim=0)).double()
    _, _, axes = torch.linalg.svd(centered, full_matrices=False)
    return (centered @ axes[:2].T).diff(dim=0).norm(dim=1).sum().item()


def _smooth_inputs(batch: int, steps: int, size: int, rng: torch.Generator) -> torch.Tensor:
    """(B, T, F) sums of three sines of random frequency and phase, variance about 1."""
    time_T = torch.arange(steps).float()
    total = torch.zeros(batch, steps, size)
    for _ in range(3):
        frequency = 0.5 * torch.rand(batch, 1, size, generator=rng)
        phase = 2.0 * np.pi * torch.rand(batch, 1, size, generator=rng)
        total += torch.sin(frequency * time_T[None, :, None] + phase)
    return total * (2.0 / 3.0) ** 0.5


def _dt(input_BTF: torch.Tensor) -> torch.Tensor:
    return torch.ones(*input_BTF.shape[:2], 1)


@torch.no_grad()
def _run(cell: Cell, input_BTF: torch.Tensor) -> torch.Tensor:
    return run_sequence(cell, input_BTF, cell.initial_state(len(input_BTF)), _dt(input_BTF))[0]


@torch.no_grad()
def _microseconds(cell: Cell, input_BTF: torch.Tensor) -> float:
    state = cell.initial_state(len(input_BTF))
    start = time.thread_time()
    run_sequence(cell, input_BTF, state, _dt(input_BTF), compiled=False)
    return 1e6 * (time.thread_time() - start) / (input_BTF.shape[0] * input_BTF.shape[1])


def _teach(student, gain, offset, input_BTF, target_BTO, updates: int) -> None:
    parameters = [*student.parameters(), gain, offset]
    optimizer = torch.optim.Adam(parameters, lr=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.02, total_steps=updates)
    for _ in range(updates):
        state = student.initial_state(len(input_BTF))
        output, _ = run_sequence(student, input_BTF, state, _dt(input_BTF))
        loss = F.mse_loss(output * gain + offset, target_BTO)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()


def _rmse(got: torch.Tensor, expected: torch.Tensor) -> float:
    return (got - expected).square().mean().sqrt().item()


def _note(table: dict[str, list[float]], name: str, value: float) -> None:
    table.setdefault(name, []).append(value)


def markdown(solver: list[dict], expressivity: list[dict]) -> str:
    """Both tables."""
    lines = ["| solver | error (RMSE) | µs a step and sample |", "|---|---|---|"]
    lines += [
        f"| {row['name']} | {row['error']:.2e} ± {row['error_std']:.0e} | {row['us']:.2f} |"
        for row in solver
    ]
    scales = sorted({row["scale"] for row in expressivity})
    head = " | ".join(f"weights × {scale:g}" for scale in scales)
    lines += ["", f"| network | units | {head} |", "|---|---|" + "---|" * len(scales)]
    for name, units in dict.fromkeys((row["name"], row["units"]) for row in expressivity):
        cells = " | ".join(
            f"{row['length']:.2f} ± {row['length_std']:.2f}"
            for row in expressivity
            if (row["name"], row["units"]) == (name, units)
        )
        lines.append(f"| {name} | {units} | {cells} |")
    return "\n".join([*lines, ""])
