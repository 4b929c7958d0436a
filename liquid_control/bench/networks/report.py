"""The table and the plot of ``liquid-control bench networks``."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import onnxruntime
import torch

from liquid_control.evaluation.provenance import processor

if TYPE_CHECKING:
    from liquid_control.bench.networks.sizes import NetworkSizes

NCPS_CELL = "ncps torch cell"
AXES = {"units": "neurons", "steps": "sequence length", "batch": "batch"}


def write_report(result: dict, sizes: NetworkSizes, command: str, out: Path) -> None:
    """``networks.md`` and, if scaling was measured, ``networks.png`` in the folder ``out``."""
    (out / "networks.md").write_text(markdown(result, sizes, command))
    if "scaling" in result:
        _plot(result["scaling"], out / "networks.png")


def markdown(result: dict, sizes: NetworkSizes, command: str) -> str:
    """The page of the measured tables, with the machine that they are of."""
    lines = [
        f"Command: `{command}`. {datetime.datetime.now(datetime.UTC).date()}, {processor()}, one "
        f"thread, float32, medians; torch {torch.__version__}, ONNX Runtime "
        f"{onnxruntime.__version__}. Load average of the machine when it began: "
        f"{result['load_average']:.1f} on {result['cores']} cores.",
        "",
        *_step_table(result["step_us"], sizes),
        *_training_table(result, sizes),
        *_scaling_tables(result.get("scaling", {}), sizes),
    ]
    return "\n".join(lines)


def _step_table(step_us: dict, sizes: NetworkSizes) -> list[str]:
    lines = [
        f"## One step, batch 1, AutoNCP({sizes.units}, {sizes.motor}), {sizes.inputs} inputs",
        "",
        "| | p50 µs | p99 µs | p99/p50 | p99 of the median block µs | times faster than ncps |",
        "|---|---|---|---|---|---|",
    ]
    theirs = step_us[NCPS_CELL]["p50"]
    for name, t in step_us.items():
        ratio = "" if name.startswith("machine") else f"{theirs / t['p50']:.1f}"
        lines.append(
            f"| {name} | {t['p50']:.2f} | {t['p99']:.2f} | {t['p99'] / t['p50']:.2f} | "
            f"{t['p99_median_block']:.2f} | {ratio} |"
        )
    return [
        *lines,
        "",
        "A policy is the exported file in `runtime.policy.OnnxPolicy.step`, as the control loop "
        "calls it. The last two rows are what the machine does to anything that runs on it.",
        "",
    ]


def _training_table(result: dict, sizes: NetworkSizes) -> list[str]:
    lines = [
        f"## Training, forward + backward, {sizes.batch} sequences of {sizes.steps} steps",
        "",
        "| | CPU ms | times faster than ncps |",
        "|---|---|---|",
    ]
    for name, ms in result["train_ms"].items():
        reference = result["train_ms"]["ncps LTC" if "ltc" in name.lower() else "ncps CfC"]
        lines.append(f"| {name} | {ms:.2f} | {reference / ms:.1f} |")
    return [
        *lines,
        "",
        f"The CfC stores {result['cfc_stored_parameters']} parameters, of which "
        f"{result['cfc_active_parameters']} belong to a synapse or a neuron; nn.LSTM is sized to "
        "either number.",
        "",
    ]


def _scaling_tables(scaling: dict, sizes: NetworkSizes) -> list[str]:
    if not scaling:
        return []
    lines = [
        "## How the cost grows: CPU ms of a forward + backward pass",
        "",
        f"What a table does not vary is {sizes.units} neurons, {sizes.steps} steps, batch "
        f"{sizes.batch}. The kernels compute samples in blocks of 32.",
        "",
        "![cost over neurons, sequence length and batch](networks.png)",
        "",
    ]
    for axis, curves in scaling.items():
        values = [value for value, _ in next(iter(curves.values()))]
        lines += [
            f"| {AXES[axis]} | " + " | ".join(str(value) for value in values) + " |",
            "|---" * (len(values) + 1) + "|",
        ]
        for name, points in curves.items():
            cells = {value: f"{ms:.2f}" if ms < 100 else f"{ms:.0f}" for value, ms in points}
            lines.append(f"| {name} | " + " | ".join(cells.get(v, "") for v in values) + " |")
        lines.append("")
    return lines


def _plot(scaling: dict, path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(1, len(scaling), figsize=(13, 4), sharey=True)
    for panel, (axis, curves) in zip(panels, scaling.items()):
        for name, points in curves.items():
            panel.loglog(*zip(*points), marker="o", label=name)
        values = [value for value, _ in next(iter(curves.values()))]
        panel.set_xticks(values, [str(value) for value in values])
        panel.minorticks_off()
        panel.set_xlabel(AXES[axis])
        panel.grid(True, alpha=0.3)
    panels[0].set_ylabel("forward + backward, CPU ms")
    panels[0].legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    plt.close(figure)
