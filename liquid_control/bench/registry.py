"""The benchmarks by name.

Each is a module that describes itself in the first line of its docstring (``Bench NAME: what it
measures.``), has ``add_arguments(parser)`` and ``run(options)``, which returns the exit status, and
imports what it measures in ``run`` only. A new benchmark is a folder and a row here.
"""

BENCHMARKS = {
    "ncps": "liquid_control.bench.ncps.command",
    "networks": "liquid_control.bench.networks.command",
    "sequences": "liquid_control.bench.sequences.command",
    "sim": "liquid_control.bench.simulation.command",
    "training": "liquid_control.bench.training.command",
    "latency": "liquid_control.bench.latency.command",
    "intervals": "liquid_control.bench.intervals.command",
    "neurons": "liquid_control.bench.neurons.command",
}
