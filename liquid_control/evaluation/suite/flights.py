"""Flying a suite: rows in a file, resumable, in one process, many, or on Ray.

Every finished flight is one row of ``flights.jsonl``; a run that was interrupted, or whose suite
has grown, flies only what is missing. Rows that were flown before count, also of policies and
conditions that are not chosen this time.
"""

from __future__ import annotations

import gc
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from liquid_control.config import ConfigError
from liquid_control.evaluation.columns import position_error
from liquid_control.evaluation.metrics import flight_metrics, kept
from liquid_control.evaluation.suite.config import Cell, Suite
from liquid_control.flight_log import FlightLog
from liquid_control.preflight import output_folder
from liquid_control.sim.flight import Flight, prepare
from liquid_control.vehicles.catalogue import kind_of
from liquid_control.workers import worker_pool

ROWS_FILE = "flights.jsonl"
_BLOCK = 5  # flights that a worker takes at once
_ERROR_RATE = 5  # Hz of the error over time that a row keeps


@dataclass(frozen=True)
class Block:
    """Flights that one worker takes at once."""

    cell: Cell
    seeds: tuple[int, ...]


def fly_cell(cell: Cell, seed: int) -> FlightLog:
    """One flight of a cell; the same arguments give the same flight."""
    (log,) = _logs(cell, (seed,))
    return log


def _logs(cell: Cell, seeds: Sequence[int]) -> Iterator[FlightLog]:
    """Flights in one world: a physics engine takes longer to start than to be cleared."""
    setting = cell.setting
    flight = _prepare(cell)
    with flight.world(seeds[0]) as world:
        for seed in seeds:
            world.seed = seed
            ticks = None if setting.loop_ticks == (1, 1) else _draw_ticks(setting.loop_ticks, seed)
            yield flight.fly(world, policy_name=cell.policy, ticks=ticks)


def _draw_ticks(bounds: tuple[int, int], seed: int) -> Iterator[int]:
    rng = np.random.default_rng([seed, 1])
    while True:
        yield int(rng.integers(bounds[0], bounds[1] + 1))


@lru_cache(maxsize=64)
def _prepare(cell: Cell) -> Flight:
    """Files are read, and golden pairs run, once in a worker and not in every flight."""
    return prepare(cell.setting.scenario, cell.artifact, vehicle=cell.setting.vehicle)


def block_rows(block: Block) -> list[dict[str, Any]]:
    """The rows of a block's flights."""
    return [_row(block.cell, log) for log in _logs(block.cell, block.seeds)]


def _row(cell: Cell, log: FlightLog) -> dict[str, Any]:
    metrics = flight_metrics(log, after=cell.setting.after)
    # what a policy with another kind of command keeps follows from that
    own = log.kind == kind_of(cell.setting.vehicle).command
    names = cell.metrics if own else kept(log.kind)
    missing = [name for name in names if name not in metrics]
    if missing:
        raise ConfigError(
            f"a worker has no metric {', '.join(missing)}: register it in a module that the "
            "vehicle file names, or fly in one process"
        )
    error = position_error(log)[:: max(1, round(log.control_rate / _ERROR_RATE))]
    error_mm = np.round(1000 * error[np.isfinite(error)]).astype(int)
    return {
        "cell": cell.key,
        "policy": cell.policy,
        "training": cell.training,
        "condition": cell.condition,
        "seed": log.seed,
        **{name: metrics[name] for name in names},
        "error_mm": error_mm.tolist(),
    }


def run_suite(
    suite: Suite,
    out: str | Path,
    *,
    jobs: int = 1,
    ray_address: str | None = None,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[dict[str, Any]]:
    """Fly what is chosen and missing in ``out/flights.jsonl``; returns all rows, in order.

    Use it, after `load_suite`, where the rows are what is wanted; ``liquid-control evaluate``
    writes tables and a report of them as well.

    All: those of each cell of the suite whose flights are all there, whenever they were flown.

    Args:
        jobs: local processes.
        ray_address: of a Ray cluster (``auto`` finds one) to use in place of local processes.
        on_progress: called with flights done and in total.

    An interruption keeps the rows that were written.
    """
    path = output_folder(Path(out)) / ROWS_FILE
    rows = _read_rows(path)
    wanted = {(cell.key, seed) for cell in suite.chosen for seed in suite.seeds}
    blocks = _missing_blocks(suite, rows)
    done, total = len(rows.keys() & wanted), len(wanted)
    with (
        # the loaded packages stay: collections in a worker need not look through them again
        worker_pool(jobs, ray_address, len(blocks), start=gc.freeze) as run,
        path.open("a", encoding="utf-8") as file,
    ):
        on_progress(done, total)
        for finished in run(block_rows, blocks):
            for row in finished:
                file.write(json.dumps(row, allow_nan=False, separators=(",", ":")) + "\n")
                rows[row["cell"], row["seed"]] = row
            file.flush()
            done += len(finished)
            on_progress(done, total)
    # Two names of a suite may mean one cell: its rows serve both.
    return [
        {
            **rows[cell.key, seed],
            "policy": cell.policy,
            "training": cell.training,
            "condition": cell.condition,
        }
        for cell in suite.cells
        if all((cell.key, seed) in rows for seed in suite.seeds)
        for seed in suite.seeds
    ]


def _missing_blocks(suite: Suite, rows: Mapping) -> list[Block]:
    blocks, taken = [], set()
    for cell in suite.chosen:
        missing = [s for s in suite.seeds if (cell.key, s) not in rows and cell.key not in taken]
        taken.add(cell.key)
        for k in range(0, len(missing), _BLOCK):
            blocks.append(Block(cell, tuple(missing[k : k + _BLOCK])))
    return blocks


def _read_rows(path: Path) -> dict[tuple[str, int], dict[str, Any]]:
    """Rows by cell and seed; a last line cut short by a kill is dropped from the file."""
    if not path.exists():
        return {}
    text = path.read_bytes()
    whole = text[: text.rfind(b"\n") + 1]
    if len(whole) < len(text):
        path.write_bytes(whole)
    try:
        rows = [json.loads(line) for line in whole.splitlines()]
        return {(row["cell"], row["seed"]): row for row in rows}
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{path}: not a file of flights: {error!r}") from None
