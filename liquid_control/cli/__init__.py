"""``liquid-control``: the command line, one file a command.

A command is a module with ``add(commands)``, which describes its options, and ``run(options)``,
which returns the exit status. Its packages are imported in ``run``: help is there at once, and
flying needs no torch.
"""

from liquid_control.cli.program import console, main

__all__ = ["console", "main"]
