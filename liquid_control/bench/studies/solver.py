"""Solver against closed form: time and error of an LTC's step, and of cells taught by it."""

import time

import numpy as np
import torch
from torch.nn import functional as F

from liquid_control.bench.studies.sizes import StudySizes
from liquid_control.nn.cells.cell import Cell
from liquid_control.nn.cells.cfc import CfC
from liquid_control.nn.cells.ltc import LTC
from liquid_control.nn.cells.sequence import run_sequence
from liquid_control.nn.cells.wiring import auto_ncp

INPUTS, UNITS, MOTOR = 8, 24, 4
CLOSED_FORMS = {"closed form": "closed", "CfC": "default"}  # modes of a CfC


def solver_study(sizes: StudySizes) -> list[dict]:
    """Time and error of an LTC's step by solver and unfolds, and of closed forms taught by it.

    The reference is RK4 with many substeps. The closed forms (same wiring, one evaluation a step)
    are trained on the reference's outputs for smooth random inputs and judged on new ones.
    Returns rows {name, unfolds, error (RMSE of the motor neurons; None where the solver overflows),
    error_std, us}; us is CPU time a step and sample, in plain torch for all rows.
    """
    errors: dict[tuple, list[float]] = {}
    times: dict[tuple, list[float]] = {}

    def note(key: tuple[str, int], error: float, microseconds: float) -> None:
        errors.setdefault(key, []).append(error)
        times.setdefault(key, []).append(microseconds)

    for seed in range(sizes.seeds):
        rng = torch.Generator().manual_seed(seed)
        wiring = auto_ncp(sensory=INPUTS, units=UNITS, motor=MOTOR, rng=seed)
        test = _smooth_inputs(sizes.batch, sizes.steps, rng)
        train = _smooth_inputs(4 * sizes.batch, sizes.steps, rng)
        exact = _ltc(wiring, "rk4", sizes.reference_unfolds, seed)
        expected = _run(exact, test)
        note(("mean of the outputs", 0), _rmse(expected.mean(dim=(0, 1)), expected), 0.0)
        for solver in ("fused", "rk4"):
            for unfolds in sizes.unfolds:
                got, microseconds = _timed(_ltc(wiring, solver, unfolds, seed), test)
                note((f"LTC, {solver}", unfolds), _rmse(got, expected), microseconds)
        targets = _run(exact, train)
        for name, mode in CLOSED_FORMS.items():
            student = CfC(wiring, mode=mode, nominal_dt=1.0, tau_range=(0.5, 20.0),
                          polarity="initial", rng=rng)  # fmt: skip
            gain, offset = _teach(student, train, targets, sizes.updates)
            got, microseconds = _timed(student, test)
            note((name, 1), _rmse(got * gain + offset, expected), microseconds)
    return [
        {
            "name": name,
            "unfolds": unfolds,
            "error": float(np.mean(values)) if np.isfinite(values).all() else None,
            "error_std": float(np.std(values, ddof=1))
            if len(values) > 1 and np.isfinite(values).all()
            else None,
            "us": float(np.median(times[name, unfolds])),
        }
        for (name, unfolds), values in errors.items()
    ]


def _ltc(wiring, solver: str, unfolds: int, seed: int) -> Cell:
    """The same weights for every solver and number of unfolds."""
    rng = torch.Generator().manual_seed(seed)
    arguments = dict(nominal_dt=1.0, rng=rng, tau_range=(0.5, 20.0))
    return LTC(wiring, solver=solver, unfolds=unfolds, **arguments)


def _smooth_inputs(batch: int, steps: int, rng: torch.Generator) -> torch.Tensor:
    """(B, T, F) sums of three sines of random frequency and phase, variance about 1."""
    time_T = torch.arange(steps).float()
    total = torch.zeros(batch, steps, INPUTS)
    for _ in range(3):
        frequency = 0.5 * torch.rand(batch, 1, INPUTS, generator=rng)
        phase = 2.0 * np.pi * torch.rand(batch, 1, INPUTS, generator=rng)
        total += torch.sin(frequency * time_T[None, :, None] + phase)
    return total * (2.0 / 3.0) ** 0.5


def _dt(input_BTF: torch.Tensor) -> torch.Tensor:
    return torch.ones(*input_BTF.shape[:2], 1)


@torch.no_grad()
def _run(cell: Cell, input_BTF: torch.Tensor) -> torch.Tensor:
    return run_sequence(cell, input_BTF, cell.initial_state(len(input_BTF)), _dt(input_BTF))[0]


@torch.no_grad()
def _timed(cell: Cell, input_BTF: torch.Tensor) -> tuple[torch.Tensor, float]:
    """The outputs in plain torch, and CPU µs a step and sample."""
    state_BH, dt_BT1 = cell.initial_state(len(input_BTF)), _dt(input_BTF)
    start = time.thread_time()
    output_BTO, _ = run_sequence(cell, input_BTF, state_BH, dt_BT1, compiled=False)
    return output_BTO, 1e6 * (time.thread_time() - start) / dt_BT1.numel()


def _teach(student: Cell, input_BTF, target_BTO, updates: int):
    """Train the student, and (O,) gain and offset on its outputs, which are returned."""
    gain = torch.nn.Parameter(torch.ones(student.output_size))
    offset = torch.nn.Parameter(target_BTO.mean(dim=(0, 1)))
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
    return gain.detach(), offset.detach()


def _rmse(got: torch.Tensor, expected: torch.Tensor) -> float:
    return (got - expected).square().mean().sqrt().item()
