"""``liquid-control completion``: what a shell needs to complete commands, flags and names.

argcomplete does the work, as for the command line of ROS 2: the shell runs this program again,
with what was typed in its environment, and reads the answer from a file descriptor.
"""

from __future__ import annotations

import argparse
import os

from liquid_control.cli.exits import DONE

_HOW = """bash, for this shell or in ~/.bashrc:  eval "$(liquid-control completion bash)"
zsh, after compinit in ~/.zshrc:       eval "$(liquid-control completion zsh)"
"""


def add(commands) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "completion",
        help="print the script that completes commands and names in a shell",
        epilog=_HOW,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("shell", choices=("bash", "zsh"), help="bash or zsh", metavar="SHELL")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print the script for a shell; returns the exit status."""
    from argcomplete import shellcode

    print(shellcode(["liquid-control"], shell=options.shell))
    return DONE


def answer_shell(parser: argparse.ArgumentParser) -> None:
    """If a shell asks how a line goes on: answer and end this process."""
    if "_ARGCOMPLETE" in os.environ:
        import argcomplete

        argcomplete.autocomplete(parser)
