"""The tables of the intervals' coverage."""

from __future__ import annotations

import math

from liquid_control.bench.intervals.simulation import coverage, false_alarms
from liquid_control.bench.intervals.sizes import IntervalSizes
from liquid_control.evaluation.suite.margins import LEVEL

_COLUMNS = {
    "mean": "mean",
    "difference": "difference",
    "iqm": "interquartile mean",
    "percentile": "percentile bootstrap",
    "BCa": "BCa bootstrap",
    "others": "one seed's flights",
}


def measure(sizes: IntervalSizes) -> dict:
    """Both studies: ``{"coverage": rows, "family": rows}``."""
    covered = [
        {"shape": name, "seeds": seeds, **coverage(sizes, shape, seeds)}
        for name, shape in sizes.shapes.items()
        for seeds in sizes.training_seeds
    ]
    family = [
        {"spreads": name, "correlation": correlation, "seeds": seeds}
        | false_alarms(sizes, spreads, correlation, seeds)
        for name, spreads in sizes.family.spreads.items()
        for correlation in sizes.family.correlation
        for seeds in sizes.family.training_seeds
    ]
    return {"coverage": covered, "family": family}


def markdown(sizes: IntervalSizes, results: dict) -> str:
    """Coverage, then false alarms, each with its Monte-Carlo error."""
    of, nominal = sizes.family, 100 * LEVEL
    lines = [
        "# Do the intervals cover?",
        "",
        "Command: `liquid-control bench intervals`. Made-up results whose truth is known: "
        f"{sizes.flights} flights of each training seed; what the shapes are stands in "
        "`config/benchmarks/intervals.yaml`.",
        "",
        f"Intervals of {nominal:.0f} % that hold the truth, % of {sizes.repetitions} "
        f"(± {_error(LEVEL, sizes.repetitions):.1f}). The first three are those of suites; the "
        "bootstraps are of seeds' means that no flights disturb, for comparison; the last is what "
        "an interval over the flights of a single training seed says of other training runs.",
        "",
        f"| training seeds scatter | seeds | {' | '.join(_COLUMNS.values())} |",
        "| --- |" + " ---: |" * (1 + len(_COLUMNS)),
    ]
    for row in results["coverage"]:
        shares = " | ".join(f"{100 * row[key]:.1f}" for key in _COLUMNS)
        lines.append(f"| {_shape(sizes, row['shape'])} | {row['seeds']} | {shares} |")
    failing = [shape.failing for shape in sizes.shapes.values() if shape.failing]
    if failing:
        rare, few = min(failing), min(10, max(sizes.training_seeds))
        lines += [
            "",
            f"No interval knows of failures that none of its runs shows: where one run in "
            f"{1 / rare:.0f} fails, {few} runs show none {100 * (1 - rare) ** few:.0f} % of the "
            "time. The interquartile mean does not ask for them.",
        ]
    pairs = math.comb(of.policies, 2)
    lines += [
        "",
        f'"Clearly" in a table of {of.policies} policies that do not differ in the mean, each with '
        f"each other in {of.conditions} conditions ({pairs * of.conditions} differences) of "
        f"{of.flights} flights, which suit one policy and not another: % of "
        f"{of.repetitions} tables in which any is called clear "
        f"(5 % allowed, ± {_error(0.05, of.repetitions):.1f}), and how many a table "
        f"leave zero out of their own {nominal:.0f} % interval.",
        "",
        "| policies scatter | correlation of conditions | seeds | tables with any clear, % | "
        "differences outside alone |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for row in results["family"]:
        spreads = " and ".join(f"{spread:g}" for spread in of.spreads[row["spreads"]])
        lines.append(
            f"| {row['spreads']} ({spreads}) | {row['correlation']:g} | {row['seeds']} | "
            f"{100 * row['tables']:.1f} | {row['alone']:.1f} |"
        )
    return "\n".join([*lines, ""])


def _shape(sizes: IntervalSizes, name: str) -> str:
    return f"{name} ({sizes.shapes[name].spread:g})"


def _error(share: float, trials: int) -> float:
    """Two standard errors of a share of trials, %."""
    return 200 * math.sqrt(share * (1 - share) / trials)
