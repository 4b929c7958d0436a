"""For mkdocstrings: docstrings as this package writes them, in Markdown.

A field of a class is documented by the comment behind it:

    pos_world: np.ndarray  # (3,) m

A block after ``::`` is code, and its colon is one.
"""

from __future__ import annotations

import io
import tokenize
from typing import Any

import griffe

SECTION = "Attributes:"


def comment_of(source: str) -> str:
    """The comment at the end of a statement; "" if there is none."""
    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(source).readline))
    except tokenize.TokenError:
        return ""
    comments = [token.string for token in tokens if token.type == tokenize.COMMENT]
    return comments[-1].lstrip("# ") if comments else ""


class Fields(griffe.Extension):
    """Adds fields with a comment to the attributes that the docstring of their class lists."""

    def on_instance(self, *, obj: griffe.Object, **_: Any) -> None:
        """Called once an object is there."""
        if obj.docstring:
            obj.docstring.value = obj.docstring.value.replace("::\n\n    ", ":\n\n    ")

    def on_class_members(self, *, cls: griffe.Class, **_: Any) -> None:
        """Called once all members of a class are there."""
        if cls.docstring is None:
            return
        text = cls.docstring.value.splitlines()
        listed = {line.strip().partition(":")[0] for line in text}
        found = [
            f"    {name}: {comment}"
            for name, member in cls.members.items()
            if not name.startswith("_") and name not in listed and not member.docstring
            for comment in [self._comment(cls, member)]
            if comment
        ]
        if not found:
            return
        if SECTION in text:
            place = text.index(SECTION) + 1
            text[place:place] = found
        else:
            text += ["", SECTION, *found]
        cls.docstring.value = "\n".join(text)

    @staticmethod
    def _comment(cls: griffe.Class, member: griffe.Object | griffe.Alias) -> str:
        if member.is_alias or not member.is_attribute or "property" in member.labels:
            return ""
        lines = cls.package.lines_collection[cls.filepath]
        source = "\n".join(lines[member.lineno - 1 : member.endlineno])
        return comment_of(source.strip() + "\n")
