"""What a policy was trained for, by its own record, and what of a flight lies outside of that.

Use it before a flight: outside of its training a policy may fly well or not at all, and nothing in
its output says which.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from liquid_control.config import ConfigError
from liquid_control.runtime.schema import PolicyMetadata
from liquid_control.vehicles.catalogue import kind_of, load_vehicle
from liquid_control.vehicles.kind import VehicleConfig

TOLERANCE = 0.1  # of a value: this far beyond a range is not outside of it


class Trained(NamedTuple):
    """One quantity and the range in which the policy met it."""

    name: str
    low: float
    high: float
    unit: str

    def __str__(self) -> str:
        low, high = f"{self.low:.3g}", f"{self.high:.3g}"
        span = low if low == high else f"{low} to {high}"
        return f"{span} {self.unit}".rstrip()

    def outside(self, value: float) -> str:
        """What is outside, in words; "" for a value within the range."""
        margin = 1 + TOLERANCE
        if self.low / margin <= value <= self.high * margin:
            return ""
        return f"{self.name} {f'{value:.3g} {self.unit}'.rstrip()}, trained for {self}"


def trained_for(metadata: PolicyMetadata) -> tuple[Trained, ...]:
    """The ranges that the training record tells: control rate, delay, traits of the vehicle.

    Empty for a policy without such a record, which somebody else's is. Raises `ConfigError` if the
    vehicle that it was trained on can't be found.
    """
    drawn = _randomisation(metadata)
    if not drawn:
        return ()
    found = [
        Trained("control rate", *drawn["control_rate"], "Hz"),
        Trained("odometry delay", *(1e3 * seconds for seconds in drawn["delay"]), "ms"),
    ]
    vehicle = load_vehicle(metadata.vehicle)
    for trait in kind_of(vehicle).traits(vehicle):
        low = high = trait.value
        for least, most in (drawn.get(key, (1.0, 1.0)) for key in trait.drawn):
            low, high = low * least, high * most
        found.append(Trained(trait.name, low, high, trait.unit))
    return tuple(found)


def outside_training(
    metadata: PolicyMetadata | None,
    vehicle: VehicleConfig,
    control_rate: float,
    odometry_delay: float = 0.0,
) -> tuple[str, ...]:
    """What of a flight the policy was not trained for, each in words with the value and the range.

    Args:
        metadata: of the policy; nothing is known without.
        vehicle: that is to be flown.
        control_rate: Hz.
        odometry_delay: s, from the stamp of a sample to its arrival.
    """
    if metadata is None:
        return ()
    try:
        ranges = trained_for(metadata)
    except ConfigError as error:
        return (f"the vehicle of its training can't be compared: {error}",)
    values = {trait.name: trait.value for trait in kind_of(vehicle).traits(vehicle)}
    values |= {"control rate": control_rate, "odometry delay": 1e3 * odometry_delay}
    words = (known.outside(values[known.name]) for known in ranges if known.name in values)
    return tuple(filter(None, words))


def _randomisation(metadata: PolicyMetadata) -> Mapping[str, Any]:
    config = metadata.training.get("config", {})
    drawn = config.get("randomisation", {}) if isinstance(config, Mapping) else {}
    return drawn if {"control_rate", "delay"} <= set(drawn) else {}
