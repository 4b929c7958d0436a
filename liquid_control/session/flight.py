"""One flight as a request: fly it with or without ROS, measure it, write what was asked for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from liquid_control.config import ConfigError, find_file
from liquid_control.evaluation.judged import read_judged_world
from liquid_control.evaluation.metrics import Check, FlightMetrics, flight_metrics, judge
from liquid_control.flight_log import FlightLog
from liquid_control.preflight import check_whole, output_folder, remove_stale, require_packages
from liquid_control.session.ros import OnProgress, fly_ros
from liquid_control.sim.flight import Flight, prepare
from liquid_control.sim.quantities import MAX_DURATION
from liquid_control.sim.scenario import WorldConfig
from liquid_control.sim.world import World

# what a flight may leave in its folder
_FILES = ("report.html", "picture.png", "wind.png", "flight.mp4", "flight.mcap")
_NODE_LOGS = tuple(f"log/{node}.log" for node in ("controller", "recorder", "simulator"))


@dataclass(frozen=True)
class FlightRequest:
    """What to fly and what to keep of it."""

    world: str
    policy: str
    seed: int = 0
    duration: float | None = None  # s; None: the world's
    ros: bool = True
    real_time: bool = False
    video: bool = False
    out: Path | None = None


@dataclass(frozen=True)
class FlightResult:
    """What came of it."""

    log: FlightLog
    metrics: FlightMetrics
    checks: tuple[Check, ...]
    files: tuple[Path, ...]

    @property
    def passed(self) -> bool:
        """No crash, and every success criterion of the world is met."""
        return not self.metrics.crashed and all(check.passed for check in self.checks)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            **self.metrics.to_dict(),
            "passed": self.passed,
            "files": [str(path) for path in self.files],
        }


def fly(request: FlightRequest, on_progress: OnProgress = lambda *_: None) -> FlightResult:
    """Fly a request.

    Raises:
        ConfigError: for an unknown or broken world, policy or vehicle, a number out of range, a
            missing package or a folder that can't be written, before anything starts.
    """
    check_whole("--seed", request.seed, least=0)
    scenario = read_judged_world(find_file(request.world, "sim_worlds"))
    flight = prepare(scenario, request.policy)
    duration = _duration(request, scenario)
    if request.out is not None:
        _require_writers(request.video)
        output_folder(request.out)
    files: list[Path] = []
    if request.ros:
        log, recording = fly_ros(
            request.world,
            request.policy,
            scenario=scenario,
            seed=request.seed,
            duration=duration,
            real_time=request.real_time,
            out_dir=request.out,
            on_progress=on_progress,
        )
        files += [recording] if recording else []
    else:
        log = _fly_here(request, flight, duration, on_progress)
    metrics = flight_metrics(log, after=scenario.success.settle_time)
    criteria = scenario.success.limits
    checks = judge(metrics, criteria)
    if request.out is not None:
        files += _write(request, log, flight, criteria)
        logs = [request.out / name for name in _NODE_LOGS] if request.ros else []
        remove_stale(request.out, _FILES + _NODE_LOGS, [*files, *logs])
    return FlightResult(log, metrics, checks, tuple(files))


def _require_writers(film: bool) -> None:
    require_packages("matplotlib", "plotly", *(("PIL", "imageio_ffmpeg") if film else ()))
    if film:
        from liquid_control.evaluation.views.film import require_encoder

        require_encoder()


def _duration(request: FlightRequest, scenario: WorldConfig) -> float:
    """Simulated seconds; the last control period must count for the error statistics."""
    duration, settle_time = request.duration, scenario.success.settle_time
    if duration is None:
        duration = scenario.duration
    elif not 0 < duration <= MAX_DURATION:
        raise ConfigError(
            f"--duration {duration:g}: expected seconds above 0 and at most {MAX_DURATION:g}"
        )
    if round(duration * scenario.control_rate) - 1 <= settle_time * scenario.control_rate:
        raise ConfigError(
            f"--duration {duration:g}: expected more than the world's settle_time {settle_time:g} s"
        )
    return duration


def _fly_here(
    request: FlightRequest, flight: Flight, duration: float, on_progress: OnProgress
) -> FlightLog:
    def report(world: World, _) -> None:
        error = world.setpoint().pos_world - world.state.pos_world
        on_progress(world.time_ns * 1e-9, duration, float((error @ error) ** 0.5))

    with flight.world(request.seed) as world:
        return flight.fly(world, duration=duration, real_time=request.real_time, on_step=report)


def _write(
    request: FlightRequest, log: FlightLog, flight: Flight, criteria: dict[str, float]
) -> list[Path]:
    from liquid_control.evaluation.views.circuit import layers
    from liquid_control.evaluation.views.film import write_video
    from liquid_control.evaluation.views.picture import write_picture
    from liquid_control.evaluation.views.report import write_report
    from liquid_control.evaluation.views.wind import wind_figure

    scenario, metadata = flight.scenario, flight.metadata
    after, neurons = scenario.success.settle_time, layers(log, metadata)
    files = [write_picture(request.out / "picture.png", log, layers=neurons, after=after)]
    wind = None
    if scenario.wind:
        wind = request.out / "wind.png"
        wind_figure(scenario, request.seed).savefig(wind, dpi=120)
        files.append(wind)
    video = None
    if request.video:
        video = write_video(request.out / "flight.mp4", log, flight.vehicle, layers=neurons)
        files.append(video)
    report = write_report(
        request.out,
        log,
        criteria=criteria,
        metadata=metadata,
        video=video,
        wind=wind,
        configuration=scenario.model_dump(mode="json"),
        after=after,
    )
    return [report, *files]
