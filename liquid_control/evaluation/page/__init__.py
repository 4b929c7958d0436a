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
from liquid_control.whole_file import write_whole

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
    """Collects sections and figures; `write` makes the file.

    Args:
        parts: names of further style sheets and scripts of this folder that the page needs.
        generator: what made the page, for whoever asks before it is written over.
    """

    def __init__(
        self,
        title: str,
        subtitle: str = "",
        verdict: bool | None = None,
        *,
        parts: Sequence[str] = (),
        generator: str = "liquid_control",
    ):
        self._files, self._generator = ("page", *parts), generator
        self._title, self._subtitle = title, subtitle
        self._badge = "" if verdict is None else badge(verdict)
        self._parts: list[str] = []
        self._data: dict[str, str] = {}
        self._packed: dict[str, str] = {"plotly": _packed_plotly()}

    def add(self, markup: str) -> None:
        """Append markup to the body."""
        self._parts.append(markup)

    def add_section(self, title: str, *parts: str, note: str = "") -> None:
        """Append a card with a title to the page."""
        self.add(section(title, *parts, note=note))

    def figure(self, name: str, figure: Any, *, time_axis: bool = False) -> str:
        """The place of a plotly figure; with ``time_axis`` the page's cursor runs over it."""
        self._data[name] = _script_safe(figure.to_json())
        height = figure.layout.height or 420
        mark = " data-time" if time_axis else ""
        return f'<div class="plot" data-figure="{name}"{mark} style="height:{height}px"></div>'

    def data(self, name: str, value: Any) -> None:
        """Put plain data beside the figures for the page's script."""
        text = json.dumps(value, allow_nan=False, separators=(",", ":"))
        self._data[name] = _script_safe(text)

    def packed(self, name: str, value: Any) -> None:
        """Put plain data into the page that its script unpacks when it is asked for."""
        text = json.dumps(value, allow_nan=False, separators=(",", ":"))
        self._packed[name] = _pack(text, 4)

    def _read(self, suffix: str) -> str:
        paths = (_FOLDER / f"{name}{suffix}" for name in self._files)
        return "".join(path.read_text(encoding="utf-8") for path in paths)

    def write(self, path: str | Path) -> Path:
        """Write the file, which appears whole or not at all; the folder is made."""
        data = "\n".join(
            f'<script type="application/json" id="{name}">{text}</script>'
            for name, text in self._data.items()
        )
        packed = "\n".join(
            f'<script type="text/plain" id="{name}">{text}</script>'
            for name, text in self._packed.items()
        )
        text = (
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            f'<meta name="generator" content="{escape(self._generator)}">\n'
            f"<title>{escape(self._title)}</title>\n"
            f"<style>\n{self._read('.css')}</style>\n</head>\n"
            f"<body>\n<header><h1>{escape(self._title)}</h1>{self._badge}"
            f"<p>{escape(self._subtitle)}</p></header>\n"
            + "\n".join(self._parts)
            + f"\n{data}\n{packed}\n<script>\n{self._read('.js')}</script>\n"
            "</body>\n</html>\n"
        )
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        return write_whole(path, text)


def _script_safe(text: str) -> str:
    """JSON in which no string can end the script element around it."""
    return text.replace("</", "<\\/")


def _pack(text: str, level: int = 9) -> str:
    return base64.b64encode(gzip.compress(text.encode(), level, mtime=0)).decode()


@cache
def _packed_plotly() -> str:
    return _pack(get_plotlyjs())


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


def media(path: str | Path, caption: str, *, film: bool = False) -> str:
    """A video or picture, inside the page; a ``film`` of a flight moves with the page's cursor."""
    path = Path(path)
    kind = _MEDIA[path.suffix]
    source = f"data:{kind};base64,{base64.b64encode(path.read_bytes()).decode()}"
    if kind.startswith("video"):
        mark = "data-film" if film else "loop"
        return f'<video controls muted playsinline {mark} src="{source}"></video>'
    return f'<img alt="{escape(caption)}" src="{source}">'
