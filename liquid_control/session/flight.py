"""One flight: fly it with or without ROS, measure it, write what was asked for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from liquid_control.config import ConfigError, find_file
from liquid_control.control.controller import Controller
from liquid_control.evaluation.judge import Check, judge, passed
from liquid_control.evaluation.judged import read_judged_world
from liquid_control.evaluation.metrics import FlightMetrics, flight_metrics
from liquid_control.evaluation.runs.flights import keep_flight
from liquid_control.flight_log import FlightLog
from liquid_control.importing import import_object, is_import_name
from liquid_control.preflight import check_whole, output_folder, remove_stale, require_packages
from liquid_control.runtime.catalogue import check_topic, make_loop
from liquid_control.session.ros import OnProgress, fly_ros
from liquid_control.sim.flight import Flight, default_policy, prepare
from liquid_control.sim.quantities import MAX_DURATION
from liquid_control.sim.scenario import WorldConfig
from liquid_control.sim.world import World

# what a flight may leave in its folder
_FILES = (
    *("report.html", "picture.png", "wind.png", "flight.mp4", "flight.mcap"),
    *("flight.npz", "flight.json"),
)
_NODE_LOGS = tuple(f"log/{node}.log" for node in ("controller", "recorder", "simulator"))


@dataclass(frozen=True)
class FlightResult:
    """What came of a flight: use ``log`` for what happened, ``metrics`` for what it was worth."""

    log: FlightLog
    metrics: FlightMetrics
    checks: tuple[Check, ...]
    files: tuple[Path, ...]
    outside_training: tuple[str, ...] = ()  # what the policy was not trained for, in words

    @property
    def passed(self) -> bool:
        """No crash, every success criterion of the world is met, and the policy flew at all."""
        return passed(self.metrics, self.checks)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            **self.metrics.to_dict(),
            "passed": self.passed,
            "outside_training": list(self.outside_training),
            "files": [str(path) for path in self.files],
        }


def fly(
    world: str | Path = "demo",
    policy: str | Controller | None = None,
    *,
    seed: int = 0,
    duration: float | None = None,
    ros: bool = False,
    real_time: bool = False,
    video: bool = False,
    out: str | Path | None = None,
    on_progress: OnProgress = lambda *_: None,
) -> FlightResult:
    """Fly a policy in a world and measure it: the one call for a flight from Python.

    Args:
        world: path, or the name of a shipped one.
        policy: what flies, by name (see `runtime.catalogue`); without ROS also a controller itself;
            by default the world's, or that of the vehicle's parameters.
        seed: of wind, noise and start.
        duration: simulated seconds; the world's own if ``None``.
        ros: over real ROS 2 topics, each node a process; else in this process, the same flight bit
            for bit.
        real_time: at the pace of the clock; else as fast as it goes.
        video: film the flight; needs ``out``.
        out: folder for report, picture, log, recording and film; nothing is kept if ``None``.
        on_progress: called with simulated s, duration in s and position error in m.

    Raises:
        ConfigError: for an unknown or broken world, policy or vehicle, a number out of range, a
            missing package or a folder that can't be written, before anything starts.
        FlightFailed: if a node of a flight over ROS ends or never begins.
    """
    check_whole("--seed", seed, least=0)
    if isinstance(policy, str) and is_import_name(policy):
        import_object(policy)  # what its module registers may stand in the world
    scenario = read_judged_world(find_file(world, "sim_worlds"))
    if policy is None:
        policy = default_policy(scenario)
    flight = prepare(scenario, policy)
    duration = _duration(duration, scenario)
    if ros and not isinstance(policy, str):
        raise ConfigError(f"a flight over ROS needs a policy by name, got {policy!r}")
    if ros:  # over it flies what could fly a vehicle, and no world tells it the truth
        check_topic(make_loop(flight.loop.policy, flight.vehicle, flight.parameters))
    if video and out is None:
        raise ConfigError("--video needs --out DIR")
    if out is not None:
        _require_writers(video, sees=scenario.camera is not None)
        out = output_folder(Path(out))
    files: list[Path] = []
    if ros:
        log, recording = fly_ros(
            str(world),
            policy,
            scenario=scenario,
            seed=seed,
            duration=duration,
            real_time=real_time,
            out_dir=out,
            on_progress=on_progress,
        )
        files += [recording] if recording else []
    else:
        log = _fly_here(flight, seed, duration, real_time, on_progress, images=out is not None)
    metrics = flight_metrics(log, after=scenario.success.settle_time)
    checks = judge(metrics, scenario.success.limits)
    if out is not None:
        files += _write(out, log, flight, video)
        after = scenario.success.settle_time
        files += keep_flight(out, log, metrics, passed=passed(metrics, checks), after=after)
        logs = [out / name for name in _NODE_LOGS] if ros else []
        remove_stale(out, _FILES + _NODE_LOGS, [*files, *logs])
    return FlightResult(log, metrics, checks, tuple(files), flight.outside_training)


def _require_writers(film: bool, sees: bool) -> None:
    require_packages(
        *("matplotlib", "plotly", "PIL"),
        *(("imageio_ffmpeg",) if film else ()),
        *(("onnx",) if sees else ()),
    )
    if film:
        from liquid_control.evaluation.views.film import require_encoder

        require_encoder()


def _duration(duration: float | None, scenario: WorldConfig) -> float:
    """Simulated seconds; the last control period must count for the error statistics."""
    settle_time = scenario.success.settle_time
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
    flight: Flight,
    seed: int,
    duration: float,
    real_time: bool,
    on_progress: OnProgress,
    images: bool,
) -> FlightLog:
    def report(world: World, _) -> None:
        error = world.setpoint().pos_world - world.state.pos_world
        on_progress(world.time_ns * 1e-9, duration, float((error @ error) ** 0.5))

    with flight.world(seed) as world:
        return flight.fly(
            world, duration=duration, real_time=real_time, on_step=report, images=images
        )


def _write(out: Path, log: FlightLog, flight: Flight, video: bool) -> list[Path]:
    from liquid_control.evaluation.saliency import sight_of
    from liquid_control.evaluation.views.circuit import layers
    from liquid_control.evaluation.views.film import write_video
    from liquid_control.evaluation.views.picture import write_picture
    from liquid_control.evaluation.views.report import write_report
    from liquid_control.evaluation.views.wind import wind_figure

    scenario, metadata = flight.scenario, flight.metadata
    after, neurons = scenario.success.settle_time, layers(log, metadata)
    files = [write_picture(out / "picture.png", log, layers=neurons, after=after)]
    sees = metadata is not None and metadata.eye is not None
    sight = sight_of(log, find_file(flight.policy, "config/policies") if sees else None)
    wind = None
    if scenario.wind:
        wind = out / "wind.png"
        wind_figure(scenario, log.seed).savefig(wind, dpi=120)
        files.append(wind)
    film = None
    if video:
        film = write_video(out / "flight.mp4", log, flight.vehicle, layers=neurons, sight=sight)
        files.append(film)
    report = write_report(
        out,
        log,
        criteria=scenario.success.limits,
        metadata=metadata,
        video=film,
        sight=sight,
        wind=wind,
        configuration=scenario.model_dump(mode="json"),
        after=after,
    )
    return [report, *files]
