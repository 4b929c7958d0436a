"""The sensor that only a simulated world has: the true motion, and the wind at the vehicle.

An oracle that is told them shows how far others are from the limit. No world file lists it; a
flight adds it for the policy that observes it, and that policy alone (`told_the_truth`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import numpy as np

from liquid_control.config import ConfigError, StrictModel
from liquid_control.sim.scenario import WorldConfig
from liquid_control.sim.sensors import Truth
from liquid_control.structs import TRUTH, TruthSample


class TruthConfig(StrictModel):
    """Without noise, delay or loss, each control period."""

    kind: Literal["truth"] = "truth"

    def build(self, rng: np.random.Generator, control_rate: float) -> TruthSensor:
        """The sensor of one flight; it draws nothing."""
        return TruthSensor()


class TruthSensor:
    """Passes on what the world tells its sensors, see `sim.sensors.Sensor`."""

    def measure(self, stamp_ns: int, truth: Truth) -> TruthSample:
        """What is true now."""
        return TruthSample(stamp_ns, *truth)


def told_the_truth(scenario: WorldConfig, sensors: Iterable[str]) -> WorldConfig:
    """The world, with this sensor where it is among those that a loop flies on.

    Start, wind and errors of the other sensors stay what they are, seed by seed: a flight is paired
    with those of policies that are not told.

    Raises:
        ConfigError: if the world has another sensor of that name.
    """
    if TRUTH not in sensors:
        return scenario
    if TRUTH in scenario.sensors:
        raise ConfigError(
            f"{scenario.name}: sensors.{TRUTH}: the policy observes the sensor of that name which "
            "every simulated world has; expected another name"
        )
    return scenario.model_copy(update={"sensors": {**scenario.sensors, TRUTH: TruthConfig()}})
