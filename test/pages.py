"""Runs a page of the documentation: its blocks in order, in a folder of their own.

| block | what is done with it |
|---|---|
| any with ``title="name"`` | it is written to the file of that name |
| ``python`` | executed; all blocks of a page share their names |
| ``bash`` | executed by bash, with ``liquid-control`` and ``python`` as commands |
| any other | read by people |

A block after a comment ``<!-- not run: why -->`` is left out.

    python test/pages.py docs/first_flight.md     in an empty folder
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

_BLOCK = re.compile(
    r"(?:^<!-- not run: (?P<why>[^\n]+?) -->\n+)?^```(?P<kind>\w+)?(?P<about>[^\n`]*)\n"
    r"(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
_TITLE = re.compile(r'title="([^"]+)"')


class Block(NamedTuple):
    """A block of code in a page."""

    kind: str  # language
    title: str  # of a file; "" for none
    text: str
    line: int  # where its text begins
    why_not: str  # "" if it is run


def blocks(page: Path) -> list[Block]:
    """All blocks of a page, in order."""
    text = page.read_text(encoding="utf-8")
    found = []
    for match in _BLOCK.finditer(text):
        title = _TITLE.search(match["about"])
        line = text.count("\n", 0, match.start("text")) + 1
        name = title[1] if title else ""
        found.append(Block(match["kind"] or "", name, match["text"], line, match["why"] or ""))
    return found


def is_run(block: Block) -> bool:
    """Whether anything is done with a block."""
    return not block.why_not and bool(block.title or block.kind in ("python", "bash"))


def run(page: Path) -> None:
    """Run a page here, in the current folder."""
    folder = Path("bin").absolute()
    folder.mkdir()
    for name, arguments in (("liquid-control", " -m liquid_control.cli"), ("python", "")):
        (folder / name).write_text(f'#!/bin/sh\nexec {sys.executable}{arguments} "$@"\n')
        (folder / name).chmod(0o755)
    os.environ["PATH"] = f"{folder}{os.pathsep}{os.environ['PATH']}"
    names = {"__name__": "__page__"}
    for block in filter(is_run, blocks(page)):
        if block.title:
            Path(block.title).parent.mkdir(parents=True, exist_ok=True)
            Path(block.title).write_text(block.text, encoding="utf-8")
        elif block.kind == "python":
            source = "\n" * (block.line - 1) + block.text
            exec(compile(source, str(page), "exec", dont_inherit=True), names)
        else:
            print(f"{page}:{block.line}", flush=True)
            subprocess.run(["bash", "-ec", block.text], check=True)


if __name__ == "__main__":
    run(Path(sys.argv[1]).absolute())
