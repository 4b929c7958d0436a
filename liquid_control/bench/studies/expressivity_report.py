"""The tables and the panels of the expressivity study."""

from liquid_control.bench.studies.random_networks import ODES, SETTINGS

WORDS = {
    "published": "as the paper's code has it: weights N(0, σ²), drawn τ; only the LTC is "
    "recurrent, and its drive is scaled by sums of K reversal potentials",
    "same drive": "as published, but all three have the LTC's drive: what is left is its rate",
    "equal f": "the same f for all, weights N(0, σ²/K), reversal potentials N(0, 1), one τ",
}


def markdown(rows: list[dict]) -> str:
    """A table a setting, a line an activation and network, a column a case; then who is longest."""
    lines = [
        "Trajectory length divided by the input's: K neurons, time constant τ, σ of the weights' "
        "spread, D layers.",
        "",
    ]
    for setting, words in WORDS.items():
        table: dict[str, dict[tuple, dict[str, dict]]] = {}
        for row in (row for row in rows if row["setting"] == setting):
            case = (row["width"], row["tau"], row["scale"], row["layers"])
            table.setdefault(row["activation"], {}).setdefault(case, {})[row["network"]] = row
        if not table:
            continue
        cases = list(next(iter(table.values())))
        head = " | ".join(_case(setting, *case) for case in cases)
        lines += [f"**{setting}**: {words}.", "", f"| activation | network | {head} |",
                  "|---|---|" + "---|" * len(cases)]  # fmt: skip
        for activation, here in table.items():
            for network in SETTINGS[setting]:
                cells = " | ".join(_text(of_case[network]) for of_case in here.values())
                lines.append(f"| {activation} | {network} | {cells} |")
        lines.append("")
        for activation, here in table.items():
            longest = [
                max(ODES, key=lambda name: _length(of_case[name])) for of_case in here.values()
            ]
            beaten = [_length(of["ltc"]) > _length(of["ct-rnn"]) for of in here.values()]
            lines.append(
                f"- {activation}: of the three ODEs the LTC is the longest in "
                f"{longest.count('ltc')} of {len(cases)} cases, longer than the CT-RNN in "
                f"{sum(beaten)}."
            )
        lines.append("")
    return "\n".join(lines)


def _case(setting: str, width: int, tau: float | None, scale: float, layers: int) -> str:
    """Scale is a standard deviation as published, a variance where f is equal."""
    spread = "σ²" if setting == "equal f" else "σ"
    between = "" if tau is None else f"τ {tau:g}, "
    return f"K {width}, {between}{spread} {scale:g}, D {layers}"


def _length(row: dict) -> float:
    return float("inf") if row["length"] is None else row["length"]


def _text(row: dict) -> str:
    if row["length"] is None:
        return "diverges"
    return f"{row['length']:.3g} ± {row['length_std']:.2g}"


def plot(rows: list[dict], panels) -> None:
    """Length over width, a panel an activation: solid as published, dashed with the same drive."""
    looks = {"published": "-", "same drive": "--"}
    for panel, activation in zip(panels, dict.fromkeys(row["activation"] for row in rows)):
        for index, network in enumerate(ODES):
            for setting, line in looks.items():
                chosen = {"setting": setting, "activation": activation, "network": network}
                here = [row for row in rows if all(row[k] == v for k, v in chosen.items())]
                here = [
                    row for row in here
                    if row["length"] is not None
                    and (row["scale"], row["layers"]) == (here[0]["scale"], here[0]["layers"])
                ]  # fmt: skip
                here.sort(key=lambda row: row["width"])
                panel.errorbar(
                    [row["width"] for row in here],
                    [row["length"] for row in here],
                    [row["length_std"] for row in here],
                    color=f"C{index}",
                    linestyle=line,
                    marker="o",
                    label=network if setting == "published" else None,
                )
        panel.set(xlabel="neurons", title=activation, xscale="log", yscale="log")
    panels[-1].legend(
        title="published;\ndashed: same drive", fontsize=8, loc="upper left",
        bbox_to_anchor=(1.0, 1.0),
    )  # fmt: skip
