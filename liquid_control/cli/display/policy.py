"""What a policy file holds, and what a training run made."""

from __future__ import annotations

import math
import os
from pathlib import Path

from rich.table import Table

from liquid_control.cli.display import CONSOLE
from liquid_control.config import ConfigError
from liquid_control.runtime.artifact import PolicyMetadata, load_artifact
from liquid_control.runtime.trained_for import trained_for


def show_trained(results: list[Path]) -> None:
    """What training runs made, policies or files of gains: all of one, a line each of several."""
    if len(results) > 1:
        return _show_several(results)
    for result in results:
        if result.suffix == ".onnx":
            show_policy(result, load_artifact(result).metadata)
        else:
            CONSOLE.print(f"{result}\n{result.read_text()}", highlight=False)


def _show_several(results: list[Path]) -> None:
    folder = Path(os.path.commonpath([result.parent for result in results]))
    table = Table("run", "network", "weights", "updates", "seconds", "error, cm", title=str(folder))
    for result in results:
        row = [str(result.parent.relative_to(folder)), "gains"]
        if result.suffix == ".onnx":
            metadata = load_artifact(result).metadata
            record = metadata.training
            error, _ = _error(record)
            row[1:] = [metadata.network, str(metadata.weights)]
            row += [str(record.get("updates", "?")), str(record.get("seconds", "?")), error]
        table.add_row(*row)
    CONSOLE.print(table)


def show_policy(path: Path, metadata: PolicyMetadata) -> None:
    """What a policy file holds."""
    table = Table(title=str(path), show_header=False)
    layers = metadata.wiring.layers if metadata.wiring else {}
    circuit = ", ".join(f"{len(ids)} {name}" for name, ids in layers.items())
    for name, value in (
        ("network", metadata.network),
        ("neurons", circuit or str(len(metadata.neuron_names))),
        ("synapses", _synapses(metadata)),
        ("weights", str(metadata.weights)),
        *_eye(metadata),
        ("vehicle", metadata.vehicle),
        ("control period", f"{metadata.control_period * 1e3:g} ms"),
        ("observation", ", ".join(slot.name for slot in metadata.observation)),
        ("command", ", ".join(slot.name for slot in metadata.command)),
        ("trained for", _trained_for(metadata)),
        ("training", _training(metadata.training)),
    ):
        table.add_row(name, value)
    CONSOLE.print(table)


def _eye(metadata: PolicyMetadata) -> list[tuple[str, str]]:
    """A row on the encoder of a policy that sees."""
    eye = metadata.eye
    if eye is None:
        return []
    across = 2 * math.degrees(math.atan(0.5 * eye.width / eye.focal_length[0]))
    camera = f"{eye.width} × {eye.height} px, {across:.0f}° across"
    return [("eye", f"{camera}; {len(eye.golden_features)} features, {eye.weights} weights")]


STRONGEST = 5  # synapses that are named


def _synapses(metadata: PolicyMetadata) -> str:
    """How many of each kind, in the weights that fly, and which are the strongest."""
    wiring = metadata.wiring
    if wiring is None:
        return "no wiring"
    counts = [f"{count} {word}" for word, count in wiring.counts().items() if count]
    inputs = metadata.observation_layout.component_names
    named = [
        (names[source], metadata.neuron_names[target], strength)
        for names, synapses in (
            (inputs, wiring.sensory_synapses),
            (metadata.neuron_names, wiring.synapses),
        )
        for source, target, strength in synapses
        if strength is not None
    ]
    named.sort(key=lambda synapse: -abs(synapse[2]))
    lines = [f"{source} → {target} {value:+.2f}" for source, target, value in named[:STRONGEST]]
    return "\n".join([", ".join(counts), *lines])


def _trained_for(metadata: PolicyMetadata) -> str:
    try:
        ranges = trained_for(metadata)
    except ConfigError as error:
        return str(error)
    return "\n".join(f"{known.name} {known}" for known in ranges) or "not told by the file"


def _training(record: dict) -> str:
    error, where = _error(record)
    settled = f", error {error} cm in {where}" if error else ""
    return f"{record.get('updates', '?')} updates in {record.get('seconds', '?')} s{settled}"


def _error(record: dict) -> tuple[str, str]:
    """In cm, of a training record, and where it was measured; empty if it was not."""
    places = {"held_out_m": "held-out episodes", "training_rmse_m": "training conditions"}
    for key, where in places.items():
        if record.get(key) is not None:
            return f"{100 * record[key]:.1f}", where
    return "", ""
