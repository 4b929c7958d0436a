"""What a flight was worth: one number per question, from a `FlightLog`.

A metric is one row of `METRICS`; `register_metric` adds one of your own. What a vehicle's command
costs follows from its `CommandKind`: root mean square and variation of each slot. Figures that a
flight can't give are ``None`` (JSON null): a flight that crashed before `after` has no RMSE.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from numbers import Integral, Real
from typing import Any

import numpy as np

from liquid_control.evaluation import measures, words
from liquid_control.flight_log import FlightLog
from liquid_control.structs import COMMAND_KINDS, STEERING, VELOCITY, CommandKind, Slot


@dataclass(frozen=True)
class Display:
    """How a metric is shown to a person."""

    name: str
    factor: float  # from the metric's unit to `unit`
    unit: str
    digits: int

    def number(self, value: float | None) -> str:
        """The value without its unit; a dash where it is undefined."""
        return "–" if value is None else f"{self.factor * value:.{self.digits}f}"


@dataclass(frozen=True)
class Metric:
    """One question.

    Attributes:
        name: ends in its unit.
        value: the answer, of a log and of the time in s after which errors count: a number (NumPy's
            too), true or false, ``None``, or, where nothing shows, compares or limits it, a text or
            a mapping of names to such values. One that is not finite is taken for none.
        display: for people; ``None`` of what is shown in another way.
        compared: whether suites compare it.
        limited: whether it can be a limit: a number, the smaller the better.
        kept: whether the row of a suite's flight keeps it.
    """

    name: str
    value: Callable[[FlightLog, float], Any]
    display: Display | None = None
    compared: bool = False
    limited: bool = False
    kept: bool = True


METRICS: dict[str, Metric] = {}


_ROW_KEYS = frozenset(("cell", "training", "condition", "error_mm"))  # of `suite.flights`


def register_metric(metric: Metric) -> Metric:
    """Have every flight give this metric, too; its place is behind those that are there.

    Raises:
        ValueError: if there is another one of that name, or a suite's rows keep something else by
            it.
    """
    if metric.name in _ROW_KEYS:
        raise ValueError(f"metric {metric.name!r}: the rows of a suite keep something else so")
    if METRICS.setdefault(metric.name, metric) is not metric:
        raise ValueError(f"there is a metric {metric.name!r} already")
    return metric


@dataclass(frozen=True)
class Share:
    """A share of flights: of those for which ``failed`` says so, given their metrics."""

    display: Display
    failed: Callable[[Mapping[str, Any]], bool]


SHARES: dict[str, Share] = {
    "crash_rate": Share(Display("crashed", 100, "%", 1), lambda values: values["crashed"]),
    "unsettled_rate": Share(
        Display("crashed or never settled within 10 cm", 100, "%", 1),
        lambda values: values["crashed"] or values["settle_time_s"] is None,
    ),
}


def _register_all() -> None:
    def given(name: str, field: str, kept: bool = True) -> None:
        register_metric(Metric(name, lambda log, _: getattr(log, field), kept=kept))

    def error(name: str, what: str, statistic: Callable[[np.ndarray], float]) -> None:
        display = Display(f"position error, {what}", 100, "cm", 2)
        value = measures.of_late_errors(statistic)
        register_metric(Metric(name, value, display, compared=True, limited=True))

    def time(name: str, what: str, value: Callable[[FlightLog], float | None]) -> None:
        display = Display(what, 1, "s", 2)
        register_metric(
            Metric(name, lambda log, _: value(log), display, compared=True, limited=True)
        )

    for field in ("world", "policy", "vehicle", "seed"):
        given(field, field, kept=False)
    duration = Display("duration", 1, "s", 2)
    register_metric(Metric("duration_s", lambda log, _: measures.duration(log), duration))
    given("control_rate_hz", "control_rate")
    given("crashed", "crashed")
    given("crash_reason", "crash_reason")
    given("fault", "fault", kept=False)
    error("rmse_m", "RMSE", lambda e: np.sqrt(np.mean(e**2)))
    error("p95_error_m", "95th percentile", lambda e: np.percentile(e, 95))
    error("max_error_m", "largest", np.max)
    time("settle_time_s", "settled within 10 cm", measures.settle_time)
    time("step_time_s", "within 10 cm after a jump", measures.step_time)
    time("upright_time_s", "upright within 30°", measures.upright_time)
    for percentile, what in ((50, "median"), (99, "99th percentile")):
        register_metric(
            Metric(
                f"step_us_p{percentile}",
                lambda log, _, p=percentile: measures.latency(log, p),
                Display(f"policy step, {what}", 1, "µs", 1),
                limited=True,
            )
        )
    register_metric(
        Metric(
            "late_ticks",
            lambda log, _: log.late_ticks,
            Display("late control ticks", 1, "", 0),
            limited=True,
        )
    )
    register_metric(Metric("mode_time_s", lambda log, _: measures.mode_times(log)))


_register_all()


NAVIGATES = (VELOCITY, STEERING)  # kinds of command that say where to go
PATH_LENGTH = Metric(
    "path_length_m", lambda log, _: measures.path_length(log), Display("way travelled", 1, "m", 1)
)


@lru_cache
def command_metrics(kind: CommandKind) -> tuple[Metric, ...]:
    """Of a kind of command: root mean square and variation per second of each slot, as sent; of one
    that navigates the length of the way, too.

    The RMS of a slot that isn't neutral at zero, as thrust, says little, so suites don't compare
    it.
    """
    metrics = [metric for slot in kind.layout.slots for metric in _slot_metrics(kind, slot)]
    return (*metrics, PATH_LENGTH) if kind in NAVIGATES else tuple(metrics)


def _slot_metrics(kind: CommandKind, slot: Slot) -> Iterator[Metric]:
    name, title = words.slot_words(kind, slot)
    rests_at_zero = not any(kind.neutral[kind.layout[slot.name]])
    for what, text, unit, digits, measure, compared in (
        ("rms", "RMS", slot.unit, 2, measures.rms, rests_at_zero),
        ("variation", "variation", words.per_second(slot.unit), 1, measures.variation, True),
    ):
        yield Metric(
            "_".join(filter(None, (name, what, words.unit_name(unit)))),
            lambda log, _, measure=measure: measure(log, slot.name) if log.kind == kind else None,
            Display(f"{title}, {text}", 1, words.unit_text(unit), digits),
            compared=compared,
            limited=True,
        )


def metrics_of(kinds: Iterable[CommandKind]) -> dict[str, Metric]:
    """All metrics by name: those of every flight, and those of these kinds of command."""
    commands = (metric for kind in dict.fromkeys(kinds) for metric in command_metrics(kind))
    return {**METRICS, **{metric.name: metric for metric in commands}}


def known_metrics() -> dict[str, Metric]:
    """All metrics of all kinds of command that are known."""
    return metrics_of(COMMAND_KINDS.values())


def compared(kinds: Iterable[CommandKind] | None = None) -> tuple[str, ...]:
    """What a suite compares whose vehicles take these kinds of command; default all kinds."""
    found = known_metrics() if kinds is None else metrics_of(kinds)
    return tuple(name for name, metric in found.items() if metric.compared)


def kept(kind: CommandKind) -> tuple[str, ...]:
    """What the row of a suite's flight keeps, where that kind of command flew."""
    return tuple(name for name, metric in metrics_of([kind]).items() if metric.kept)


def limitable() -> tuple[str, ...]:
    """What a success criterion can be on: metrics, and the shares of `SHARES`."""
    return (*(name for name, m in known_metrics().items() if m.limited), *SHARES)


def display_of(name: str, kinds: Iterable[CommandKind] = ()) -> Display:
    """How a share is shown, or a metric: of a kind of command that is known, or of these."""
    if name in SHARES:
        return SHARES[name].display
    return {**known_metrics(), **metrics_of(kinds)}[name].display


class FlightMetrics(Mapping[str, Any]):
    """The metrics of one flight by name, as a mapping and as attributes.

    A metric that other vehicles have is ``None``.
    """

    def __init__(self, values: Mapping[str, Any]):
        self._values = dict(values)

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __getattr__(self, name: str) -> Any:
        values = self.__dict__.get("_values", {})
        if name in values:
            return values[name]
        if name.startswith("_") or name not in known_metrics():
            raise AttributeError(f"no metric {name!r}")
        return None

    def to_dict(self) -> dict[str, Any]:
        """Plain values for strict JSON: no NaN, None where undefined."""
        return dict(self._values)


def flight_metrics(log: FlightLog, *, after: float = 3.0) -> FlightMetrics:
    """All metrics of a flight: use it on any log; `session.flight.fly` has done so already.

    Args:
        log: at least one control step.
        after: the error statistics are over ``time > after`` seconds, past the transient of the
            start.

    Raises:
        ValueError: for an empty log, and naming the metric for one that fails or gives what is no
            value of a metric.
    """
    if not len(log.time):
        raise ValueError("the flight log is empty, expected at least one control step")
    metrics = metrics_of([log.kind])
    return FlightMetrics({name: _answer(metric, log, after) for name, metric in metrics.items()})


def _answer(metric: Metric, log: FlightLog, after: float) -> Any:
    """The value of a metric, made plain; errors name the metric."""
    try:
        value = metric.value(log, after)
    except Exception as error:  # whatever somebody else's metric raises
        reason = f"{type(error).__name__}: {error}"
        raise ValueError(f"metric {metric.name!r} failed: {reason}") from error
    number = metric.display is not None or metric.compared or metric.limited
    try:
        return _plain(value, number)
    except TypeError:
        expected = "a number or None" if number else "a number, a text, a mapping of them or None"
        raise ValueError(f"metric {metric.name!r} gives {value!r}, expected {expected}") from None


def _plain(value: Any, number: bool) -> Any:
    """A value as strict JSON has it; `TypeError` for what it has not, or for no ``number``."""
    if isinstance(value, np.generic) or (isinstance(value, np.ndarray) and not value.ndim):
        value = value.item()
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real):
        return float(value) if math.isfinite(value) else None
    if not number and isinstance(value, str):
        return str(value)
    if not number and isinstance(value, Mapping):
        return {str(name): _plain(part, number) for name, part in value.items()}
    raise TypeError
