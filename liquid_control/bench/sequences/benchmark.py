"""The sequence benchmark: what is missing is run, then the table is written.

Each run (task, network, seed, learning rate, epochs) is written to ``sequences.json`` as it ends
and never run twice, so an interrupted benchmark goes on where it was. Learning rate and epochs of a
network are chosen by the rule of `trials`. The table states means and intervals, the published
figures of the same task and the trivial floors; what has not run it calls missing.
"""

from collections.abc import Collection
from pathlib import Path

from liquid_control.bench.sequences.config import SequenceBenchmark
from liquid_control.bench.sequences.report import collect, markdown
from liquid_control.bench.sequences.runs import Run, RunFile
from liquid_control.bench.sequences.tasks import task_parts
from liquid_control.bench.sequences.training import train_network
from liquid_control.bench.timing import one_thread
from liquid_control.config import ConfigError
from liquid_control.preflight import check_whole, output_folder
from liquid_control.spelling import did_you_mean
from liquid_control.workers import worker_pool


def train_missing(
    benchmark: SequenceBenchmark,
    out: Path,
    *,
    data: Path | None = None,
    only_tasks: list[str] | None = None,
    only_networks: list[str] | None = None,
    seeds: int | None = None,
    quick: bool = False,
    only_table: bool = False,
    jobs: int = 1,
    ray_address: str | None = None,
    report=lambda line: None,
) -> dict:
    """Run what is missing in ``out``, then write and return the table.

    Tasks run in the order of the config, each to its end. Returns {"results": {task: {network:
    {mean, seeds_interval, ...}}}, "markdown": table}. A task whose data are not there is left out
    and named in the table. ``only_table``: run nothing. ``jobs`` and ``ray_address``: see
    `worker_pool`.
    """
    chosen = {
        name: benchmark.tasks[name] for name in benchmark.tasks if name in (only_tasks or [name])
    }
    _check_names("--task", only_tasks, benchmark.tasks)
    _check_names("--network", only_networks, {n for task in chosen.values() for n in task.networks})
    check_whole("--seeds", seeds)
    if data is not None and not data.is_dir():
        raise ConfigError(f"--data {data}: expected a folder with half_cheetah/ or mnist/")
    output_folder(out)
    runs, absent = RunFile(out / "sequences.json", benchmark, quick), {}
    pairs = []
    for name, task in () if only_table else chosen.items():
        try:
            task_parts(name, task, 0, data)
        except (ConfigError, ModuleNotFoundError) as error:
            absent[name] = str(error)
        else:
            pairs += [(name, n) for n in task.networks if n in (only_networks or task.networks)]

    def train(run, jobs: list[Run]) -> bool:
        for k, (job, result) in enumerate(run(_train, jobs), 1):
            runs.keep(job, result)
            report(
                f"{k} of {len(jobs)}: {job.name} {job.network} seed {job.seed} rate "
                f"{job.learning_rate:g}, {job.epochs} epochs: valid {result['valid']:.4g}, test "
                f"{result['score']:.4g} ({result['seconds']:.0f} s)"
            )
        return bool(jobs)

    last = 1 if quick else seeds or benchmark.seeds
    with worker_pool(jobs, ray_address, len(pairs)) as run:
        # task by task, so that a table is whole before the next one begins
        for name in chosen:
            networks = [n for task, n in pairs if task == name]
            while train(run, [job for n in networks for job in runs.trials(name, n, data)]):
                pass
            train(run, [job for n in networks for job in runs.others(name, n, last, data)])
    results = collect(benchmark, runs)
    table = markdown(benchmark, results, absent)
    (out / "sequences.md").write_text(table)
    return {"results": results, "markdown": table}


def _check_names(option: str, names: list[str] | None, known: Collection[str]) -> None:
    for name in names or ():
        if name not in known:
            meant = did_you_mean(name, known)
            raise ConfigError(f"{option} {name}: {meant}expected one of {', '.join(known)}")


def _train(job: Run) -> tuple[Run, dict]:
    parts = task_parts(job.name, job.task, job.seed, job.data)
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
