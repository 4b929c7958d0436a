"""Looks through a folder for runs; what can't be read is named, and the rest is found anyway."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from liquid_control.config import ConfigError
from liquid_control.evaluation.runs.flights import flight_run, is_flight
from liquid_control.evaluation.runs.run import Run, present
from liquid_control.evaluation.runs.trainings import training_logs, training_run
from liquid_control.evaluation.views.training_curves import TRAINING_LOG

SUITE = "suite"
_RESULTS = "results.json"
_SUITE_FILES = {"report": "report.html", "tables": "results.md", "film": "worst.mp4"}


def find_runs(
    folder: str | Path, on_found: Callable[[int], None] = lambda count: None
) -> tuple[list[Run], list[str]]:
    """All runs in a folder and below it, the newest first, and what could not be read.

    Use it to list what was flown and trained. Hidden folders are left alone, and links to folders
    are not followed.

    Args:
        on_found: called with how many runs were found so far.

    Returns:
        The runs, and for each file that has the name of one of a run and is none, or a damaged one,
        a line that names it and says why.

    Raises:
        ConfigError: if there is no such folder.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ConfigError(f"{folder}: expected a folder of runs")
    runs: list[Run] = []
    problems: list[str] = []
    for read in _readers(folder, problems):
        try:
            run = read()
            runs += [run] if run else []
        except (ConfigError, OSError) as error:
            problems.append(str(error))
        except (ValueError, TypeError, KeyError, AttributeError, IndexError) as error:
            problems.append(f"{read.place}: {type(error).__name__}: {error}")
        on_found(len(runs))
    runs.sort(key=lambda run: run.name)
    runs.sort(key=lambda run: run.date, reverse=True)
    return runs, problems


class _Reader:
    """Reads one run, of which ``place`` is known."""

    def __init__(self, function: Callable[[Path, str], Run | None], place: Path, name: str):
        self._function, self.place, self._name = function, place, name

    def __call__(self) -> Run | None:
        return self._function(self.place, self._name)


def _readers(root: Path, problems: list[str]) -> Iterator[_Reader]:
    def refused(error: OSError) -> None:
        problems.append(f"{error.filename}: can't be read: {error.strerror}")

    for path, folders, files in os.walk(root, onerror=refused):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        folder, names = Path(path), set(files)
        name = str(folder.relative_to(root))
        name = root.resolve().name if name == "." else name
        if is_flight(names):
            yield _Reader(flight_run, folder, name)
        for log in training_logs(folder, names):
            own = log.name == TRAINING_LOG
            yield _Reader(training_run, log, name if own else f"{name}/{log.stem}")
        if _RESULTS in names:
            yield _Reader(_suite_run, folder, name)


def _suite_run(folder: Path, name: str) -> Run | None:
    """What `evaluate` left; it is listed with its report, which compares more than a list can.

    ``None`` for the results of another program, as benchmarks.
    """
    path = folder / _RESULTS
    try:
        results = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ConfigError(f"{path}: no JSON: {error}") from None
    if not (isinstance(results, dict) and {"policies", "conditions", "metrics"} <= results.keys()):
        return None
    return Run(
        SUITE,
        name,
        results["provenance"]["date"],
        policy=", ".join(results["policies"]),
        setting=results["description"],
        files=present(folder, _SUITE_FILES),
    )
