"""Files that appear whole or not at all: a reader meanwhile, or after a full disk, sees the old."""

from __future__ import annotations

import os
from pathlib import Path


def write_whole(path: Path, content: str | bytes | memoryview) -> Path:
    """Write a file, text as UTF-8; returns its path. Use it for all that outlives the command.

    Raises:
        OSError: if it can't be written, naming ``path``; what stood there still does, alone.
    """
    partial = path.with_name(f"{path.name}.partial")
    try:
        partial.write_bytes(content.encode() if isinstance(content, str) else content)
        os.replace(partial, path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        error.filename, error.filename2 = str(path), None
        raise
    return path
