"""Bench sequences: the sequence tasks of the liquid papers, every network, several seeds.

Each run (task, network, seed) is written to ``results.json`` as it ends and never run twice, so an
interrupted benchmark goes on where it was. The table states mean ± standard deviation over seeds,
the published figures and the trivial floors.
"""

import argparse
import hashlib
import json
import platform
import sys
import time
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from pydantic import Field
from torch.nn import functional as F

from liquid_control.config import ConfigError, StrictModel, find_file, load_yaml
from liquid_control.nn.baselines import Readout
from liquid_control.nn.bench import studies, tasks
from liquid_control.nn.bench.tasks import Sequences
from liquid_control.nn.cell import Cell
from liquid_control.nn.sequence import run_sequence
from liquid_control.nn.zoo import build_cell


class Network(StrictModel):
    """A network in a task: ``cell`` is its config, sizes are filled in by the task."""

    cell: dict
    units: int = Field(gt=0)
    learning_rate: float = Field(gt=0)
    epochs: int = Field(gt=0)
    with_time: bool = True  # False: every dt is replaced by the mean


class Task(StrictModel):
    """What is trained on, how, and what others reached."""

    metric: Literal["mse", "accuracy_last_step", "accuracy_last"]  # the last: class at the end only
    batch: int = Field(gt=0)
    sizes: tuple[int, int, int] | None = None  # sequences to draw: train, valid, test
    networks: dict[str, Network]
    published: dict[str, str]
    floors: dict[str, str]
    note: str


class Suite(StrictModel):
    """The whole benchmark: config/benchmarks/sequences.yaml."""

    seeds: int = Field(ge=1)
    tasks: dict[str, Task]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", default="config/benchmarks/sequences.yaml")
    parser.add_argument("--task", action="append", help="only this task; may be repeated")
    parser.add_argument("--network", action="append", help="only this network; may be repeated")
    parser.add_argument("--seeds", type=int, help="number of seeds; default: the config's")
    parser.add_argument("--data", type=Path, help="folder with half_cheetah/ and mnist/")
    parser.add_argument("--out", type=Path, default=Path("results/sequences"))
    parser.add_argument(
        "--study", action="store_true", help="solver against closed form, and expressivity, instead"
    )
    parser.add_argument("--quick", action="store_true", help="one seed and one epoch: does it run")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")


def run(options: argparse.Namespace) -> int:
    """The command ``liquid-control bench sequences``."""
    if options.study:
        return _study(options)
    summary = bench_sequences(
        load_yaml(find_file(options.config, "config/benchmarks"), Suite),
        options.out,
        data=options.data,
        only_tasks=options.task,
        only_networks=options.network,
        seeds=options.seeds,
        quick=options.quick,
        report=lambda line: print(line, file=sys.stderr, flush=True),
    )
    if options.json:
        print(json.dumps(summary["results"], allow_nan=False))
    else:
        print(summary["markdown"])
    return 0


def _study(options: argparse.Namespace) -> int:
    seeds = 1 if options.quick else options.seeds or 5
    solver = studies.solver_study(seeds, updates=20 if options.quick else 400)
    expressivity = studies.expressivity_study(seeds)
    table = (
        "Command: `liquid-control bench sequences --study`. Mean ± standard deviation over "
        f"{seeds} seeds.\n\n{studies.markdown(solver, expressivity)}"
    )
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "studies.md").write_text(table)
    result = {"solver": solver, "expressivity": expressivity}
    print(json.dumps(result, allow_nan=False) if options.json else table)
    return 0


def bench_sequences(
    suite: Suite,
    out: Path,
    *,
    data: Path | None = None,
    only_tasks: list[str] | None = None,
    only_networks: list[str] | None = None,
    seeds: int | None = None,
    quick: bool = False,
    report=lambda line: None,
) -> dict:
    """Run what is missing in ``out``, then write and return the table.

    Returns {"results": {task: {network: {mean, std, seeds, ...}}}, "markdown": table}. A task
    whose data are not there is left out and named in the table.
    """
    for name, known in ((only_tasks, suite.tasks), (only_networks, None)):
        for entry in name or ():
            if known is not None and entry not in known:
                raise ConfigError(f"--task {entry}: expected one of {', '.join(known)}")
    out.mkdir(parents=True, exist_ok=True)
    path = out / "results.json"
    done = json.loads(path.read_text()) if path.is_file() else {}
    absent = {}
    for task_name, task in suite.tasks.items():
        if only_tasks and task_name not in only_tasks:
            continue
        for network_name, network in task.networks.items():
            if only_networks and network_name not in only_networks:
                continue
            for seed in range(1 if quick else (seeds or suite.seeds)):
                key = _key(task_name, task, network_name, network, seed, quick)
                if key in done:
                    continue
                try:
                    parts = _parts(task_name, task, seed, data)
                except (ConfigError, ModuleNotFoundError) as error:
                    absent[task_name] = str(error)
                    break
                result = _train(task, network, parts, seed, 1 if quick else network.epochs)
                done[key] = {"task": task_name, "network": network_name, "seed": seed, **result}
                partial = path.with_suffix(".partial")
                partial.write_text(json.dumps(done, indent=1))
                partial.replace(path)
                report(f"{task_name} {network_name} seed {seed}: {result['score']:.4g} "
                       f"({result['seconds']:.0f} s)")  # fmt: skip
    results = _collect(suite, done, quick)
    markdown = _markdown(suite, results, absent)
    (out / "sequences.md").write_text(markdown)
    return {"results": results, "markdown": markdown}


def _key(task_name, task, network_name, network, seed, quick) -> str:
    """Names a run by all that decides its result, so that a changed setting is run anew."""
    settings = {
        "task": task.model_dump(include={"metric", "batch", "sizes"}),
        "network": network.model_dump(),
        "quick": quick,
    }
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:10]
    return f"{task_name}/{network_name}/{seed}/{digest}"


def _parts(name: str, task: Task, seed: int, data: Path | None) -> tasks.Parts:
    rng = np.random.default_rng(1000 + seed)
    if name == "half_cheetah":
        if data is None:
            raise ConfigError("needs --data DIR with half_cheetah/*.npy")
        return tasks.half_cheetah(data / "half_cheetah")
    if name == "digits":
        mnist = None if data is None or not (data / "mnist").is_dir() else data / "mnist"
        return tasks.digits(rng, mnist)
    if name.startswith("xor_") and task.sizes is not None:
        return tasks.xor(rng, task.sizes, form=name.removeprefix("xor_"))
    raise ConfigError(f"task {name!r} is not known, or its sizes are missing")


def make_network(network: Network, inputs: int, outputs: int, rng: torch.Generator, seed: int):
    """The cell of a task with a linear readout of all its neurons; one unit of time is nominal."""
    config = {**network.cell, "nominal_dt": 1.0}
    wired = config["cell"] if config["kind"] == "mixed_memory" else config
    if wired["kind"] in ("cfc", "ltc"):
        sizes = {"sensory": inputs, "units": network.units, "seed": seed}
        motor = network.units if wired["wiring"]["kind"] != "auto_ncp" else outputs
        wired = {**wired, "wiring": {**wired["wiring"], **sizes, "motor": motor}}
        wired["nominal_dt"] = config.pop("nominal_dt")
        config = {**config, "cell": wired} if config["kind"] == "mixed_memory" else wired
    else:
        config |= {"input_size": inputs, "units": network.units}
    return Readout(build_cell(config, rng), output_size=outputs, rng=rng)


def _train(task: Task, network: Network, parts: tasks.Parts, seed: int, epochs: int) -> dict:
    """Adam, clipped gradients, one-cycle learning rate; test at the best validation epoch."""
    rng = torch.Generator().manual_seed(seed)
    if not network.with_time:
        parts = tuple(part.without_time() for part in parts)
    train, valid, test = parts
    inputs = train.input_NTF.shape[2]
    outputs = train.target.shape[2] if task.metric == "mse" else int(train.target.max()) + 1
    cell = make_network(network, inputs, outputs, rng, seed)
    optimizer = torch.optim.Adam(cell.parameters(), lr=network.learning_rate)
    batches = len(train) // task.batch
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, network.learning_rate, total_steps=epochs * batches, pct_start=0.1
    )
    best, score, start = None, None, time.process_time()
    for _ in range(epochs):
        order = torch.randperm(len(train), generator=rng)
        for k in range(batches):
            batch = train.take(order[k * task.batch : (k + 1) * task.batch])
            loss = _loss(task, batch, _outputs(cell, batch))
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(cell.parameters(), 1.0)
            optimizer.step()
            schedule.step()
        here = _score(task, cell, valid)
        if best is None or (here < best if task.metric == "mse" else here > best):
            best, score = here, _score(task, cell, test)
    return {
        "score": score,
        "parameters": cell.parameter_count(),
        "seconds": time.process_time() - start,
        "epochs": epochs,
    }


def _outputs(cell: Cell, part: Sequences) -> torch.Tensor:
    state = cell.initial_state(len(part))
    return run_sequence(cell, part.input_NTF, state, part.dt_NT1, observed_BT=part.observed_NT)[0]


def _loss(task: Task, part: Sequences, output_NTO: torch.Tensor) -> torch.Tensor:
    if task.metric == "mse":
        return F.mse_loss(output_NTO, part.target)
    if task.metric == "accuracy_last":
        return F.cross_entropy(output_NTO[:, -1], part.target)
    chosen = slice(None) if part.observed_NT is None else part.observed_NT
    if part.observed_NT is None:
        return F.cross_entropy(output_NTO.flatten(0, 1), part.target.flatten())
    return F.cross_entropy(output_NTO[chosen], part.target[chosen])


@torch.no_grad()
def _score(task: Task, cell: Cell, part: Sequences) -> float:
    """MSE over all steps, or the share of sequences whose class at the end is right."""
    total, count = 0.0, 0
    for index in torch.arange(len(part)).split(512):
        batch = part.take(index)
        output = _outputs(cell, batch)
        if task.metric == "mse":
            total += F.mse_loss(output, batch.target).item() * len(index)
        else:
            target = batch.target if batch.target.dim() == 1 else batch.target[:, -1]
            total += (output[:, -1].argmax(dim=1) == target).sum().item()
        count += len(index)
    return total / count


def _collect(suite: Suite, done: dict, quick: bool) -> dict:
    """Mean and standard deviation over the seeds of each task and network of the suite."""
    results: dict[str, dict] = {}
    for task_name, task in suite.tasks.items():
        for network_name, network in task.networks.items():
            prefix = _key(task_name, task, network_name, network, 0, quick).rsplit("/", 2)
            runs = [
                run
                for key, run in done.items()
                if key.startswith(prefix[0] + "/") and key.endswith(prefix[2])
            ]
            if not runs:
                continue
            scores = [run["score"] for run in runs]
            results.setdefault(task_name, {})[network_name] = {
                "mean": float(np.mean(scores)),
                "std": float(np.std(scores, ddof=1)) if len(scores) > 1 else 0.0,
                "seeds": len(scores),
                "parameters": runs[0]["parameters"],
                "epochs": runs[0]["epochs"],
                "seconds": float(np.mean([run["seconds"] for run in runs])),
            }
    return results


def _markdown(suite: Suite, results: dict, absent: dict) -> str:
    lines = [
        "Command: `liquid-control bench sequences`. Mean ± standard deviation over seeds; "
        f"torch {torch.__version__}, {platform.machine()}, one CPU thread; seconds are of CPU.",
        "",
    ]
    for name, task in suite.tasks.items():
        lines += [f"### {name}", "", task.note, ""]
        if name in absent:
            lines += [f"Not run here: {absent[name]}", ""]
        if name not in results:
            continue
        heading = "MSE" if task.metric == "mse" else "accuracy"
        lines += [f"| network | {heading} | parameters | epochs | seeds | s a run |",
                  "|---|---|---|---|---|---|"]  # fmt: skip
        rows = sorted(results[name].items(), key=lambda item: item[1]["mean"],
                      reverse=task.metric != "mse")  # fmt: skip
        for network, r in rows:
            if task.metric == "mse":
                score = f"{r['mean']:.3f} ± {r['std']:.3f}"
            else:
                score = f"{100 * r['mean']:.2f} ± {100 * r['std']:.2f} %"
            lines.append(
                f"| {network} | {score} | {r['parameters']} | {r['epochs']} | {r['seeds']} | "
                f"{r['seconds']:.0f} |"
            )
        lines += [f"| *{k}* (published) | {v} | | | | |" for k, v in task.published.items()]
        lines += [f"| *{k}* (floor) | {v} | | | | |" for k, v in task.floors.items()]
        lines.append("")
    return "\n".join(lines)
