"""The whole comparison: steps, training and scaling, measured and written."""

import os
from pathlib import Path

from liquid_control.bench.networks.report import write_report
from liquid_control.bench.networks.sizes import NetworkSizes
from liquid_control.bench.networks.step import step_times
from liquid_control.bench.networks.training import scaling_times, training_times
from liquid_control.bench.timing import one_thread
from liquid_control.preflight import output_folder, require_packages


def compare_networks(
    sizes: NetworkSizes, out: Path | None = None, *, command: str, quick: bool = False
) -> dict:
    """Measure; with ``out`` also write ``networks.md`` and, unless quick, ``networks.png``.

    Returns step_us_p50, step_us_p99, step_speedup_vs_ncps, cfc_train_speedup_vs_ncps,
    cfc_train_speedup_vs_lstm, ltc_train_speedup_vs_ncps and the times behind them. The policy and
    the CfC are the network that ncps computes (mode "default"), on a really sparse wiring; nn.LSTM
    has as many stored parameters as that CfC (``..._lstm_active``: as many as it has synapses).
    """
    require_packages("ncps")
    if out is not None:
        require_packages("matplotlib")
        output_folder(out)
    with one_thread():
        result = {"load_average": os.getloadavg()[0], "cores": os.cpu_count()}
        result |= step_times(sizes, sizes.step_calls // (10 if quick else 1))
        result |= training_times(sizes, 5 if quick else sizes.repeats)
        if not quick:
            result["scaling"] = scaling_times(sizes)
    if out is not None:
        write_report(result, sizes, command, out)
    return result
