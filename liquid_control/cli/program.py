"""``liquid-control``: fly, train, evaluate, check worlds, run benchmarks.

Exit status: 0 done, 1 the flight failed, 2 bad input or a file that can't be written (one line on
stderr says which), 130 interrupted, 141 nobody reads the output any more.
"""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Sequence

from liquid_control.cli import bench, completion, evaluate, fly, policy, runs, train, worlds
from liquid_control.cli.exits import BAD_INPUT, INTERRUPTED, UNREAD, complain
from liquid_control.cli.parser import Parser

COMMANDS = (fly, train, evaluate, runs, bench, policy, worlds, completion)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns its exit status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        try:
            return _run(arguments)
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        # Python flushes once more at its end; that, too, is to nobody
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return UNREAD
    except KeyboardInterrupt:
        return complain("interrupted", INTERRUPTED)
    except Exception as error:
        return _bad_input(error)


def console() -> None:
    """Entry point of the console script."""
    sys.exit(main())


def make_parser() -> Parser:
    """The parser of all commands."""
    parser = Parser(prog="liquid-control", description=__doc__.split("\n")[0].partition(": ")[2])
    parser.add_argument(
        "--version", action=_Version, nargs=0, help="name, version and commit of a checkout"
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    for command in COMMANDS:
        command.add(commands)
    return parser


def _run(arguments: Sequence[str]) -> int:
    parser = make_parser()
    completion.answer_shell(parser)
    options = parser.parse_args(arguments)
    options.typed = shlex.join([parser.prog, *arguments])
    return options.run(options)


def _bad_input(error: Exception) -> int:
    """One line for what the user can mend; anything else is raised again."""
    from liquid_control.config import ConfigError, missing_packages
    from liquid_control.preflight import EXTRAS

    if isinstance(error, ModuleNotFoundError):
        package = (error.name or "").split(".")[0]
        if package in EXTRAS:
            return complain(missing_packages(EXTRAS[package], [package]), BAD_INPUT)
    if isinstance(error, (ConfigError, OSError)):
        return complain(error, BAD_INPUT)
    raise error


class _Version(argparse.Action):
    """Prints and ends; git is asked only then."""

    def __call__(self, parser, namespace, values, option_string=None) -> None:
        from liquid_control import __version__
        from liquid_control.evaluation.provenance import commit

        print(" ".join(filter(None, ("liquid_control", __version__, commit()))))
        parser.exit()
