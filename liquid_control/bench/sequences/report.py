"""The rows of the sequence tasks and their tables."""

import platform

import numpy as np
import torch

from liquid_control.bench.sequences.config import SequenceBenchmark, Task
from liquid_control.bench.sequences.intervals import crossed_interval, seeds_interval
from liquid_control.bench.sequences.runs import RunFile
from liquid_control.bench.sequences.trials import FACTOR, LAST


def collect(benchmark: SequenceBenchmark, runs: RunFile) -> dict:
    """{task: {network: row}} of what has run.

    A row has mean (of the test scores over seeds), seeds_interval and rollouts_interval (95 %; None
    where they need more seeds, or rollouts), seeds, learning_rate, epochs, parameters, seconds (of
    CPU a run) and open (what is not as the protocol wants it, "" for nothing).
    """
    results: dict[str, dict] = {}
    for name, task in benchmark.tasks.items():
        for network in task.networks:
            finished, remark = runs.row(name, network)
            if not finished:
                continue
            scores = [run["score"] for run in finished]
            groups = [run.get("groups") for run in finished]
            results.setdefault(name, {})[network] = {
                "mean": float(np.mean(scores)),
                "seeds_interval": seeds_interval(scores),
                "rollouts_interval": None if None in groups else crossed_interval(groups),
                "seeds": len(scores),
                "learning_rate": finished[0]["learning_rate"],
                "epochs": finished[0]["epochs"],
                "parameters": finished[0]["parameters"],
                "seconds": float(np.mean([run["seconds"] for run in finished])),
                "open": remark,
            }
    return results


def markdown(benchmark: SequenceBenchmark, results: dict, absent: dict) -> str:
    """A table a task: every network, the published figures of that task and the trivial floors."""
    lines = [
        "Command: `liquid-control bench sequences`. Test score at the best validation epoch: mean "
        f"over {benchmark.seeds} seeds with its 95 % interval (Student's t over seeds; the second "
        "one, where it stands, over other rollouts as well). Every network of a task has the same "
        "batch and schedule, and learning rate and epochs by the same rule, on validation at seed "
        f"0: rates by a factor of {FACTOR:g} until the best has a worse one on either side, "
        f"epochs doubled until the best is not among the last {100 * LAST:.0f} %. \"Open\" says "
        "where the limits of the task ended this, or what has not run; \"old protocol\" are runs "
        "of a fixed number of epochs at the first rates only. torch "
        f"{torch.__version__}, {platform.machine()}, one CPU thread; seconds are of CPU.",
        "",
    ]  # fmt: skip
    for name, task in benchmark.tasks.items():
        rates = ", ".join(f"{rate:g}" for rate in task.learning_rates)
        if task.rate_limits is not None:
            rates += " and on within {:g} to {:g}".format(*task.rate_limits)
        epochs = f"{task.epochs} epochs" + (f" to {task.most_epochs}" if task.most_epochs else "")
        protocol = f"{epochs}, batch {task.batch}, learning rates tried: {rates}."
        lines += [f"### {name}: {task.title}", "", f"{task.note.strip()} {protocol}", ""]
        if name in absent:
            lines += [f"Not run here: {absent[name]}", ""]
        heading = "MSE" if task.metric == "mse" else "accuracy"
        lines += [
            f"| network | {heading} | with other rollouts | seeds | learning rate | epochs | "
            "parameters | s a run | open |",
            "|---|---|---|---|---|---|---|---|---|",
        ]
        rows = results.get(name, {})
        order = sorted(rows, key=lambda key: rows[key]["mean"], reverse=task.metric != "mse")
        for network in order:
            r = rows[network]
            lines.append(
                f"| {network} | {figure(task, r)} | {_interval(task, r['rollouts_interval'])} | "
                f"{r['seeds']} | {r['learning_rate']:g} | {r['epochs']} | {r['parameters']} | "
                f"{r['seconds']:.0f} | {r['open']} |"
            )
        lines += [f"| {k} | | | | | | | | missing |" for k in task.networks if k not in rows]
        for kind, figures in (("published", task.published), ("floor", task.floors)):
            lines += [f"| *{k}* ({kind}) | {v} | | | | | | | |" for k, v in figures.items()]
        lines.append("")
    return "\n".join(lines)


def side_by_side(benchmark: SequenceBenchmark, results: dict, tasks: list[str]) -> str:
    """One short table of several tasks: a line a network, the best of the first task first.

    What has not run is called missing, runs of the old protocol are marked †. Published figures
    stand in a column of their own, right of the task that they are of.
    """
    names = list(dict.fromkeys(n for task in tasks for n in benchmark.tasks[task].networks))
    published = [task for task in tasks if benchmark.tasks[task].published]
    others = dict.fromkeys(n for task in published for n in benchmark.tasks[task].published)
    head = ["network"]
    for task in tasks:
        head += [benchmark.tasks[task].title, *(["published"] if task in published else [])]
    lines = [head, ["---"] * len(head)]

    def place(name: str) -> list[float]:
        rows = [(benchmark.tasks[key], results.get(key, {}).get(name)) for key in tasks]
        return [np.inf if r is None else r["mean"] * (1 if t.metric == "mse" else -1)
                for t, r in rows]  # fmt: skip

    names.sort(key=place)
    for name in [*names, *(other for other in others if other not in names)]:
        line = [name]
        for key in tasks:
            task, row = benchmark.tasks[key], results.get(key, {}).get(name)
            if row is not None:
                line.append(figure(task, row) + (" †" if row["open"] == "old protocol" else ""))
            else:
                line.append("missing" if name in task.networks else "")
            if key in published:
                line.append(task.published.get(name, ""))
        lines.append(line)
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def figure(task: Task, row: dict) -> str:
    """The mean and its interval over seeds, as all tables have them."""
    scale, digits, unit = _look(task)
    interval = _interval(task, row["seeds_interval"])
    return f"{scale * row['mean']:.{digits}f}{f' {interval}' if interval else ''}{unit}"


def _interval(task: Task, interval: tuple[float, float] | None) -> str:
    if interval is None:
        return ""
    scale, digits, _ = _look(task)
    low, high = interval
    if task.metric != "mse":
        high = min(high, 1.0)
    return f"[{scale * low:.{digits}f}, {scale * high:.{digits}f}]"


def _look(task: Task) -> tuple[int, int, str]:
    return (1, 3, "") if task.metric == "mse" else (100, 2, " %")
