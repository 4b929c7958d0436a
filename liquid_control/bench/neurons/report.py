"""The page and the picture."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from liquid_control.bench.neurons.activity import MANOEUVRES, Activity, Components
from liquid_control.bench.neurons.lesions import Circuit
from liquid_control.bench.neurons.sizes import NeuronSizes
from liquid_control.evaluation.suite.statistics import (
    Interval,
    difference_interval,
    rate_interval,
)

COLORS = {"straight": "#8a8a8a", "left": "#0072b2", "right": "#d55e00"}
NEURON, HELD, SYNAPSE = "neuron", "neuron held", "synapse"  # what is removed
SLOW = 0.5  # of the whole network's speed
POINTS = 2500  # most that are drawn


@dataclass(frozen=True)
class Lesion:
    """What flights without a part are like, against the whole network on the same seeds."""

    kind: str
    name: str
    flights: int
    departed: int
    deviation: float | None  # m, mean of the flights that stayed
    more: Interval  # m, than the whole network, in pairs of flights that both stayed
    speed: float | None  # m/s, mean of the flights that stayed
    slow: bool  # whether that is less than `SLOW` of the whole network's

    def row(self) -> dict:
        """Plain values for JSON."""
        return asdict(self)

    @property
    def clear(self) -> bool:
        """Whether the interval of the deviation has no zero in it."""
        return self.more.low is not None and (self.more.low > 0 or self.more.high < 0)


def lost(kind: str, name: str, flown: list[dict], whole: list[dict]) -> Lesion:
    """Figures of the same seeds, without a part and whole."""
    pairs = [
        (a["deviation"], b["deviation"])
        for a, b in zip(flown, whole, strict=True)
        if a["deviation"] is not None and b["deviation"] is not None
    ]
    more = Interval(None, None, None)
    if len(pairs) > 1:
        a, b = np.array(pairs).T
        more = difference_interval(a[None], b[None])
    departed = sum(row["departed"] for row in flown)
    speed, usual = _mean(flown, "speed"), _mean(whole, "speed")
    slow = None not in (speed, usual) and speed < SLOW * usual
    return Lesion(kind, name, len(flown), departed, _mean(flown, "deviation"), more, speed, slow)


def _mean(flown: list[dict], key: str) -> float | None:
    values = [row[key] for row in flown if row[key] is not None]
    return float(np.mean(values)) if values else None


def _cm(value: float | None, digits: int = 1) -> str:
    return "–" if value is None else f"{100 * value:.{digits}f}"


def _more(lesion: Lesion) -> str:
    more = lesion.more
    if more.low is None:
        return "–"
    text = f"{100 * more.mean:+.1f} [{100 * more.low:+.1f}, {100 * more.high:+.1f}]"
    return f"**{text}**" if lesion.clear else text


def _ms(values: np.ndarray) -> str:
    low, middle, high = 1000 * values
    return "–" if not np.isfinite(middle) else f"{middle:.3g} [{low:.3g}, {high:.3g}]"


def worst_first(lesions: list[Lesion]) -> list[Lesion]:
    """By departures, then what is slow, then by how much more they deviate."""

    def harm(lesion: Lesion) -> tuple[float, bool, float]:
        more = lesion.more.mean
        return lesion.departed / lesion.flights, lesion.slow, -np.inf if more is None else more

    return sorted(lesions, key=harm, reverse=True)


def _table(lesions: list[Lesion]) -> list[str]:
    lines = [
        "| without | departed | mean deviation, cm | more than whole, cm [95 %] | speed, m/s |",
        "|---|---:|---:|---:|---:|",
    ]
    for lesion in lesions:
        speed = "–" if lesion.speed is None else f"{lesion.speed:.1f}"
        speed += ", *slow*" if lesion.slow else ""
        lines.append(
            f"| {lesion.name} | {lesion.departed} of {lesion.flights} | {_cm(lesion.deviation)} | "
            f"{_more(lesion)} | {speed} |"
        )
    return lines


def markdown(
    about: str,
    sizes: NeuronSizes,
    circuit: Circuit,
    seen: Activity,
    found: Components,
    taus: dict[str, np.ndarray],
    whole: Lesion,
    lesions: list[Lesion],
) -> str:
    """The page; the picture is beside it. ``about``: how it came about, a paragraph."""
    departed = rate_interval(whole.departed, whole.flights)
    shares = [float((seen.manoeuvre == k).mean()) for k in range(len(MANOEUVRES))]
    lines = [
        f"# The neurons of {sizes.policy}",
        "",
        about,
        "",
        "![Components by manoeuvre, time constants, deviation without each neuron](neurons.png)",
        "",
        f"*{sizes.policy}* in *{sizes.world}*, {sizes.flights} flights of {sizes.duration:g} s "
        f"from seed {sizes.first_seed} on. Whole, it departs in {whole.departed} of "
        f"{whole.flights} [{100 * departed.low:.0f} to {100 * departed.high:.0f} %] and deviates "
        f"by {_cm(whole.deviation)} cm in the mean. A turn is a yaw rate of {sizes.turn:g} rad/s "
        "or more: "
        + ", ".join(f"{n} {100 * s:.0f} %" for n, s in zip(MANOEUVRES, shares, strict=True))
        + " of the time.",
        "",
        "## Principal components",
        "",
        f"Of the {len(circuit.neurons)} states, centred, not scaled. {found.needed(0.9)} hold "
        f"90 % of the variance, {found.needed(0.99)} hold 99 %.",
        "",
        "| component | variance, % | correlation with the yaw rate | mean score straight, left, "
        "right | largest neurons |",
        "|---|---:|---:|---:|---|",
    ]
    for k in range(min(sizes.components, len(circuit.neurons))):
        scores = [found.scores[seen.manoeuvre == m, k] for m in range(len(MANOEUVRES))]
        means = ", ".join(f"{s.mean():+.2f}" if len(s) else "–" for s in scores)
        largest = np.argsort(-np.abs(found.directions[k]))[:3]
        names = ", ".join(f"{circuit.neurons[n]} {found.directions[k, n]:+.2f}" for n in largest)
        lines.append(
            f"| {k + 1} | {100 * found.share[k]:.1f} | {found.with_yaw_rate[k]:.2f} | {means} | "
            f"{names} |"
        )
    lines += [
        "",
        "## Time constants",
        "",
        "1/k of the closed form, which the graph computes at each step from what it sees: median "
        "and 10th to 90th percentile, ms.",
        "",
        f"| neuron | {' | '.join(MANOEUVRES)} |",
        f"|---|{'---:|' * len(MANOEUVRES)}",
    ]
    for n, name in enumerate(circuit.neurons):
        lines.append(f"| {name} | {' | '.join(_ms(taus[m][:, n]) for m in MANOEUVRES)} |")
    lines += [
        "",
        "## Without a neuron",
        "",
        f"Its state is 0 for all that read it. {sizes.flights} flights each, on the seeds of the "
        "whole network; deviations are of flights that did not depart. Bold: the interval has no "
        "zero in it, not corrected for the number of rows. What stands departs nowhere: *slow* is "
        f"less than {100 * SLOW:.0f} % of the whole network's speed.",
        "",
        *_table(worst_first([x for x in lesions if x.kind == NEURON])),
        "",
        "The same held at its mean over the flights of the whole network: what is lost now is what "
        "the neuron tells, not where it usually is.",
        "",
        *_table(worst_first([x for x in lesions if x.kind == HELD])),
    ]
    synapses = worst_first([x for x in lesions if x.kind == SYNAPSE])
    if synapses:
        harmful = [x for x in synapses if x.departed or x.slow or (x.clear and x.more.low > 0)]
        helpful = [x for x in synapses if x not in harmful and x.clear]
        rest = [x for x in synapses if x not in harmful and x not in helpful]
        largest = max((abs(x.more.mean) for x in rest if x.more.mean is not None), default=0.0)
        lines += [
            "",
            "## Without a synapse",
            "",
            f"Its weight is 0 in target and rate. {sizes.synapse_flights} flights each, the first "
            f"of the same seeds. Of {len(synapses)}, {len(harmful)} make it depart, slow, or "
            f"deviate more by an interval without zero, and {len(helpful)} less; chance alone "
            f"makes some 2.5 % of the intervals so, either way. The other {len(rest)} change "
            f"nothing that {sizes.synapse_flights} flights show, in the mean {_cm(largest)} cm at "
            "most.",
            "",
            *_table([*harmful, *helpful]),
        ]
    return "\n".join(lines) + "\n"


def plot(
    circuit: Circuit,
    seen: Activity,
    found: Components,
    taus: dict[str, np.ndarray],
    lesions: list[Lesion],
    path: Path,
) -> None:
    """Components by manoeuvre, time constants, and what is lost without each neuron."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(13, 5))
    every = max(1, len(seen.yaw_rate) // POINTS)
    for index, (name, color) in enumerate(COLORS.items()):
        rows = np.flatnonzero(seen.manoeuvre == index)
        rows = rows[rows % every == 0]
        first, second = found.scores[rows, 0], found.scores[rows, 1]
        left.plot(first, second, ".", color=color, markersize=3, label=name)
    left.set_xlabel(f"component 1 ({100 * found.share[0]:.0f} % of the variance)")
    left.set_ylabel(f"component 2 ({100 * found.share[1]:.0f} %)")
    left.legend(fontsize=8, markerscale=3)

    places = np.arange(len(circuit.neurons))
    for index, (name, color) in enumerate(COLORS.items()):
        low, median, high = 1000 * taus[name]
        bars = np.array([median - low, high - median])
        at = places + 0.25 * (index - 1)
        middle.errorbar(median, at, xerr=bars, fmt="o", color=color, markersize=3, linewidth=1)
    middle.set_xscale("log")
    middle.set_xlabel("time constant, ms: median, 10 to 90 %")
    _plot_lost(right, [x for x in lesions if x.kind == NEURON], "black", -0.2, "held at 0")
    _plot_lost(right, [x for x in lesions if x.kind == HELD], "#009e73", 0.2, "held at its mean")
    right.axvline(0, color="#8a8a8a", linewidth=0.8)
    right.set_xlabel("more deviation, cm [95 %]; ×: most departed")
    right.legend(fontsize=8)
    for axes in (middle, right):
        axes.set_yticks(places, circuit.neurons, fontsize=8)
        axes.set_ylim(len(places) - 0.5, -0.5)
    figure.tight_layout()
    figure.savefig(path, dpi=80)
    plt.close(figure)


def _plot_lost(axes: Any, lesions: list[Lesion], color: str, shift: float, label: str) -> None:
    """Where most flights departed, a cross at the edge in place of the interval."""
    for place, lesion in enumerate(lesions):
        more, style = lesion.more, {"color": color, "markersize": 4}
        if 2 * lesion.departed > lesion.flights:
            edge = axes.get_yaxis_transform()
            axes.plot(0.96, place + shift, "x", transform=edge, **{**style, "markersize": 6})
        elif more.low is not None:
            bar = 100 * np.array([[more.mean - more.low], [more.high - more.mean]])
            axes.errorbar(100 * more.mean, place + shift, xerr=bar, fmt="o", linewidth=1, **style)
    axes.plot([], [], "o", color=color, markersize=4, label=label)
