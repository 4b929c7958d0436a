"""The table of the sequence tasks."""

import platform

import torch

from liquid_control.bench.sequences.config import SequenceBenchmark, Task


def markdown(benchmark: SequenceBenchmark, results: dict, absent: dict) -> str:
    """A table a task: every network, the published figures and the trivial floors."""
    planned = benchmark.seeds
    lines = [
        "Command: `liquid-control bench sequences`. Test score at the best validation epoch, mean "
        f"± standard deviation over {planned} seeds. Within a task every network has the same "
        "batch, epochs, schedule and trials of the learning rate, the best of which on validation "
        f"at seed 0 is taken. torch {torch.__version__}, {platform.machine()}, one CPU thread; "
        "seconds are of CPU.",
        "",
    ]
    for name, task in benchmark.tasks.items():
        rates = ", ".join(f"{rate:g}" for rate in task.learning_rates)
        protocol = f"{task.epochs} epochs, batch {task.batch}, learning rates tried: {rates}."
        lines += [f"### {name}", "", f"{task.note.strip()} {protocol}", ""]
        if name in absent:
            lines += [f"Not run here: {absent[name]}", ""]
        heading = "MSE" if task.metric == "mse" else "accuracy"
        lines += [f"| network | {heading} | seeds | learning rate | parameters | s a run |",
                  "|---|---|---|---|---|---|"]  # fmt: skip
        rows = results.get(name, {})
        order = sorted(rows, key=lambda key: rows[key]["mean"], reverse=task.metric != "mse")
        for network in order:
            r = rows[network]
            seeds = r["seeds"] if r["seeds"] >= planned else f"{r['seeds']} of {planned}"
            lines.append(
                f"| {network} | {_with_spread(task, r)} | {seeds} | {r['learning_rate']:g} | "
                f"{r['parameters']} | {r['seconds']:.0f} |"
            )
        lines += [f"| {k} | not run | | | | |" for k in task.networks if k not in rows]
        lines += [f"| *{k}* (published) | {v} | | | | |" for k, v in task.published.items()]
        lines += [f"| *{k}* (floor) | {v} | | | | |" for k, v in task.floors.items()]
        lines.append("")
    return "\n".join(lines)


def _with_spread(task: Task, row: dict) -> str:
    scale, digits, unit = (1, 3, "") if task.metric == "mse" else (100, 2, " %")
    spread = "" if row["std"] is None else f" ± {scale * row['std']:.{digits}f}"
    return f"{scale * row['mean']:.{digits}f}{spread}{unit}"
