"""``liquid-control bench``: the benchmarks of the registry, each with options of its own."""

from __future__ import annotations

from importlib import import_module

from liquid_control.bench.registry import BENCHMARKS


def add(commands) -> None:
    """Add the command and its benchmarks, each with its own options."""
    parser = commands.add_parser("bench", help="measure speed and reproduce published results")
    names = parser.add_subparsers(dest="name", metavar="BENCHMARK")
    for name, path in BENCHMARKS.items():
        benchmark = import_module(path)
        about = benchmark.__doc__.partition(": ")[2]
        summary = about.split("\n")[0].rstrip(".")
        parser_of_one = names.add_parser(name, help=summary, description=about)
        benchmark.add_arguments(parser_of_one)
        parser_of_one.set_defaults(run=benchmark.run)
