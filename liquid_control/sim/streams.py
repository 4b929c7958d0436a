"""Random streams of a flight by name, so that nobody draws from another's by counting wrong."""

from __future__ import annotations

import hashlib

import numpy as np

# The child of the flight's seed that each name is bound to, for good: another number is another
# flight. A new name takes the next number.
CHILDREN = {
    "start": 0,
    "wind": 1,
    "imu": 2,
    "odometry": 3,
    "vehicle": 4,
    "camera": 5,
    "faults": 7,
    "scene": 8,
}
SENSORS = 6  # further sensors, each by its own name


class Streams:
    """One generator for each part of a flight; a part that draws more leaves the others alone.

    ``Streams(seed).wind`` is the same stream in the world and in a figure of its wind. A generator
    moves on as it is used: make new `Streams` to begin again.
    """

    start: np.random.Generator
    wind: np.random.Generator
    imu: np.random.Generator
    odometry: np.random.Generator
    vehicle: np.random.Generator
    camera: np.random.Generator
    faults: np.random.Generator
    scene: np.random.Generator

    def __init__(self, seed: int):
        self._seed = seed
        for name, child in CHILDREN.items():
            setattr(self, name, self._child(child))

    def sensor(self, name: str) -> np.random.Generator:
        """A new generator for a further sensor of this name; others may come and go."""
        digest = hashlib.sha256(name.encode()).digest()
        return self._child(SENSORS, *np.frombuffer(digest, dtype="<u4").tolist())

    def _child(self, *key: int) -> np.random.Generator:
        """As `numpy.random.SeedSequence.spawn` numbers the children."""
        return np.random.default_rng(np.random.SeedSequence(self._seed, spawn_key=key))
