"""Both studies, measured and written."""

from pathlib import Path

from liquid_control.bench.studies.expressivity import expressivity_study
from liquid_control.bench.studies.report import markdown, plot
from liquid_control.bench.studies.sizes import StudySizes
from liquid_control.bench.studies.solver import solver_study
from liquid_control.bench.timing import one_thread
from liquid_control.preflight import check_whole, output_folder, require_packages


def run_studies(sizes: StudySizes, out: Path, *, seeds: int | None = None) -> dict:
    """Measure, and write ``studies.md`` and ``studies.png``.

    ``seeds`` is in place of the number in ``sizes``. Returns {"solver": rows, "expressivity": rows,
    "markdown": table}.
    """
    check_whole("--seeds", seeds)
    if seeds is not None:
        sizes = sizes.model_copy(update={"seeds": seeds})
    require_packages("matplotlib")
    output_folder(out)
    with one_thread():  # on a busy machine several wait for each other, and waiting is CPU time
        solver = solver_study(sizes)
        lengths = expressivity_study(sizes.expressivity)
    table = (
        "Command: `liquid-control bench sequences --study`. Mean ± standard deviation, over "
        f"{sizes.seeds} seeds and, for the trajectory lengths, {sizes.expressivity.draws} draws of "
        f"the weights.\n\n{markdown(solver, lengths)}"
    )
    (out / "studies.md").write_text(table)
    plot(solver, lengths, out / "studies.png")
    return {"solver": solver, "expressivity": lengths, "markdown": table}
