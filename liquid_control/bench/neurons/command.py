"""Bench neurons: what the neurons of a policy do, and what is lost when one is removed.

Principal components and time constants of the neurons over straights and turns, and the flights
without each neuron and without each synapse, on equal seeds. Flights are written as they end and
never flown twice, so an interrupted benchmark goes on where it was.
"""

import argparse
import json
import shlex
import sys
from pathlib import Path

from liquid_control.arguments import add_json_argument, complete_names

CONFIG = "config/benchmarks/neurons.yaml"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Its options: which policy in which world, and the folder for flights, page and picture."""
    parser.add_argument("--config", default=CONFIG, help="what is flown; default: %(default)s")
    policy = parser.add_argument("--policy", help="in place of the config's")
    complete_names(policy, "config/policies")
    world = parser.add_argument("--world", help="in place of the config's")
    complete_names(world, "sim_worlds")
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("out/neurons"),
        help="folder of flights, which are gone on with, page and picture; default: %(default)s",
    )
    parser.add_argument(
        "--quick", action="store_true", help="few short flights, no synapses: does it run"
    )
    add_json_argument(parser)


def run(options: argparse.Namespace) -> int:
    """Fly what is missing, print and write the page; returns the exit status."""
    from liquid_control.bench.neurons.benchmark import study_neurons
    from liquid_control.bench.neurons.sizes import NeuronSizes
    from liquid_control.config import find_file, load_yaml

    sizes = load_yaml(find_file(options.config, "config/benchmarks"), NeuronSizes)
    given = {key: getattr(options, key) for key in ("policy", "world")}
    sizes = sizes.model_copy(update={key: value for key, value in given.items() if value})
    result = study_neurons(
        sizes.quick() if options.quick else sizes,
        options.out,
        synapses=not options.quick,
        about=about(options),
        report=lambda line: print(line, file=sys.stderr, flush=True),
    )
    page = result.pop("markdown")
    print(json.dumps(result, allow_nan=False) if options.json else page)
    return 0


def about(options: argparse.Namespace) -> str:
    """What was typed, as far as it changes what is measured, and where and when it was."""
    from liquid_control.evaluation.provenance import provenance

    words = ["liquid-control", "bench", "neurons"]
    words += ["--config", options.config] if options.config != CONFIG else []
    for key in ("policy", "world"):
        words += [f"--{key}", getattr(options, key)] if getattr(options, key) else []
    words += ["--quick"] if options.quick else []
    of = provenance()
    where = f"{of['date']}; {of['processor']}; liquid_control {of['liquid_control']}"
    return (
        f"Command: `{shlex.join(words)}`. {where}, python {of['python']}, "
        f"pybullet {of['pybullet']}, onnxruntime {of['onnxruntime']}."
    )
