"""What a command asks before it works: packages, numbers and folders, each one clear error."""

from __future__ import annotations

import importlib.util
import tempfile
from collections.abc import Iterable
from pathlib import Path

from liquid_control.config import MAX_SEED, ConfigError, missing_packages

# Import name of a package, and the extra of setup.py that brings it; "": comes with every install.
EXTRAS = {
    **dict.fromkeys(("argcomplete", "onnxruntime", "rich"), ""),
    **dict.fromkeys(("pybullet", "numba"), "sim"),
    **dict.fromkeys(("rclpy", "mcap", "mcap_ros2"), "ros"),
    **dict.fromkeys(
        ("torch", "onnx", "onnxscript", "networkx", "sklearn", "tensorboardX"), "train"
    ),
    **dict.fromkeys(("matplotlib", "plotly", "PIL", "imageio_ffmpeg", "scipy"), "report"),
    "ray": "ray",
    "gymnasium": "gym",
    "foundation_policy": "peers",
    **dict.fromkeys(("ncps", "rotorpy"), "test"),
}


def require_packages(*packages: str) -> None:
    """`ConfigError` unless all are installed: for work that needs them only at its end."""
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    if missing:
        raise missing_packages(",".join(sorted({EXTRAS[name] for name in missing})), missing)


def check_whole(name: str, value: int | None, least: int = 1, most: int = MAX_SEED) -> None:
    """`ConfigError` for a number out of range; ``None`` is a flag that was not given."""
    if value is not None and not least <= value <= most:
        raise ConfigError(f"{name} {value}: expected a whole number from {least} to {most}")


def output_folder(path: Path) -> Path:
    """The folder of ``--out``, made if need be; `ConfigError` if no file can be written there."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            return path
    except OSError as error:
        reason = f"expected a folder that can be written: {error.strerror}"
        raise ConfigError(f"--out {path}: {reason}") from None


def remove_stale(folder: Path, names: Iterable[str], written: Iterable[Path]) -> None:
    """Remove what an earlier run wrote: the files of ``names`` that are not ``written`` now."""
    for path in {folder / name for name in names}.difference(written):
        path.unlink(missing_ok=True)
