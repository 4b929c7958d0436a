"""The page of a folder's runs: a list to sort, filter and tick, and what is ticked laid over."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

from liquid_control.config import ConfigError
from liquid_control.evaluation.page import Page, escape
from liquid_control.evaluation.runs.record import FLIGHT, TRAINING
from liquid_control.evaluation.runs.run import Run

INDEX = "index.html"
_GENERATOR = "liquid_control runs"
_MARK = f'<meta name="generator" content="{_GENERATOR}">'
_MARK_WITHIN = 4096  # bytes of a page
_PLURALS = {FLIGHT: "flights", TRAINING: "trainings", "suite": "suites"}
_HEAD = (  # title, whether it is a number
    ("run", False),
    ("kind", False),
    ("date, UTC", False),
    ("policy", False),
    ("world, or method", False),
    ("vehicle", False),
    ("seed", True),
    ("error, cm", True),
    ("updates", True),
    ("duration, s", True),
    ("verdict", False),
    ("open", False),
)


def check_page(path: Path) -> None:
    """`ConfigError` if another program's page, or anything else, stands where one is to be."""
    if path.is_dir():
        raise ConfigError(f"{path}: is a folder, expected a place for a page")
    if not path.exists():
        return
    with path.open("rb") as file:
        begin = file.read(_MARK_WITHIN)
    if _MARK.encode() not in begin:
        raise ConfigError(
            f"{path}: is no list of runs and would be lost; give a place for one with --out PAGE"
        )


def write_runs(
    path: str | Path,
    folder: str | Path,
    runs: Sequence[Run],
    problems: Sequence[str] = (),
    *,
    over: Sequence[str] = (),
) -> Path:
    """Write the page: one file that needs no network, with links to the files of the runs.

    Use it on what `find_runs` gives. Ticking two runs of a kind lays their curves over each other;
    what is ticked is kept in the address.

    Args:
        path: of the page.
        folder: that was looked through.
        problems: lines that name what could not be read.
        over: names of the runs that are laid over each other as the page opens.

    Raises:
        ConfigError: for a name that no run with curves has, and if something else stands at the
            place of the page.
        OSError: if it can't be written.
    """
    path = Path(path)
    check_page(path)
    names = [run.name for run in runs if run.curves]
    for name in over:
        if name not in names:
            raise ConfigError(f"{name}: no run to lay over others, expected one of {names}")
    page = Page(
        f"Runs in {Path(folder).resolve().name}",
        f"{count_text(runs)} in {folder}",
        parts=("runs",),
        generator=_GENERATOR,
    )
    page.data("over", list(over))
    page.add_section(
        "Runs",
        _tools(runs),
        _list(runs, path.parent),
        note="Tick two or more to see them laid over each other below. Error: RMSE of the "
        "position; of a training in held-out episodes, or where it flies none the mean of the "
        "log's last rows.",
    )
    for kind, note in (
        (FLIGHT, "Dotted: the setpoint. Command as sent; wind as it was at the vehicle."),
        (
            TRAINING,
            "Thick: running mean of ten rows of the log; thin: each row. Rates and times count CPU "
            "seconds where a CPU trained.",
        ),
    ):
        page.add(
            f'<section data-compare="{kind}" hidden><h2>{_PLURALS[kind].capitalize()} laid over '
            f'each other</h2><p>{escape(note)}</p><div class="tools"></div>'
            '<p class="keys"></p><div class="plot"></div></section>'
        )
    if problems:
        items = "".join(f"<li>{escape(problem)}</li>" for problem in problems)
        page.add(f'<section class="problems"><h2>Not read</h2><ul>{items}</ul></section>')
    for k, run in enumerate(runs):
        if run.curves:
            page.packed(f"run-{k}", run.course())
    return page.write(path)


def count_text(runs: Sequence[Run]) -> str:
    """How many there are of each kind: ``2 flights, 1 training``."""
    counts = {kind: sum(run.kind == kind for run in runs) for kind in _PLURALS}
    parts = [
        f"{count} {kind if count == 1 else _PLURALS[kind]}"
        for kind, count in counts.items()
        if count
    ]
    return ", ".join(parts) or "no run"


def _tools(runs: Sequence[Run]) -> str:
    kinds = "".join(
        f'<option value="{kind}">{_PLURALS[kind]}</option>'
        for kind in _PLURALS
        if any(run.kind == kind for run in runs)
    )
    return (
        '<div class="tools"><input type="search" id="filter" placeholder="filter" '
        'aria-label="show only runs with these words">'
        f'<select id="kind" aria-label="kind of run"><option value="">all kinds</option>{kinds}'
        '</select><output id="shown" for="filter kind"></output>'
        '<button type="button" id="untick" disabled>Untick all</button>'
        '<output id="count" aria-live="polite"></output></div>'
    )


def _list(runs: Sequence[Run], beside: Path) -> str:
    head = "".join(
        f"<th scope=col{' class=number data-numeric' if number else ''}>"
        + (title if title == "open" else f'<button type="button" class="sort">{title}</button>')
        + "</th>"
        for title, number in _HEAD
    )
    body = "".join(_row(k, run, beside) for k, run in enumerate(runs))
    return (
        '<div class="list" tabindex="0" role="region" aria-label="list of runs">'
        f'<table id="runs"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
    )


def _row(k: int, run: Run, beside: Path) -> str:
    error = "" if run.error_m is None else f"{100 * run.error_m:.2f}"
    name = _breakable(run.name)
    if run.curves:
        name = (
            f'<label><input type="checkbox" aria-label="compare {escape(run.name)}">'
            f'<span class="swatch"></span><span class="name">{name}</span></label>'
        )
    updates = "" if run.count is None else str(run.count)
    planned = "" if run.planned is None else f" <small>of {run.planned}</small>"
    seconds = "" if run.seconds is None else f"{run.seconds:.1f}"
    cells = [
        _cell("td", run.kind),
        _cell("td", run.date.removesuffix(" UTC")),
        _cell("td", run.policy, wide=True),
        _cell("td", run.setting, wide=True),
        _cell("td", run.vehicle),
        _cell("td", "" if run.seed is None else str(run.seed), number=True),
        _cell("td", error, number=True),
        _cell("td", updates, number=True, more=planned),
        _cell("td", seconds, number=True),
        _verdict(run),
        f'<td data-value="">{_links(run.files, beside)}</td>',
    ]
    return (
        f'<tr data-run="run-{k}" data-kind="{run.kind}" data-name="{escape(run.name)}" '
        f'data-error="{error}"><th scope=row data-value="{escape(run.name)}">{name}</th>'
        f"{''.join(cells)}</tr>"
    )


def _cell(tag: str, text: str, *, number: bool = False, wide: bool = False, more: str = "") -> str:
    kind = " class=number" if number else " class=wide" if wide else ""
    return f'<{tag}{kind} data-value="{escape(text)}">{_breakable(text)}{more}</{tag}>'


def _breakable(text: str) -> str:
    """Text as HTML, in which a line may end within a long name."""
    return escape(text).replace("_", "_<wbr>").replace("/", "/<wbr>")


def _verdict(run: Run) -> str:
    good, bad = ("✓ met", "✗ failed") if run.kind == FLIGHT else ("done", "not done")
    if run.verdict is None:
        return _cell("td", "")
    text, kind = (good, "pass") if run.verdict else (bad, "fail" if run.kind == FLIGHT else "")
    return f'<td data-value="{text}"><span class="{kind}">{text}</span></td>'


def _links(files: Mapping[str, Path], beside: Path) -> str:
    """Links from where the page stands."""
    return "".join(
        f'<a href="{escape(quote(os.path.relpath(path, beside)))}">{word}</a>'
        for word, path in files.items()
    )
