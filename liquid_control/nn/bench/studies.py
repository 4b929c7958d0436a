"""Two studies of the LTC paper: solver against closed form, and expressivity by trajectory length.

Both are run by ``liquid-control bench sequences --study``.
"""

import time
from pathlib import Path

import numpy as np
import torch
from pydantic import Field
from torch.nn import functional as F

from liquid_control.config import StrictModel
from liquid_control.nn.baselines import Baseline
from liquid_control.nn.cell import Cell
from liquid_control.nn.cfc import CfC
from liquid_control.nn.ltc import LTC
from liquid_control.nn.sequence import run_sequence
from liquid_control.nn.wiring import auto_ncp, fully_connected

INPUTS, UNITS, MOTOR = 8, 24, 4  # of the solver study
CLOSED_FORMS = {"closed form": "closed", "CfC": "default"}


class Sizes(StrictModel):
    """The part ``studies`` of config/benchmarks/sequences.yaml."""

    seeds: int = Field(ge=1)
    unfolds: list[int] = Field(min_length=1)  # substeps an LTC's step is solved with
    reference_unfolds: int = Field(gt=0)  # of the RK4 solution that counts as exact
    batch: int = Field(gt=0)  # sequences of the solver study
    steps: int = Field(gt=0)
    updates: int = Field(gt=0)  # of the closed form that learns the solution
    widths: list[int] = Field(min_length=1)  # neurons, expressivity
    scales: list[float] = Field(min_length=1)  # factor on the weights, expressivity
    circle_steps: int = Field(gt=1)


def solver_study(sizes: Sizes) -> list[dict]:
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


def expressivity_study(sizes: Sizes) -> list[dict]:
    """Length of the hidden trajectory of untrained networks for an input that runs round a circle.

    As in the LTC paper: principal components of the states, length of the path of the first two,
    divided by that of the input. Weights are scaled around their initialisation.
    Returns rows {name, units, scale, length, length_std}.
    """
    angle = torch.linspace(0.0, 2.0 * np.pi, sizes.circle_steps)
    circle_BTF = torch.stack([angle.sin(), angle.cos()], dim=1)[None]
    rows = []
    for name in ("ltc", "closed", "default", "ctrnn", "neural_ode"):
        for units in sizes.widths:
            for scale in sizes.scales:
                lengths = [
                    _trajectory(name, units, scale, seed, circle_BTF) for seed in range(sizes.seeds)
                ]
                rows.append(
                    {
                        "name": name,
                        "units": units,
                        "scale": scale,
                        "length": float(np.mean(lengths)),
                        "length_std": float(np.std(lengths, ddof=1)) if sizes.seeds > 1 else 0.0,
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
        dt = torch.full((1, circle_BTF.shape[1], 1), 20.0 / circle_BTF.shape[1])
        states, _ = run_sequence(cell, circle_BTF, cell.initial_state(1), dt)
    return _path_length(states[0]) / _path_length(circle_BTF[0])


def _path_length(states_TH: torch.Tensor) -> float:
    """Length of the path of the first two principal components."""
    centered = (states_TH - states_TH.mean(dim=0)).double()
    _, _, axes = torch.linalg.svd(centered, full_matrices=False)
    return (centered @ axes[:2].T).diff(dim=0).norm(dim=1).sum().item()


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


def _diverges(row: dict, solver: list[dict]) -> bool:
    """Whether a solver is ten times worse than answering the mean."""
    return row["error"] is None or row["error"] > 10 * solver[0]["error"]


def markdown(solver: list[dict], expressivity: list[dict]) -> str:
    """Both tables, and what a solver as exact as the closed form costs."""
    lines = ["| step | unfolds | error (RMSE) | µs a step and sample |", "|---|---|---|---|"]
    for row in solver:
        spread = "" if row["error_std"] is None else f" ± {row['error_std']:.0e}"
        error = "diverges" if _diverges(row, solver) else f"{row['error']:.2e}{spread}"
        lines.append(f"| {row['name']} | {row['unfolds']} | {error} | {row['us']:.2f} |")
    lines.append("")
    for closed in (row for row in solver if row["name"] in CLOSED_FORMS):
        for name in ("LTC, fused", "LTC, rk4"):
            rows = [r for r in solver if r["name"] == name and not _diverges(r, solver)]
            as_exact = [row for row in rows if row["error"] <= closed["error"]]
            least = min(as_exact, key=lambda row: row["unfolds"], default=None)
            lines.append(f"- {name} is as exact as the {closed['name']} " + (
                "at none of these numbers of unfolds." if least is None else
                f"from {least['unfolds']} unfolds on, at {least['us'] / closed['us']:.1f} times "
                "its time."))  # fmt: skip
    scales = sorted({row["scale"] for row in expressivity})
    head = " | ".join(f"weights × {scale:g}" for scale in scales)
    lines += ["", f"| trajectory length | neurons | {head} |", "|---|---|" + "---|" * len(scales)]
    for name, units in dict.fromkeys((row["name"], row["units"]) for row in expressivity):
        cells = " | ".join(
            f"{row['length']:.2f} ± {row['length_std']:.2f}"
            for row in expressivity
            if (row["name"], row["units"]) == (name, units)
        )
        lines.append(f"| {name} | {units} | {cells} |")
    return "\n".join([*lines, ""])


def plot(solver: list[dict], expressivity: list[dict], path: Path) -> None:
    """Error over time of the solvers; trajectory length over width at each scale of the weights."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    scales = sorted({row["scale"] for row in expressivity})
    figure, panels = plt.subplots(1, 1 + len(scales), figsize=(4 * (1 + len(scales)), 3.8))
    for name in dict.fromkeys(row["name"] for row in solver if row["us"] > 0):
        rows = [r for r in solver if r["name"] == name and not _diverges(r, solver)]
        errors = [row["error"] for row in rows]
        panels[0].loglog([row["us"] for row in rows], errors, marker="o", label=name)
    panels[0].set(xlabel="CPU µs a step and sample", ylabel="error (RMSE)")
    for panel, scale in zip(panels[1:], scales):
        for name in dict.fromkeys(row["name"] for row in expressivity):
            rows = [r for r in expressivity if (r["name"], r["scale"]) == (name, scale)]
            panel.errorbar(
                [row["units"] for row in rows],
                [row["length"] for row in rows],
                [row["length_std"] for row in rows],
                marker="o",
                label=name,
            )
        panel.set(xlabel="neurons", title=f"weights × {scale:g}", yscale="log")
    panels[1].set_ylabel("trajectory length / input's")
    for panel in panels[:2]:
        panel.legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    plt.close(figure)
