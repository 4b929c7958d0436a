"""What the terminal shows, one file for each thing; all of it on one console."""

from rich.console import Console

CONSOLE = Console()
