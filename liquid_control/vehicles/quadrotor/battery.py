"""A battery under the load of the rotors.

Open-circuit voltage falls linearly with charge; the load P = c Σ Ω_i³ draws a current I with
P = (U₀ − I R) I, so the terminal voltage is U = (U₀ + √(U₀² − 4 R P)) / 2. Motors without speed
control turn in proportion to it.
"""

from __future__ import annotations

import math

from liquid_control.vehicles.quadrotor.config import BatteryConfig


class Battery:
    """One battery of one flight; ``charge`` is the share left at the start."""

    def __init__(self, config: BatteryConfig, charge: float):
        self._config = config
        self.charge = charge
        self.voltage = config.empty_voltage + charge * (config.full_voltage - config.empty_voltage)

    def drain(self, rotor_speeds: tuple[float, ...], dt: float) -> float:
        """Carry the rotors for ``dt`` s; returns the share of the commanded speed they reach."""
        c = self._config
        open_circuit = c.empty_voltage + self.charge * (c.full_voltage - c.empty_voltage)
        power = c.power_coefficient * sum(speed**3 for speed in rotor_speeds)
        # a load beyond the matched one is as much as the stack can give
        root = math.sqrt(max(open_circuit**2 - 4 * c.resistance * power, 0.0))
        self.voltage = 0.5 * (open_circuit + root)
        self.charge = max(self.charge - power / self.voltage * dt / c.capacity, 0.0)
        return self.voltage / c.rated_voltage if self.charge > 0 else 0.0
