"""The flights without anything, without each neuron and without each synapse."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np

from liquid_control.bench.neurons.activity import activity, components, time_constants
from liquid_control.bench.neurons.lesions import Circuit
from liquid_control.bench.neurons.report import HELD, NEURON, SYNAPSE, lost, markdown, plot
from liquid_control.bench.neurons.sizes import NeuronSizes
from liquid_control.config import find_file
from liquid_control.evaluation.columns import position_error
from liquid_control.evaluation.judged import read_judged_world
from liquid_control.flight_log import FlightLog
from liquid_control.preflight import output_folder, require_packages
from liquid_control.runtime.policy import OnnxPolicy
from liquid_control.sim.flight import prepare
from liquid_control.sim.scenario import WorldConfig


def study_neurons(
    sizes: NeuronSizes,
    out: Path,
    *,
    synapses: bool = True,
    about: str = "",
    report: Callable[[str], None] = lambda line: None,
) -> dict:
    """Fly what is missing; writes ``flights.jsonl``, ``neurons.md`` and ``neurons.png``.

    ``about`` is a paragraph for the page: how it came about.
    Returns {"components": ..., "time_constants": ..., "lesions": rows, "markdown": page}.
    """
    require_packages("matplotlib", "onnx", "scipy", "pybullet")
    path = find_file(sizes.policy, "config/policies")
    scenario = read_judged_world(sizes.world)
    circuit = Circuit(path)
    flights = Flights(output_folder(out) / "flights.jsonl", path, scenario, sizes)
    logs = list(flights.fly(circuit.whole(), range(sizes.flights)))
    whole = [flights.figures(log) for log in logs]
    seen = activity(logs, turn=sizes.turn, after=scenario.success.settle_time)
    usual = dict(zip(circuit.neurons, seen.states.mean(axis=0).tolist(), strict=True))
    makers = {
        NEURON: circuit.without_neuron,
        HELD: lambda name: circuit.without_neuron(name, usual[name]),
        SYNAPSE: circuit.without_synapse,
    }
    removed = [(kind, name, sizes.flights) for kind in (NEURON, HELD) for name in circuit.neurons]
    if synapses:
        removed += [(SYNAPSE, name, sizes.synapse_flights) for name in circuit.synapses]
    lesions = []
    for count, (kind, name, number) in enumerate(removed, 1):
        flown = flights.without(kind, name, number, makers[kind])
        lesions.append(lost(kind, name, flown, whole[:number]))
        report(f"{count}/{len(removed)} without {kind} {name}")
    found, taus = components(seen), time_constants(seen)
    page = markdown(about, sizes, circuit, seen, found, taus, lost("", "", whole, whole), lesions)
    (out / "neurons.md").write_text(page, encoding="utf-8")
    plot(circuit, seen, found, taus, lesions, out / "neurons.png")
    return {
        "components": found.share.tolist(),
        "time_constants": {
            name: dict(zip(circuit.neurons, _plain(values[1]), strict=True))
            for name, values in taus.items()
        },
        "whole": whole,
        "lesions": [lesion.row() for lesion in lesions],
        "markdown": page,
    }


def _plain(values: np.ndarray) -> list[float | None]:
    return [float(v) if np.isfinite(v) else None for v in values]


class Flights:
    """Flights of one policy file in one world; their figures are on disk as each ends."""

    def __init__(self, path: Path, policy: Path, scenario: WorldConfig, sizes: NeuronSizes):
        self._path, self._scenario, self._sizes = path, scenario, sizes
        about = hashlib.sha256(policy.read_bytes())
        about.update(scenario.model_dump_json().encode())
        self._digest = f"{about.hexdigest()[:12]}/{sizes.duration:g}"
        self._done: dict[str, dict] = {}
        for line in path.read_text().splitlines() if path.is_file() else ():
            with suppress(ValueError):  # the last line of a run that was cut off
                row = json.loads(line)
                self._done[row.pop("key")] = row
        self._world = None

    def without(
        self, kind: str, name: str, number: int, make: Callable[[str], OnnxPolicy]
    ) -> list[dict]:
        """Figures of the first ``number`` seeds, flown by ``make(name)`` where missing."""
        keys = [f"{self._digest}/{kind}/{name}/{k}" for k in range(number)]
        missing = [k for k, key in enumerate(keys) if key not in self._done]
        if missing:
            for k, log in zip(missing, self.fly(make(name), missing), strict=True):
                self._done[keys[k]] = self.figures(log)
                with self._path.open("a", encoding="utf-8") as file:
                    file.write(json.dumps({"key": keys[k], **self._done[keys[k]]}) + "\n")
        return [self._done[key] for key in keys]

    def fly(self, policy: OnnxPolicy, numbers) -> Iterator[FlightLog]:
        """A flight of each of these seeds, by their numbers."""
        flight = prepare(self._scenario, policy, name=self._sizes.policy)
        for k in numbers:
            seed = self._sizes.first_seed + k
            if self._world is None:
                self._world = flight.world(seed)
            self._world.seed = seed
            yield flight.fly(self._world, duration=self._sizes.duration)

    def figures(self, log: FlightLog) -> dict:
        """What is kept of a flight; the error is None where it ended early."""
        settled = log.time > self._scenario.success.settle_time
        stayed = not log.crashed and settled.any()
        error, vel = position_error(log), np.linalg.norm(log.truth.vel_world, axis=1)
        return {
            "departed": bool(log.crashed),
            "deviation": float(error[settled].mean()) if stayed else None,  # m
            "speed": float(vel[settled].mean()) if stayed else None,  # m/s
        }
