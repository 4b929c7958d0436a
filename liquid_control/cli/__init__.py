"""``liquid-control``: the command line."""

from liquid_control.cli.program import console, main

__all__ = ["console", "main"]
