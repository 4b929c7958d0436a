"""One self-contained HTML page: style, script, figures and pictures inside, no network.

The page opens from a USB stick; its content security policy forbids every request.
"""

from __future__ import annotations

import base64
import gzip
import html
import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from liquid_control.config import missing_packages

try:
    from plotly.offline import get_plotlyjs
except ModuleNotFoundError:
    raise missing_packages("report", ["plotly"]) from None

_FOLDER = Path(__file__).parent
_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline' 'unsafe-eval'; "
    "img-src data: blob:; media-src data:; worker-src blob:"
)
_MEDIA = {".mp4": "video/mp4", ".gif": "image/gif", ".png": "image/png"}


class Page:
    """Collects sections and figures; `write` makes the file."""

    def __init__(self, title: str, subtitle: str = "", verdict: bool | None = None):
        self._title, self._subtitle = title, subtitle
        self._badge = "" if verdict is None else badge(verdict)
        self._parts: list[str] = []
        self._data: dict[str, str] = {}

    def add(self, markup: str) -> None:
        """Append markup to the body."""
        self._parts.append(markup)

    def add_section(self, title: str, *parts: str, note: str = "") -> None:
        """Append a card with a title to the page."""
        self.add(section(title, *parts, note=note))

    def figure(self, name: str, figure: Any, *, time_axis: bool = False) -> str:
        """The place of a plotly figure; with ``time_axis`` hovering moves the neuron replay."""
        self._data[name] = _script_safe(figure.to_json())
        height = figure.layout.height or 420
        mark = " data-time" if time_axis else ""
        return f'<div class="plot" data-figure="{name}"{mark} style="height:{height}px"></div>'

    def data(self, name: str, value: Any) -> None:
        """Put plain data beside the figures for the page's script."""
        text = json.dumps(value, allow_nan=False, separators=(",", ":"))
        self._data[name] = _script_safe(text)

    def write(self, path: str | Path) -> Path:
        """Write the file; the folder is made."""
        data = "\n".join(
            f'<script type="application/json" id="{name}">{text}</script>'
            for name, text in self._data.items()
        )
        text = (
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            f"<title>{escape(self._title)}</title>\n"
            f"<style>\n{(_FOLDER / 'page.css').read_text(encoding='utf-8')}</style>\n</head>\n"
            f"<body>\n<header><h1>{escape(self._title)}</h1>{self._badge}"
            f"<p>{escape(self._subtitle)}</p></header>\n"
            + "\n".join(self._parts)
            + f'\n{data}\n<script type="text/plain" id="plotly">{_packed_plotly()}</script>\n'
            f"<script>\n{(_FOLDER / 'page.js').read_text(encoding='utf-8')}</script>\n"
            "</body>\n</html>\n"
        )
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path


def _script_safe(text: str) -> str:
    """JSON in which no string can end the script element around it."""
    return text.replace("</", "<\\/")


@cache
def _packed_plotly() -> str:
    return base64.b64encode(gzip.compress(get_plotlyjs().encode(), mtime=0)).decode()


def escape(text: Any) -> str:
    """Text as HTML, so that it shows as it is."""
    return html.escape(str(text))


def section(title: str, *parts: str, note: str = "") -> str:
    """A card with a heading and a line that says what is seen."""
    lead = f"<p>{escape(note)}</p>" if note else ""
    return f"<section><h2>{escape(title)}</h2>{lead}{''.join(parts)}</section>"


def columns(*sections: str) -> str:
    """Cards side by side where there is room."""
    return f'<div class="columns">{"".join(sections)}</div>'


def badge(passed: bool) -> str:
    """Pass or fail as a word and a colour."""
    return f'<span class="badge {_verdict(passed)}">{"✓ pass" if passed else "✗ fail"}</span>'


def _verdict(passed: bool) -> str:
    return "pass" if passed else "fail"


def table(head: Sequence[str], rows: Sequence[Sequence[str]], numbers: Sequence[int] = ()) -> str:
    """A table of ready markup; columns in ``numbers`` are set right."""

    def cells(row: Sequence[str], tag: str) -> str:
        return "".join(
            f"<{tag}{' class=number' if i in numbers else ''}>{cell}</{tag}>"
            for i, cell in enumerate(row)
        )

    body = "".join(f"<tr>{cells(row, 'td')}</tr>" for row in rows)
    top = f"<thead><tr>{cells(head, 'th')}</tr></thead>" if head else ""
    return f'<div class="scroll"><table>{top}<tbody>{body}</tbody></table></div>'


def tiles(entries: Sequence[tuple[str, str, str]]) -> str:
    """Large figures: (value, unit, caption)."""
    return (
        '<div class="tiles">'
        + "".join(
            f'<div class="tile"><b>{escape(value)} <small>{escape(unit)}</small></b>'
            f"<span>{escape(caption)}</span></div>"
            for value, unit, caption in entries
        )
        + "</div>"
    )


def definition_table(entries: Mapping[str, Any]) -> str:
    """Key and value, one a row; nested values as indented JSON."""
    rows = []
    for key, value in entries.items():
        if isinstance(value, dict | list):
            text = json.dumps(value, indent=1, default=str)
            rows.append((escape(key), f"<pre>{escape(text)}</pre>"))
        else:
            rows.append((escape(key), escape(value)))
    return table((), rows)


def details(title: str, content: str | Mapping[str, Any]) -> str:
    """Markup, or a mapping as a table, that opens on demand."""
    body = content if isinstance(content, str) else definition_table(content)
    return f"<details><summary>{escape(title)}</summary>{body}</details>"


def media(path: str | Path, caption: str) -> str:
    """A video or picture, inside the page."""
    path = Path(path)
    kind = _MEDIA[path.suffix]
    source = f"data:{kind};base64,{base64.b64encode(path.read_bytes()).decode()}"
    if kind.startswith("video"):
        return f'<video controls muted loop playsinline src="{source}"></video>'
    return f'<img alt="{escape(caption)}" src="{source}">'
