"""How the command line reads its words: an error is one line that says what was meant."""

from __future__ import annotations

import argparse
from typing import NoReturn

from liquid_control.spelling import did_you_mean


class Parser(argparse.ArgumentParser):
    """An `ArgumentParser` that raises `ConfigError` in place of printing its usage.

    Each parser of a command refuses the flags that it doesn't know itself, so that the error names
    that command and a flag of it.
    """

    _commands: argparse._SubParsersAction | None = None

    def error(self, message: str) -> NoReturn:
        """Raise the `ConfigError` for a mistake on the command line."""
        from liquid_control.config import ConfigError

        end = " " if message.endswith("?") else "; "
        raise ConfigError(f"{message}{end}see {self.prog} --help")

    def add_subparsers(self, **arguments):
        """As in argparse; the commands are kept for the errors."""
        self._commands = super().add_subparsers(**arguments)
        return self._commands

    def parse_known_args(self, args=None, namespace=None):
        """As in argparse, but an unknown flag or no command is an error here."""
        options, unknown = super().parse_known_args(args, namespace)
        if unknown:
            self._refuse_flags(unknown)
        commands = self._commands
        if commands is not None and getattr(options, commands.dest) is None:
            known = ", ".join(commands.choices)
            self.error(f"no {_word(commands)} given; expected one of {known}")
        return options, unknown

    def _refuse_flags(self, unknown: list[str]) -> NoReturn:
        known = [flag for action in self._actions for flag in action.option_strings]
        flags = [word.partition("=")[0] for word in unknown if word.startswith("-")]
        meant = "".join(did_you_mean(flag, known) for flag in flags).rstrip()
        self.error(f"unrecognized arguments: {' '.join(unknown)}" + (f"; {meant}" if meant else ""))

    def _check_value(self, action: argparse.Action, value: object) -> None:
        if action.choices is None or value in action.choices:
            return
        known = list(map(str, action.choices))
        meant = did_you_mean(str(value), known)
        self.error(f"no such {_word(action)}: {value}; {meant}expected one of {', '.join(known)}")


def _word(action: argparse.Action) -> str:
    return str(action.metavar or action.dest).lower()
