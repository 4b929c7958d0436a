"""Bench sequences: the sequence tasks of the liquid papers, every network, several seeds.

Each run (task, network, seed, learning rate) is written to ``sequences.json`` as it ends and never
run twice, so an interrupted benchmark goes on where it was. The table states mean ± standard
deviation over seeds, the published figures and the trivial floors.
"""

import argparse
import hashlib
import json
import platform
import sys
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from pydantic import Field

from liquid_control.bench import expressivity, studies, tasks
from liquid_control.bench.sequence_training import Task, one_thread, train_network
from liquid_control.config import ConfigError, StrictModel, find_file, load_yaml
from liquid_control.preflight import check_whole, output_folder, require_packages
from liquid_control.workers import add_worker_arguments, worker_pool

# parts of a task that don't decide the result of a single run
NOT_OF_A_RUN = {"learning_rates", "networks", "published", "floors", "note"}


class Suite(StrictModel):
    """The whole benchmark: config/benchmarks/sequences.yaml."""

    seeds: int = Field(ge=1)
    studies: studies.Sizes
    tasks: dict[str, Task]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--config",
        default="config/benchmarks/sequences.yaml",
        help="tasks and networks; default: %(default)s",
    )
    parser.add_argument("--task", action="append", help="only this task; may be repeated")
    parser.add_argument("--network", action="append", help="only this network; may be repeated")
    parser.add_argument("--seeds", type=int, help="number of seeds; default: the config's")
    parser.add_argument("--data", type=Path, help="folder with half_cheetah/ and mnist/")
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("out/sequences"),
        help="folder of runs, which are gone on with, and tables; default: %(default)s",
    )
    add_worker_arguments(parser)
    parser.add_argument(
        "--study", action="store_true", help="solver against closed form, and expressivity, instead"
    )
    parser.add_argument("--quick", action="store_true", help="one seed and one epoch: does it run")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")


def run(options: argparse.Namespace) -> int:
    """The command ``liquid-control bench sequences``."""
    suite = load_yaml(find_file(options.config, "config/benchmarks"), Suite)
    if options.study:
        return _study(options, suite.studies)
    summary = bench_sequences(
        suite,
        options.out,
        data=options.data and options.data.absolute(),  # for workers on other machines
        only_tasks=options.task,
        only_networks=options.network,
        seeds=options.seeds,
        quick=options.quick,
        jobs=options.jobs,
        ray_address=options.ray,
        report=lambda line: print(line, file=sys.stderr, flush=True),
    )
    if options.json:
        print(json.dumps(summary["results"], allow_nan=False))
    else:
        print(summary["markdown"])
    return 0


def _study(options: argparse.Namespace, sizes: studies.Sizes) -> int:
    check_whole("--seeds", options.seeds)
    changes = {"seeds": options.seeds} if options.seeds else {}
    sizes = sizes.model_copy(update={**changes, **({"seeds": 1} if options.quick else {})})
    require_packages("matplotlib")
    output_folder(options.out)
    solver = studies.solver_study(sizes)
    lengths = expressivity.expressivity_study(sizes.expressivity)
    table = (
        "Command: `liquid-control bench sequences --study`. Mean ± standard deviation, over "
        f"{sizes.seeds} seeds and, for the trajectory lengths, {sizes.expressivity.draws} draws of "
        f"the weights.\n\n{studies.markdown(solver, lengths)}"
    )
    (options.out / "studies.md").write_text(table)
    studies.plot(solver, lengths, options.out / "studies.png")
    result = {"solver": solver, "expressivity": lengths}
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
    jobs: int = 1,
    ray_address: str | None = None,
    report=lambda line: None,
) -> dict:
    """Run what is missing in ``out``, then write and return the table.

    Returns {"results": {task: {network: {mean, std, seeds, ...}}}, "markdown": table}. A task
    whose data are not there is left out and named in the table. ``jobs`` and ``ray_address``: see
    `worker_pool`.
    """
    chosen = {name: suite.tasks[name] for name in suite.tasks if name in (only_tasks or [name])}
    _check_names("--task", only_tasks, suite.tasks)
    _check_names("--network", only_networks, {n for task in chosen.values() for n in task.networks})
    check_whole("--seeds", seeds)
    if data is not None and not data.is_dir():
        raise ConfigError(f"--data {data}: expected a folder with half_cheetah/ or mnist/")
    output_folder(out)
    runs, absent = _Runs(out / "sequences.json", quick), {}
    pairs = []
    for name, task in chosen.items():
        try:
            _parts(name, task, 0, data)
        except (ConfigError, ModuleNotFoundError) as error:
            absent[name] = str(error)
        else:
            pairs += [(name, task, n) for n in task.networks if n in (only_networks or [n])]
    with worker_pool(jobs, ray_address, len(pairs)) as run:
        # the trials of the learning rate at seed 0, then the other seeds at the chosen one
        last = 1 if quick else seeds or suite.seeds
        for chunk in (range(1), range(1, last)):
            missing = [job for pair in pairs for job in runs.missing(*pair, chunk, data)]
            for k, (job, result) in enumerate(run(_run, missing), 1):
                runs.keep(job, result)
                report(
                    f"{k} of {len(missing)}: {job.name} {job.network} seed {job.seed} rate "
                    f"{job.learning_rate:g}: valid {result['valid']:.4g}, test "
                    f"{result['score']:.4g} ({result['seconds']:.0f} s)"
                )
    results = _collect(suite, runs)
    markdown = _markdown(suite, results, absent)
    (out / "sequences.md").write_text(markdown)
    return {"results": results, "markdown": markdown}


def _check_names(option: str, names: list[str] | None, known: Collection[str]) -> None:
    for name in names or ():
        if name not in known:
            raise ConfigError(f"{option} {name}: expected one of {', '.join(known)}")


@dataclass(frozen=True)
class _Job:
    """One run: a network of a task, a seed, a learning rate."""

    key: str
    name: str
    task: Task
    network: str
    seed: int
    learning_rate: float
    epochs: int
    data: Path | None


def _run(job: _Job) -> tuple[_Job, dict]:
    parts = _parts(job.name, job.task, job.seed, job.data)
    network = job.task.networks[job.network]
    with one_thread():
        return job, train_network(
            job.task,
            network,
            parts,
            seed=job.seed,
            learning_rate=job.learning_rate,
            epochs=job.epochs,
        )


class _Runs:
    """The finished runs of one sequences.json."""

    def __init__(self, path: Path, quick: bool) -> None:
        self.path, self.quick = path, quick
        try:
            self.done = json.loads(path.read_text()) if path.is_file() else {}
        except ValueError as error:
            raise ConfigError(f"{path}: not a file of runs: {error}") from None

    def key(self, name: str, task: Task, network: str, seed: int, rate: float) -> str:
        """Names a run by all that decides its result, so that a changed setting is run anew."""
        settings = {
            "task": task.model_dump(exclude=NOT_OF_A_RUN, exclude_defaults=True),
            "network": task.networks[network].model_dump(exclude_defaults=True),
            "quick": self.quick,
        }
        digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:10]
        return f"{name}/{network}/{seed}/{rate:g}/{digest}"

    def missing(
        self, name: str, task: Task, network: str, seeds: range, data: Path | None
    ) -> Iterator[_Job]:
        """What has not run: all learning rates at seed 0, the chosen one at the other seeds."""
        epochs = 1 if self.quick else task.epochs
        for seed in seeds:
            rates = [self.chosen_rate(name, task, network)] if seed else task.learning_rates
            for rate in rates:
                key = self.key(name, task, network, seed, rate)
                if key not in self.done:
                    yield _Job(key, name, task, network, seed, rate, epochs, data)

    def keep(self, job: _Job, result: dict) -> None:
        """Add a result; it is on disk at once."""
        about = {"task": job.name, "network": job.network, "seed": job.seed}
        self.done[job.key] = {**about, **result}
        partial = self.path.with_suffix(".partial")
        partial.write_text(json.dumps(self.done, indent=1))
        partial.replace(self.path)

    def chosen_rate(self, name: str, task: Task, network: str) -> float | None:
        """The learning rate that is best on validation at seed 0; None before all are tried."""
        if len(task.learning_rates) == 1:
            return task.learning_rates[0]
        keys = {rate: self.key(name, task, network, 0, rate) for rate in task.learning_rates}
        if any(key not in self.done for key in keys.values()):
            return None
        sign = 1.0 if task.metric == "mse" else -1.0
        return min(keys, key=lambda rate: sign * self.done[keys[rate]]["valid"])

    def of(self, name: str, task: Task, network: str, rate: float, seeds: int) -> list[dict]:
        """The finished runs of the first ``seeds`` seeds."""
        keys = [self.key(name, task, network, seed, rate) for seed in range(seeds)]
        return [self.done[key] for key in keys if key in self.done]


def _parts(name: str, task: Task, seed: int, data: Path | None) -> tasks.Parts:
    rng = np.random.default_rng(1000 + seed)
    if name.startswith("half_cheetah"):
        if data is None:
            raise ConfigError("needs --data DIR with half_cheetah/*.npy")
        return tasks.half_cheetah(data / "half_cheetah")
    if name == "digits":
        mnist = None if data is None or not (data / "mnist").is_dir() else data / "mnist"
        return tasks.digits(rng, mnist)
    if name.startswith("xor_") and task.sizes is not None:
        return tasks.xor(rng, task.sizes, form=name.removeprefix("xor_"))
    raise ConfigError(f"task {name!r} is not known, or its sizes are missing")


def _collect(suite: Suite, runs: _Runs) -> dict:
    """Mean and standard deviation over the seeds of each task and network whose trials are done."""
    results: dict[str, dict] = {}
    for name, task in suite.tasks.items():
        for network in task.networks:
            rate = runs.chosen_rate(name, task, network)
            finished = [] if rate is None else runs.of(name, task, network, rate, suite.seeds)
            if not finished:
                continue
            scores = [run["score"] for run in finished]
            results.setdefault(name, {})[network] = {
                "mean": float(np.mean(scores)),
                "std": float(np.std(scores, ddof=1)) if len(scores) > 1 else None,
                "seeds": len(scores),
                "learning_rate": rate,
                "parameters": finished[0]["parameters"],
                "seconds": float(np.mean([run["seconds"] for run in finished])),
            }
    return results


def _markdown(suite: Suite, results: dict, absent: dict) -> str:
    lines = [
        "Command: `liquid-control bench sequences`. Test score at the best validation epoch, mean "
        f"± standard deviation over {suite.seeds} seeds. Within a task every network has the same "
        "batch, epochs, schedule and trials of the learning rate, the best of which on validation "
        f"at seed 0 is taken. torch {torch.__version__}, {platform.machine()}, one CPU thread; "
        "seconds are of CPU.",
        "",
    ]
    for name, task in suite.tasks.items():
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
            seeds = r["seeds"] if r["seeds"] >= suite.seeds else f"{r['seeds']} of {suite.seeds}"
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
