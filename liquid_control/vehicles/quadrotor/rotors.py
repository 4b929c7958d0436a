"""A quadrotor that is told the speeds of its rotors, past the rate loop of its autopilot.

The second kind of command of a quadrotor: for controllers that steer the rotors themselves, such as
RAPTOR (`liquid_control.peers.raptor`). In simulation; no autopilot in rate mode takes it, so no
topic carries it.

A speed counts in units of the one at which the four rotors carry the nominal weight,
s_i = Ω_i / Ω_h with Ω_h² = m g / (4 k_f), so that 1 hovers whatever the vehicle, and thrust / mass
is g Σ s_i² / 4.
"""

from __future__ import annotations

from dataclasses import replace

from liquid_control.control.observation import Situation, observer_of
from liquid_control.control.rules import Backup, Rules
from liquid_control.structs import (
    GRAVITY,
    RATES_THRUST,
    CommandKind,
    Layout,
    Slot,
    register_command,
)
from liquid_control.vehicles.quadrotor.config import NAME, QuadrotorConfig
from liquid_control.vehicles.quadrotor.parameters import QuadrotorParameters
from liquid_control.vehicles.quadrotor.params import RateLoopParams
from liquid_control.vehicles.quadrotor.physics import rotor_speed_command
from liquid_control.vehicles.quadrotor.rules import GeometricBackup, quadrotor_rules

ROTORS = register_command(
    CommandKind(
        "rotors",
        # in the order of the vehicle's rotors, of the speed that carries the nominal weight
        Layout((Slot("rotor_speed", 4, "1", "none"),)),
        neutral=(1.0, 1.0, 1.0, 1.0),
    )
)


class RotorBackup:
    """A backup that commands rates, and the rate loop that its commands would meet."""

    def __init__(self, inner: Backup, vehicle: QuadrotorConfig):
        self.inner = inner
        self._loop = RateLoopParams.from_vehicle(vehicle)
        self._hover_speed = vehicle.hover_speed
        self.reset()

    def reset(self) -> None:
        """Forget what the inner one remembers."""
        self.inner.reset()
        self._rates = RATES_THRUST.neutral[1:]

    def step(self, situation: Situation, dt: float) -> tuple[float, ...]:
        """Fly to the setpoint."""
        return self._speeds(self.inner.step(self._seen(situation), dt), situation)

    def halt(self, situation: Situation, dt: float) -> tuple[float, ...]:
        """Level, and let the vehicle down."""
        return self._speeds(self.inner.halt(self._seen(situation), dt), situation)

    def _seen(self, situation: Situation) -> Situation:
        """With the thrust that the last speeds give, as the last command."""
        thrust = 0.25 * GRAVITY * sum(speed * speed for speed in situation.previous_command)
        return situation._replace(previous_command=(thrust, *self._rates))

    def _speeds(self, command: tuple[float, ...], situation: Situation) -> tuple[float, ...]:
        thrust, *rates = command
        self._rates = tuple(rates)
        measured = tuple(situation.ang_vel_body)
        speeds = rotor_speed_command(thrust, self._rates, measured, self._loop)
        return tuple(speed / self._hover_speed for speed in speeds)


def rotor_rules(
    vehicle: QuadrotorConfig, parameters: QuadrotorParameters, backup: RotorBackup | None = None
) -> Rules:
    """The rules of a quadrotor that is told rotor speeds; see `vehicles.kind.VehicleKind`.

    Speeds go from idle to the largest. They may change as fast as, in hover, makes thrust / mass
    change by ``output_gate.max_thrust_slew``: dT/dt = 2 g s ds/dt at s = 1.
    """
    inner = GeometricBackup(parameters.backup) if backup is None else backup.inner
    rules = quadrotor_rules(vehicle, parameters, inner)
    hover, motor = vehicle.hover_speed, vehicle.motor
    return replace(
        rules,
        command=ROTORS,
        low=(motor.min_speed / hover,) * 4,
        high=(motor.max_speed / hover,) * 4,
        slew=(parameters.output_gate.max_thrust_slew / (2 * GRAVITY),) * 4,
        observer=observer_of(NAME, ROTORS),
        backup=RotorBackup(inner, vehicle) if backup is None else backup,
    )
