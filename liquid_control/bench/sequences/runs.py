"""The runs of the benchmark: which are missing, what is done, which of them make a row."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from liquid_control.bench.sequences.config import SequenceBenchmark, Task
from liquid_control.bench.sequences.trials import Choice, choose, is_late
from liquid_control.config import ConfigError
from liquid_control.whole_file import write_whole

# parts of a task that don't decide the result of a single run
NOT_OF_A_RUN = {
    "title", "learning_rates", "rate_limits", "most_epochs", "networks", "published", "floors",
    "note",
}  # fmt: skip


@dataclass(frozen=True)
class Run:
    """One run: a network of a task, a seed, a learning rate, a number of epochs."""

    key: str
    name: str
    task: Task
    network: str
    seed: int
    learning_rate: float
    epochs: int
    data: Path | None


class RunFile:
    """The finished runs of one sequences.json, those of older protocols among them."""

    def __init__(self, path: Path, benchmark: SequenceBenchmark, quick: bool) -> None:
        self.path, self.benchmark, self.quick = path, benchmark, quick
        try:
            self.done = json.loads(path.read_text()) if path.is_file() else {}
        except ValueError as error:
            raise ConfigError(f"{path}: not a file of runs: {error}") from None

    def key(self, name: str, network: str, seed: int, rate: float, epochs: int) -> str:
        """Names a run by all that decides its result, so that a changed setting is run anew."""
        return self._key(name, network, seed, rate, epochs, self.benchmark.protocol)

    def trials(self, name: str, network: str, data: Path | None) -> Iterator[Run]:
        """What is to be tried next at seed 0; nothing once learning rate and epochs are chosen."""
        choice = self.choice(name, network)
        for rate in choice.wanted:
            yield self._run(name, network, 0, rate, choice.epochs, data)

    def others(self, name: str, network: str, seeds: int, data: Path | None) -> Iterator[Run]:
        """What is missing of the other seeds, at what was chosen."""
        choice = self.choice(name, network)
        for seed in () if choice.wanted else range(1, seeds):
            run = self._run(name, network, seed, choice.rate, choice.epochs, data)
            if run.key not in self.done:
                yield run

    def keep(self, job: Run, result: dict) -> None:
        """Add a result; it is on disk at once."""
        about = {"protocol": self.benchmark.protocol, "task": job.name, "network": job.network}
        self.done[job.key] = {**about, "seed": job.seed, **result}
        write_whole(self.path, json.dumps(self.done, indent=1))

    def choice(self, name: str, network: str) -> Choice:
        """The learning rate and epochs of a network, by the rule of `choose`."""
        task = self._task(name)
        return choose(task, lambda *at: self.done.get(self.key(name, network, 0, *at)))

    def row(self, name: str, network: str) -> tuple[list[dict], str]:
        """The runs that make a row of the table, and what is open about it ("": nothing).

        They are the seeds at the chosen rate and epochs; where there are none, those of the old
        protocol, which tried the first rates and epochs only. No runs: nothing has run.
        """
        choice = self.choice(name, network)
        if not choice.wanted:
            runs = self._seeds(name, network, choice.rate, choice.epochs, self.benchmark.protocol)
            remarks = [] if len(runs) == self.benchmark.seeds else [f"{len(runs)} seeds"]
            late = sum(is_late(run["best_epoch"], choice.epochs) for run in runs)
            if 2 * late > len(runs) and not choice.stopped_by:
                remarks.append(f"best epoch late in {late} of {len(runs)} seeds")
            return runs, "; ".join([*remarks, *choice.stopped_by])
        task = self._task(name)
        trials = {
            rate: self.done.get(self._key(name, network, 0, rate, task.epochs, None))
            for rate in task.learning_rates
        }
        tried = {rate: run["valid"] for rate, run in trials.items() if run is not None}
        if not tried:
            return [], "missing"
        best = min(tried, key=lambda rate: tried[rate] * (1 if task.metric == "mse" else -1))
        return self._seeds(name, network, best, task.epochs, None), "old protocol"

    def _task(self, name: str) -> Task:
        task = self.benchmark.tasks[name]
        if self.quick:
            few = {"epochs": 1, "most_epochs": None, "rate_limits": None}
            return task.model_copy(update={**few, "learning_rates": task.learning_rates[:1]})
        return task

    def _run(self, name, network, seed, rate, epochs, data) -> Run:
        key = self.key(name, network, seed, rate, epochs)
        return Run(key, name, self._task(name), network, seed, rate, epochs, data)

    def _seeds(self, name, network, rate, epochs, protocol: int | None) -> list[dict]:
        keys = [
            self._key(name, network, seed, rate, epochs, protocol)
            for seed in range(self.benchmark.seeds)
        ]
        return [self.done[key] for key in keys if key in self.done]

    def _key(self, name, network, seed, rate, epochs, protocol: int | None) -> str:
        """protocol None: the name that the runs before protocol 2 have."""
        task = self._task(name)
        settings = {
            "task": task.model_dump(exclude=NOT_OF_A_RUN, exclude_defaults=True)
            | {"epochs": epochs},
            "network": task.networks[network].model_dump(exclude_defaults=True),
            "quick": self.quick,
        }
        if protocol is not None:
            settings["protocol"] = protocol
        digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:10]
        return f"{name}/{network}/{seed}/{rate:g}/{digest}"
