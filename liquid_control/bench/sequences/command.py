"""Bench sequences: the sequence tasks of the liquid papers, every network, several seeds.

Each run (task, network, seed, learning rate, epochs) is written to ``sequences.json`` as it ends
and never run twice, so an interrupted benchmark goes on where it was. The table states means and
95 % intervals, the published figures of the same task and the trivial floors.
"""

import argparse
import json
import sys
from pathlib import Path

from liquid_control.arguments import add_json_argument, add_worker_arguments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Its options: tasks, networks, data, workers, and the studies."""
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
    parser.add_argument("--only-table", action="store_true", help="the table of what has run")
    parser.add_argument(
        "--quick", action="store_true", help="one seed, rate and epoch: does it run"
    )
    add_json_argument(parser)


def run(options: argparse.Namespace) -> int:
    """Run what is missing and print the tables; returns the exit status."""
    from liquid_control.bench.sequences.config import SequenceBenchmark
    from liquid_control.config import find_file, load_yaml

    benchmark = load_yaml(find_file(options.config, "config/benchmarks"), SequenceBenchmark)
    result = _study(options, benchmark) if options.study else _train(options, benchmark)
    table = result.pop("markdown")
    if options.json:
        print(json.dumps(result if options.study else result["results"], allow_nan=False))
    else:
        print(table)
    return 0


def _study(options: argparse.Namespace, benchmark) -> dict:
    from liquid_control.bench.studies.benchmark import run_studies

    return run_studies(benchmark.studies, options.out, seeds=1 if options.quick else options.seeds)


def _train(options: argparse.Namespace, benchmark) -> dict:
    from liquid_control.bench.sequences.benchmark import train_missing

    return train_missing(
        benchmark,
        options.out,
        data=options.data and options.data.absolute(),  # for workers on other machines
        only_tasks=options.task,
        only_networks=options.network,
        seeds=options.seeds,
        quick=options.quick,
        only_table=options.only_table,
        jobs=options.jobs,
        ray_address=options.ray,
        report=lambda line: print(line, file=sys.stderr, flush=True),
    )
