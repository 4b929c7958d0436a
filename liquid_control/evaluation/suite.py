"""A suite: policies x conditions x training seeds x flights, from exported artifacts only.

Every finished flight is one row of ``flights.jsonl``; a run that was interrupted, or whose suite
has grown, flies only what is missing. A row belongs to a *cell*: a hash over the resolved world,
the vehicle, the parameters of the loop and the bytes of the policy. What was flown under other
conditions is never mixed in.
"""

from __future__ import annotations

import hashlib
import json
import signal
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from liquid_control.config import (
    ConfigError,
    PositiveFloat,
    StrictModel,
    find_file,
    load_vehicle,
    load_yaml,
    missing_packages,
    parse,
    read_yaml,
)
from liquid_control.control.loop import ControlLoop
from liquid_control.controllers import GEOMETRIC, make_controller
from liquid_control.evaluation.metrics import FlightMetrics, flight_metrics, position_error
from liquid_control.evaluation.provenance import package_version
from liquid_control.parameters import ControllerParameters
from liquid_control.runtime.artifact import PolicyMetadata, load_artifact
from liquid_control.sim.rollout import fly
from liquid_control.sim.scenario import WorldConfig
from liquid_control.sim.world import World
from liquid_control.structs import FlightLog

ROWS_FILE = "flights.jsonl"
_BLOCK = 5  # flights that a worker takes at once
_ERROR_RATE = 5  # Hz of the error over time that a row keeps

PositiveInt = Annotated[int, Field(gt=0)]


class Condition(StrictModel):
    """A world file with changes: mappings are merged key by key, all else is replaced."""

    description: str
    world: str
    changes: dict[str, Any]


class QuickConfig(StrictModel):
    """The short form of a suite."""

    flights: PositiveInt
    conditions: Annotated[tuple[str, ...], Field(min_length=1)]


class SuiteConfig(StrictModel):
    """A suite file.

    `changes` hold in all conditions, before their own. `policies` maps a name to one artifact (or
    expert) per training seed; the names in `baselines` are what all others are compared with.
    Flight k flies seed ``first_seed + k`` in every cell.
    """

    description: str
    first_seed: int
    flights: PositiveInt
    after: PositiveFloat  # s; error statistics are over later times
    quick: QuickConfig
    changes: dict[str, Any]
    policies: Annotated[dict[str, tuple[str, ...]], Field(min_length=1)]
    baselines: tuple[str, ...]
    conditions: Annotated[dict[str, Condition], Field(min_length=1)]


@dataclass(frozen=True)
class Cell:
    """One policy of one training seed in one condition."""

    policy: str
    training: int  # index of the training seed
    artifact: str  # path, or name of an expert
    condition: str
    scenario: WorldConfig
    key: str


@dataclass(frozen=True)
class Suite:
    """A suite with everything resolved: the files are read, the worlds are valid."""

    config: SuiteConfig
    flights: int
    cells: tuple[Cell, ...]

    @property
    def seeds(self) -> range:
        """Flight seeds, the same in every cell."""
        return range(self.config.first_seed, self.config.first_seed + self.flights)


def load_suite(
    name: str | Path,
    *,
    quick: bool = False,
    flights: int | None = None,
    policies: Mapping[str, Iterable[str]] | None = None,
    conditions: Iterable[str] | None = None,
) -> Suite:
    """Read a suite (a path, or a name in ``config/suites``) and resolve every cell.

    Args:
        quick: its short form.
        flights, conditions: in place of the suite's own.
        policies: added to the suite's, or in place of those of the same name.

    Raises:
        ConfigError: for a broken file, and for an unknown policy, world or condition.
    """
    path = find_file(name, "config/suites")
    config = load_yaml(path, SuiteConfig)
    if policies:
        added = {key: tuple(files) for key, files in policies.items()}
        config = config.model_copy(update={"policies": {**config.policies, **added}})
    names = tuple(conditions or (config.quick.conditions if quick else config.conditions))
    for kind, wanted, known in (
        ("condition", names, config.conditions),
        ("baseline", config.baselines, config.policies),
    ):
        unknown = set(wanted) - set(known)
        if unknown:
            raise ConfigError(f"{path}: unknown {kind} {sorted(unknown)}, expected {list(known)}")
    worlds = {name: _resolve(path, config, name) for name in names}
    cells = tuple(
        Cell(policy, k, artifact, name, world, _cell_key(artifact, world))
        for policy, files in config.policies.items()
        for k, artifact in enumerate(_artifact(file) for file in files)
        for name, world in worlds.items()
    )
    return Suite(config, flights or (config.quick.flights if quick else config.flights), cells)


def _artifact(name: str) -> str:
    return name if name == GEOMETRIC else str(find_file(name, "config/policies"))


def _resolve(path: Path, config: SuiteConfig, name: str) -> WorldConfig:
    condition = config.conditions[name]
    world = read_yaml(find_file(condition.world, "sim_worlds"))
    for changes in (config.changes, condition.changes):
        world = _merge(world, changes)
    names = {"name": name, "description": condition.description}
    return parse({**world, **names}, WorldConfig, f"{path}: condition {name}")


def _merge(base: Any, changes: Any) -> Any:
    """``base`` with ``changes``; a sensor given by name is read before keys of it are changed."""
    if not isinstance(changes, dict):
        return changes
    if isinstance(base, str):
        base = read_yaml(find_file(base, "sim_worlds/sensors"))
    if not isinstance(base, dict):
        return changes
    return {**base, **{key: _merge(base.get(key), value) for key, value in changes.items()}}


def _cell_key(artifact: str, world: WorldConfig) -> str:
    digest = hashlib.sha256()
    for part in (
        package_version("liquid_control"),
        world.model_dump_json(),
        load_vehicle(world.vehicle).model_dump_json(),
        ControllerParameters().model_dump_json(),
    ):
        digest.update(part.encode() + b"\0")
    digest.update(artifact.encode() if artifact == GEOMETRIC else Path(artifact).read_bytes())
    return digest.hexdigest()[:16]


def load_metadata(artifact: str) -> PolicyMetadata | None:
    """Of an artifact; ``None`` for an expert."""
    return load_artifact(artifact).metadata if artifact.endswith(".onnx") else None


@dataclass(frozen=True)
class Block:
    """Flights that one worker takes at once."""

    cell: Cell
    seeds: tuple[int, ...]
    after: float


def fly_one(cell: Cell, seed: int) -> FlightLog:
    """One flight of a cell; the same arguments give the same flight."""
    metadata, loop = _loop(cell.artifact, cell.scenario.vehicle, cell.scenario.control_rate)
    names = metadata.neuron_names if metadata else ()
    with World(cell.scenario, load_vehicle(cell.scenario.vehicle), seed) as world:
        return fly(world, loop, policy_name=cell.policy, neuron_names=tuple(names))


@lru_cache(maxsize=64)
def _loop(artifact: str, vehicle: str, control_rate: float):
    """Loading an artifact re-runs its golden pairs; a worker does that once."""
    parameters = ControllerParameters(vehicle=vehicle, control_rate=control_rate)
    controller, metadata = make_controller(artifact, parameters)
    return metadata, ControlLoop(controller, load_vehicle(vehicle), parameters)


def fly_block(block: Block) -> list[dict[str, Any]]:
    """The rows of a block's flights."""
    return [_row(block, seed) for seed in block.seeds]


def _row(block: Block, seed: int) -> dict[str, Any]:
    cell = block.cell
    log = fly_one(cell, seed)
    metrics = flight_metrics(log, after=block.after)
    stride = max(1, round(log.control_rate / _ERROR_RATE))
    error_mm = np.round(1000 * position_error(log)[::stride]).astype(int)
    return {
        "cell": cell.key,
        "policy": cell.policy,
        "training": cell.training,
        "condition": cell.condition,
        "seed": seed,
        **{key: getattr(metrics, key) for key in ROW_METRICS},
        "error_mm": error_mm.tolist(),
    }


ROW_METRICS = tuple(
    key
    for key in FlightMetrics.__dataclass_fields__
    if key not in ("world", "policy", "vehicle", "seed")
)


def run_suite(
    suite: Suite,
    out: str | Path,
    *,
    jobs: int = 1,
    ray_address: str | None = None,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[dict[str, Any]]:
    """Fly what is missing in ``out/flights.jsonl``; returns all rows of the suite, in order.

    Args:
        jobs: local processes.
        ray_address: of a Ray cluster (``auto`` finds one) to use in place of local processes.
        on_progress: called with flights done and in total.

    An interruption keeps the rows that were written.
    """
    if jobs < 1:
        raise ConfigError(f"jobs is {jobs}, expected at least 1")
    path = Path(out) / ROWS_FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = _read_rows(path)
    wanted = {(cell.key, seed): cell for cell in suite.cells for seed in suite.seeds}
    blocks = _missing_blocks(suite, rows)
    done, total = len(rows.keys() & wanted.keys()), len(wanted)
    on_progress(done, total)
    with _pool(jobs, ray_address, len(blocks)) as run, path.open("a", encoding="utf-8") as file:
        for finished in run(fly_block, blocks):
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
        for seed in suite.seeds
    ]


def _missing_blocks(suite: Suite, rows: Mapping) -> list[Block]:
    blocks, taken = [], set()
    for cell in suite.cells:
        missing = [s for s in suite.seeds if (cell.key, s) not in rows and cell.key not in taken]
        taken.add(cell.key)
        for k in range(0, len(missing), _BLOCK):
            blocks.append(Block(cell, tuple(missing[k : k + _BLOCK]), suite.config.after))
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


@contextmanager
def _pool(jobs: int, ray_address: str | None, blocks: int) -> Iterator[Callable]:
    """Something that maps blocks to rows: this process, local processes, or Ray."""
    if not blocks or (jobs == 1 and ray_address is None):
        yield map
        return
    if ray_address is not None:
        try:
            from ray.util.multiprocessing import Pool
        except ModuleNotFoundError:
            raise missing_packages("ray", ["ray"]) from None
        pool = Pool(ray_address=ray_address)
    else:
        from multiprocessing import get_context

        # A fresh interpreter: PyBullet and ONNX Runtime don't survive a fork.
        pool = get_context("spawn").Pool(min(jobs, blocks), initializer=_ignore_interrupt)
    try:
        yield pool.imap_unordered
        pool.close()
    finally:
        pool.terminate()
        pool.join()


def _ignore_interrupt() -> None:
    """Ctrl-C is for the parent alone, which ends the workers."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
