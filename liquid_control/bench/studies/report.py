"""The tables and the figure of both studies."""

from pathlib import Path

from liquid_control.bench.studies import expressivity_report
from liquid_control.bench.studies.solver import CLOSED_FORMS

CLOSED_LOOKS = {  # one evaluation each, so about the same place: a cross in a ring
    "closed form": {"marker": "o", "markersize": 12, "fillstyle": "none", "markeredgewidth": 2},
    "CfC": {"marker": "x", "markersize": 7, "markeredgewidth": 2},
}


def _diverges(row: dict, solver: list[dict]) -> bool:
    """Whether a solver is ten times worse than answering the mean."""
    return row["error"] is None or row["error"] > 10 * solver[0]["error"]


def markdown(solver: list[dict], lengths: list[dict]) -> str:
    """Both tables, and what a solver as exact as the closed form costs."""
    lines = ["| step | unfolds | error (RMSE) | µs a step and sample |", "|---|---|---|---|"]
    for row in solver:
        spread = "" if row["error_std"] is None else f" ± {row['error_std']:.0e}"
        error = "diverges" if _diverges(row, solver) else f"{row['error']:.2e}{spread}"
        lines.append(f"| {row['name']} | {row['unfolds']} | {error} | {row['us']:.2f} |")
    lines.append("")
    for closed in (row for row in solver if row["name"] in CLOSED_FORMS):
        for name in ("LTC, fused", "LTC, rk4"):
            rows = [r for r in solver if r["name"] == name and not _diverges(r, solver)]
            as_exact = [row for row in rows if row["error"] <= closed["error"]]
            least = min(as_exact, key=lambda row: row["unfolds"], default=None)
            lines.append(f"- {name} is as exact as the {closed['name']} " + (
                "at none of these numbers of unfolds." if least is None else
                f"from {least['unfolds']} unfolds on, at {least['us'] / closed['us']:.1f} times "
                "its time."))  # fmt: skip
    return "\n".join([*lines, "", expressivity_report.markdown(lengths)])


def plot(solver: list[dict], lengths: list[dict], path: Path) -> None:
    """Error over time of the solvers; trajectory length over width for each activation."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    activations = len({row["activation"] for row in lengths})
    figure, panels = plt.subplots(1, 1 + activations, figsize=(4 * (1 + activations), 4))
    for name in dict.fromkeys(row["name"] for row in solver if row["us"] > 0):
        rows = [r for r in solver if r["name"] == name and not _diverges(r, solver)]
        errors = [row["error"] for row in rows]
        look = CLOSED_LOOKS.get(name, {"marker": "o"})
        panels[0].loglog([row["us"] for row in rows], errors, label=name, **look)
    panels[0].set(xlabel="CPU µs a step and sample", ylabel="error (RMSE)")
    expressivity_report.plot(lengths, panels[1:])
    panels[1].set_ylabel("trajectory length / input's")
    panels[0].legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    plt.close(figure)
