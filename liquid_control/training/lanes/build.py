"""Compiling traced functions, once a machine.

The library lies in the user's cache folder under a digest of its source and of the compiler's
target, so a second run finds it, and two runs at once do not both compile it: one waits.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from liquid_control.training.lanes.source import PREAMBLE, Function, function_source

# as exact as torch: contraction to multiply-add is the one liberty
FLAGS = ("-O2", "-ftree-vectorize", "-march=native", "-ffp-contract=fast", "-fno-math-errno",
         "-fno-trapping-math", "-fno-schedule-insns", "-Wno-psabi", "-shared", "-fPIC")  # fmt: skip

if platform.machine() in ("x86_64", "AMD64"):
    FLAGS += ("-mprefer-vector-width=512",)  # half of it is the default where 512 bits are there


class CannotBuild(Exception):
    """No compiler is there, or it failed; the text says which."""


def compiler() -> str | None:
    """The C++ compiler: ``$CXX``, else g++ or clang++; None where there is none."""
    names = [os.environ.get("CXX", ""), "g++", "clang++"]
    return next(filter(None, (shutil.which(name) for name in names if name)), None)


def build(functions: Mapping[str, Function]) -> dict[str, Callable[..., None]]:
    """Callables by name, each taking ``lanes`` and, by their names, addresses of its groups.

    Raises:
        CannotBuild: see there.
    """
    written = [function_source(name, function) for name, function in functions.items()]
    library = _load(PREAMBLE + "\n".join(written))
    result = {}
    for name, (groups, _) in functions.items():
        call = getattr(library, name)
        call.argtypes = [ctypes.c_int64] + [ctypes.c_void_p] * len(groups)
        call.restype = None
        result[name] = _by_name(call, groups)
    return result


def _by_name(function: Callable, groups: Sequence[str]) -> Callable[..., None]:
    arguments = ", ".join(groups)
    # a lambda of plain arguments: a call has to cost no more than a small kernel runs
    return eval(f"lambda lanes, {arguments}: function(lanes, {arguments})", {"function": function})


@cache
def _target(program: str) -> bytes:
    """What the compiler would compile for: its version, and the instructions of this machine."""
    command = [program, "-march=native", "-dM", "-E", "-x", "c++", os.devnull]
    return subprocess.run(command, capture_output=True, check=False).stdout


def _load(source: str) -> ctypes.CDLL:
    program = compiler()
    if program is None:
        raise CannotBuild("no C++ compiler found, expected g++ or clang++ on the path")
    key = hashlib.sha256(repr((source, FLAGS)).encode() + _target(program)).hexdigest()[:32]
    folder = _folder()
    path = folder / f"{key}.so"
    if not path.exists():
        with _alone(folder / f"{key}.lock"):
            if not path.exists():
                _compile(program, source, path)
    return ctypes.CDLL(str(path))


def _folder() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(base) / "liquid_control" / "lanes"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return Path(tempfile.mkdtemp(prefix="liquid_control_"))
    return folder if os.access(folder, os.W_OK) else Path(tempfile.mkdtemp())


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Wait until no other process holds this lock, and hold it."""
    try:
        import fcntl
    except ImportError:  # not a POSIX system: two may compile, the last one's file stays
        yield
        return
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _compile(program: str, source: str, path: Path) -> None:
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        text, result = Path(folder) / "lanes.cpp", Path(folder) / "lanes.so"
        text.write_text(source)
        command = [program, *FLAGS, str(text), "-o", str(result)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise CannotBuild(f"{program} failed: {done.stderr.strip()[-400:]}")
        os.replace(result, path)
