"""The table and the panels of the expressivity study."""

from liquid_control.bench.studies.expressivity import NETWORKS, ODES

DIVERGES = 1e4  # a length above it isn't worth its digits


def markdown(rows: list[dict]) -> str:
    """One line a network and activation, one column a case; then where the LTC is longest."""
    table: dict[str, dict[tuple, dict[str, dict]]] = {}
    for row in rows:
        case = (row["width"], row["tau"], row["scale"], row["layers"])
        table.setdefault(row["activation"], {}).setdefault(case, {})[row["network"]] = row
    cases = list(next(iter(table.values())))
    head = " | ".join(f"K {k}, τ {tau:g}, σ² {scale:g}, D {d}" for k, tau, scale, d in cases)
    lines = [
        "Trajectory length divided by the input's: K neurons, time constant τ, weights of variance "
        "σ²/K, D layers.",
        "",
        f"| activation | network | {head} |",
        "|---|---|" + "---|" * len(cases),
    ]
    for activation, here in table.items():
        for network in NETWORKS:
            cells = " | ".join(_text(of_case[network]) for of_case in here.values())
            lines.append(f"| {activation} | {network} | {cells} |")
    lines.append("")
    for activation, here in table.items():
        longest = [
            max(ODES, key=lambda network: of_case[network]["length"]) for of_case in here.values()
        ]
        beaten = [of["ltc"]["length"] > of["ct-rnn"]["length"] for of in here.values()]
        lines.append(
            f"- {activation}: of the three ODEs the LTC is the longest in {longest.count('ltc')} "
            f"of {len(cases)} cases, longer than the CT-RNN in {sum(beaten)}."
        )
    return "\n".join([*lines, ""])


def _text(row: dict) -> str:
    if row["length"] > DIVERGES:
        return "diverges"
    return f"{row['length']:.3g} ± {row['length_std']:.2g}"


def plot(rows: list[dict], panels) -> None:
    """Length over width, a panel an activation; the shortest tau solid, longer ones dashed."""
    first = rows[0]
    for panel, activation in zip(panels, dict.fromkeys(row["activation"] for row in rows)):
        for index, network in enumerate(NETWORKS):
            for tau in sorted({row["tau"] for row in rows}):
                chosen = {"network": network, "activation": activation, "tau": tau}
                chosen |= {key: first[key] for key in ("scale", "layers")}
                here = [row for row in rows if all(row[k] == v for k, v in chosen.items())]
                here = [row for row in here if row["length"] < DIVERGES]
                here.sort(key=lambda row: row["width"])
                solid = tau == min(row["tau"] for row in rows)
                panel.errorbar(
                    [row["width"] for row in here],
                    [row["length"] for row in here],
                    [row["length_std"] for row in here],
                    color=f"C{index}",
                    linestyle="-" if solid else "--",
                    marker="o",
                    label=network if solid else None,
                )
        panel.set(xlabel="neurons", title=activation, xscale="log", yscale="log")
    taus = sorted({row["tau"] for row in rows})
    title = f"τ = {taus[0]:g}" + (f", dashed {taus[-1]:g}" if len(taus) > 1 else "")
    panels[-1].legend(title=title, fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0))
