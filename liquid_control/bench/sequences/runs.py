"""The runs of the benchmark: which are missing, what is done, what came of them."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from liquid_control.bench.sequences.config import SequenceBenchmark, Task
from liquid_control.config import ConfigError

# parts of a task that don't decide the result of a single run
NOT_OF_A_RUN = {"learning_rates", "networks", "published", "floors", "note"}


@dataclass(frozen=True)
class Run:
    """One run: a network of a task, a seed, a learning rate."""

    key: str
    name: str
    task: Task
    network: str
    seed: int
    learning_rate: float
    epochs: int
    data: Path | None


class RunFile:
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
    ) -> Iterator[Run]:
        """What has not run: all learning rates at seed 0, the chosen one at the other seeds."""
        epochs = 1 if self.quick else task.epochs
        for seed in seeds:
            rates = [self.chosen_rate(name, task, network)] if seed else task.learning_rates
            for rate in rates:
                key = self.key(name, task, network, seed, rate)
                if key not in self.done:
                    yield Run(key, name, task, network, seed, rate, epochs, data)

    def keep(self, job: Run, result: dict) -> None:
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


def collect(benchmark: SequenceBenchmark, runs: RunFile) -> dict:
    """Mean and standard deviation over the seeds of each task and network whose trials are done."""
    results: dict[str, dict] = {}
    for name, task in benchmark.tasks.items():
        for network in task.networks:
            rate = runs.chosen_rate(name, task, network)
            finished = [] if rate is None else runs.of(name, task, network, rate, benchmark.seeds)
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
