"""A suite: policies x conditions x training seeds x flights, from exported artifacts only.

A *cell* is one policy of one training seed in one condition. Its key is a hash over all that its
flights depend on: the resolved world, the vehicle, the parameters of the loop and the bytes of the
policy. Flights under other conditions are never taken for those of the cell; what changes no flight
(a description, a parameter of the ROS node alone) leaves the key alone.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from glob import glob
from pathlib import Path

from liquid_control.config import ConfigError, MissingPackages, find_file, merge
from liquid_control.evaluation.judged import read_judged_world
from liquid_control.evaluation.metrics import SHARES, compared, kept
from liquid_control.evaluation.provenance import package_version
from liquid_control.evaluation.suite.file import SuiteConfig, read_suite
from liquid_control.importing import absolute_name, import_object, is_import_name, source_of
from liquid_control.parameters import flown_values
from liquid_control.preflight import check_whole
from liquid_control.runtime.artifact import PolicyMetadata, load_artifact
from liquid_control.runtime.catalogue import PEERS, is_builtin, make_parameters
from liquid_control.sim.flight import prepare
from liquid_control.sim.scenario import WorldConfig
from liquid_control.vehicles.catalogue import kind_of, load_vehicle
from liquid_control.vehicles.kind import VehicleConfig

# of a world, what its flights don't depend on
_NO_MATTER = {"name", "description", "success"}


@dataclass(frozen=True)
class Setting:
    """A condition with everything read that its flights depend on."""

    condition: str
    scenario: WorldConfig
    vehicle: VehicleConfig
    loop_ticks: tuple[int, int]
    after: float  # s


@dataclass(frozen=True)
class Cell:
    """One policy of one training seed in one condition."""

    policy: str
    training: int  # index of the training seed
    artifact: str  # path, or name of an expert
    setting: Setting
    metrics: tuple[str, ...]  # that its rows keep
    key: str

    def __hash__(self) -> int:
        return hash(self.key)

    @property
    def condition(self) -> str:
        """Name of the condition."""
        return self.setting.condition


@dataclass(frozen=True)
class Suite:
    """A suite with everything resolved: the files are read, the worlds are valid.

    Attributes:
        cells: all, in the order of the file.
        chosen: those to fly now; of the others only what was flown before is looked at.
        absent: policies that can't fly here, as a package of theirs is not installed, and why.
    """

    config: SuiteConfig
    flights: int
    cells: tuple[Cell, ...]
    chosen: tuple[Cell, ...]
    absent: Mapping[str, str] = field(default_factory=dict)

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
    only: Iterable[str] | None = None,
) -> Suite:
    """Read a suite (a path, or a name in ``config/suites``) and resolve every cell.

    A file may extend another; its policies, limits and short form replace those of the other.
    Worlds, policies and vehicles that it names may stand beside it.

    Every policy that is to fly is loaded once, so that a broken one is known before the first
    flight. Of those that are not, one without a file is left out. One that needs a package which is
    not installed is left out too, unless it is named in ``only``.

    Args:
        quick: its short form.
        flights: in place of the suite's own.
        policies: added to the suite's.
        conditions: those to fly now; default all.
        only: the policies to fly now; default all.

    Raises:
        ConfigError: for a broken file, and for an unknown policy, world, condition or metric.
    """
    check_whole("--flights", flights)
    path = find_file(name, "config/suites")
    config = read_suite(path)
    for policy in policies or ():
        if policy in config.policies:
            raise ConfigError(f"--policy {policy}: {path} has a policy of that name")
    if policies:
        added = {key: tuple(files) for key, files in policies.items()}
        config = config.model_copy(update={"policies": {**config.policies, **added}})
    offered = config.quick.conditions if quick else tuple(config.conditions)
    wanted = tuple(conditions or offered)
    flying = tuple(only or config.policies)
    _check_names(path, config, wanted, flying)
    for file in (file for name in flying for file in config.policies[name]):
        if is_import_name(file):
            import_object(file)  # what its module registers may stand in the worlds
    for world in dict.fromkeys(config.conditions[name].world for name in wanted):
        read_judged_world(world)  # as it stands it must be good too
    settings = [_setting(path, config, name) for name in dict.fromkeys((*offered, *wanted))]
    # only now: a vehicle's file may bring metrics
    metrics = [metric for limits in config.limits.values() for metric in limits]
    _check_known(path, "metric of a limit", metrics, (*compared(), *SHARES))
    flown = [(setting, *_flown(setting)) for setting in settings]
    cells = tuple(
        Cell(policy, k, artifact, setting, kept_metrics, _key(identity + content))
        for policy, files in config.policies.items()
        for k, artifact in enumerate(_artifacts(policy, files, path, needed=policy in flying))
        for content in [_content(artifact)]
        for setting, kept_metrics, identity in flown
    )
    chosen = tuple(c for c in cells if c.policy in flying and c.condition in wanted)
    absent = {} if only else _absent(chosen)
    chosen = tuple(cell for cell in chosen if cell.policy not in absent)
    # a policy must fit every vehicle that it is to fly
    for cell in {(c.artifact, c.setting.scenario.vehicle): c for c in chosen}.values():
        _check_artifact(cell)
    size = flights or (config.quick.flights if quick else config.flights)
    return Suite(config, size, cells, chosen, absent)


def _absent(cells: Iterable[Cell]) -> dict[str, str]:
    """The peers whose package is not installed, with the reason."""
    absent: dict[str, str] = {}
    for cell in {c.artifact: c for c in cells if c.artifact in PEERS.values()}.values():
        try:
            _check_artifact(cell)
        except MissingPackages as error:
            absent[cell.policy] = str(error)
    return absent


def _check_names(
    path: Path, config: SuiteConfig, conditions: Iterable[str], policies: Iterable[str]
) -> None:
    limited = [c for limits in config.limits.values() for names in limits.values() for c in names]
    for kind, wanted, known in (
        ("condition", {*conditions, *limited}, config.conditions),
        ("policy", policies, config.policies),
        ("baseline", config.baselines, config.policies),
        ("policy with limits", config.limits, config.policies),
    ):
        _check_known(path, kind, wanted, known)


def _check_known(path: Path, kind: str, wanted: Iterable[str], known: Iterable[str]) -> None:
    unknown = set(wanted) - set(known)
    if unknown:
        raise ConfigError(f"{path}: unknown {kind} {sorted(unknown)}, expected {list(known)}")


def _artifacts(policy: str, names: Iterable[str], suite: Path, *, needed: bool) -> list[str]:
    """Paths, and names of experts and classes; ``*`` in a name is for all files that match.

    Nothing where a file is missing that is not ``needed``.
    """
    try:
        return _find_artifacts(policy, names, suite)
    except ConfigError:
        if needed:
            raise
        return []


def _find_artifacts(policy: str, names: Iterable[str], suite: Path) -> list[str]:
    found: list[str] = []
    for name in names:
        name = PEERS.get(name, name)
        if is_builtin(name):
            found.append(name)
        elif is_import_name(name):
            found.append(absolute_name(name))
        elif "*" in name:
            files = glob(str(suite.parent / name)) or glob(name)
            found += [str(Path(file).absolute()) for file in sorted(files)]
        else:
            found.append(str(find_file(name, "config/policies").absolute()))
    if not found:
        raise ConfigError(f"policy {policy}: no file matches {', '.join(names)}")
    return found


def _check_artifact(cell: Cell) -> None:
    prepare(cell.setting.scenario, cell.artifact)


def _setting(path: Path, config: SuiteConfig, name: str) -> Setting:
    condition = config.conditions[name]
    # errors count after the suite's time, which is the one that has to fit into the flight
    own = {"name": name, "description": condition.description, "success": {"settle_time": 0.0}}
    changes = merge(merge(config.changes, condition.changes), own)
    scenario = read_judged_world(condition.world, changes, source=f"{path}: condition {name}")
    after = condition.after or config.after
    if after >= scenario.duration:
        raise ConfigError(
            f"{path}: after: expected less than the {scenario.duration:g} s of condition {name}, "
            f"got {after:g}"
        )
    success = scenario.success.model_copy(update={"settle_time": after})
    scenario = scenario.model_copy(update={"success": success})
    vehicle = load_vehicle(scenario.vehicle)
    return Setting(name, scenario, vehicle, condition.loop_ticks, after)


def _flown(setting: Setting) -> tuple[tuple[str, ...], bytes]:
    """What the rows of its flights keep, and all that they depend on but the policy."""
    scenario, vehicle = setting.scenario, setting.vehicle
    metrics = kept(kind_of(vehicle).command)
    parameters = make_parameters(vehicle, control_rate=float(scenario.control_rate))
    parts = (
        package_version("liquid_control"),
        scenario.model_dump_json(exclude=_NO_MATTER),
        vehicle.model_dump_json(),
        json.dumps(flown_values(parameters), default=str),
        f"{setting.loop_ticks} {setting.after} {metrics}",
    )
    return metrics, b"".join(part.encode() + b"\0" for part in parts)


def _key(flown: bytes) -> str:
    return hashlib.sha256(flown).hexdigest()[:16]


def _content(artifact: str) -> bytes:
    """What makes a policy another one: its file, or the name of an expert."""
    if is_builtin(artifact):
        return artifact.encode()
    if is_import_name(artifact):
        return artifact.rpartition(":")[2].encode() + b"\0" + source_of(artifact)
    return Path(artifact).read_bytes()


@lru_cache(maxsize=256)
def load_metadata(artifact: str) -> PolicyMetadata | None:
    """Of an artifact; ``None`` for an expert."""
    return load_artifact(artifact).metadata if artifact.endswith(".onnx") else None
