"""A short film of a flight, as MP4 or GIF."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from liquid_control.config import ConfigError, missing_packages
from liquid_control.evaluation.saliency import Sight
from liquid_control.evaluation.views.animation import Animation
from liquid_control.flight_log import FlightLog
from liquid_control.vehicles.kind import VehicleConfig

try:
    import imageio_ffmpeg
except ModuleNotFoundError:
    raise missing_packages("report", ["imageio-ffmpeg"]) from None

_ENCODING = {
    ".mp4": dict(
        fps=30,
        codec="libx264",
        output_params=[
            *("-preset", "veryfast", "-tune", "animation", "-crf", "33"),
            *("-movflags", "+faststart"),
        ],
    ),
    # One palette for the film and no dithering: flat areas stay flat, and the file small.
    ".gif": dict(
        fps=10,
        codec="gif",
        pix_fmt_out="pal8",
        output_params=[
            "-filter_complex",
            "scale=480:-2:flags=area,split[a][b];[a]palettegen=max_colors=48:stats_mode=full[p];"
            "[b][p]paletteuse=dither=none:diff_mode=rectangle",
        ],
    ),
}


def require_encoder() -> None:
    """`ConfigError` unless there is an ffmpeg; some builds of imageio-ffmpeg bring none."""
    try:
        imageio_ffmpeg.get_ffmpeg_exe()
    except RuntimeError:
        raise ConfigError(
            "a film needs ffmpeg: install it, or pip install imageio-ffmpeg"
        ) from None


def write_video(
    path: str | Path,
    log: FlightLog,
    vehicle: VehicleConfig,
    *,
    layers: Sequence[tuple[str, Sequence[int]]] = (),
    fps: int | None = None,
    size: tuple[int, int] = (1920, 1080),
    sight: Sight | None = None,
) -> Path:
    """Film the flight in real time.

    Args:
        path: ends in ``.mp4`` (H.264) or ``.gif``.
        vehicle: drawn at true size.
        layers: names and neuron indices, in display order; default one layer of all neurons.
        fps: pictures in a second; default 30, or 10 for a GIF.
        size: width and height in pixels, even numbers; a GIF is reduced to 480 columns. For a
            quick look, or in a test, ``fps=10, size=(640, 360)`` takes a tenth of the time.
        sight: what the camera saw and the policy looked at, see `saliency.sight_of`.

    Raises:
        ConfigError: for another suffix.
    """
    path = Path(path)
    if path.suffix not in _ENCODING:
        raise ConfigError(f"{path}: a video is .mp4 or .gif")
    path.parent.mkdir(parents=True, exist_ok=True)
    animation = Animation(log, vehicle, layers=layers, size=size, sight=sight)
    encoding = dict(_ENCODING[path.suffix], **({"fps": fps} if fps else {}))
    times = np.arange(log.time[0], log.time[-1] + 1e-9, 1 / encoding["fps"])
    writer = imageio_ffmpeg.write_frames(
        path, size, quality=None, macro_block_size=2, ffmpeg_log_level="error", **encoding
    )
    writer.send(None)
    for time in times:
        writer.send(animation.frame(time).tobytes())
    writer.close()
    return path
