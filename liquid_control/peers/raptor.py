"""RAPTOR, a policy for many quadrotors, as a peer: ``--policy raptor``.

Source: J. Eschmann, D. Albani, G. Loianno, "RAPTOR: A Foundation Policy for Quadrotor Control",
arXiv 2509.11481, 2025. Its weights are those of the package ``foundation-policy`` (MIT), which the
extra ``peers`` brings: 22 inputs, 16 dense, a GRU of 16, 4 outputs, 2,084 weights.

    input   p − p*  (m), R (row by row), v − v*  (m/s), ω (rad/s), last action
    output  a in [−1, 1]⁴: rotor speed (a + 1) / 2 of the largest; front right, back right, back
            left, front left, of which the first turns counter-clockwise seen from above

Position, velocity and R are in a frame that is level and has the wanted heading, ω in the body
frame, both FLU. As its authors fly it (PX4's module ``mc_raptor`` and its executor in rl_tools):
p − p* is held within 0.5 m and v − v* within 1 m/s an axis, the last action begins at 0, and the
memory steps at 100 Hz, at which it was trained. A faster loop computes an action each step from the
memory of the newest of those, with the mean of the actions since then as the last one.

What it knows that policies of this project don't: the true motion, from a sensor that only a
simulated world has, and its rotors, past the rate loop. What it does not know: wind, specific
force, the acceleration of the setpoint, dt. It was trained without air, on vehicles of 0.02 to 5 kg
with thrust to weight of 1.5 to 5 and motor lags of 0.03 to 0.1 s (0.3 s falling); where motors are
as fast as its own period, or the thrust is larger, its attitude chatters in a loop of 100 Hz, and
it then stands centimetres aside.
"""

from __future__ import annotations

import math

import numpy as np

from liquid_control.config import ConfigError
from liquid_control.preflight import require_packages
from liquid_control.vehicles.quadrotor.config import QuadrotorConfig
from liquid_control.vehicles.quadrotor.rotors import ROTORS

PERIOD = 0.01  # s, of a step of its memory
MAX_POS_ERROR = 0.5  # m, per axis
MAX_VEL_ERROR = 1.0  # m/s, per axis
_SOON = 1e-4  # s, by which a step of the memory may come early
_FIRST = -0.25 * math.pi  # rad, azimuth of its first rotor; the others follow clockwise
_DIRECTIONS = (1, -1, 1, -1)  # of its rotors, +1 counter-clockwise seen from above
_MOST_ASKEW = math.radians(20.0)  # of a rotor from where the policy takes it to be


def rotor_order(vehicle: QuadrotorConfig) -> tuple[float, tuple[int, int, int, int]]:
    """How a vehicle looks as the policy knows one.

    Returns:
        The turn about body z in rad from the body to the front that the policy is shown, and the
        index of the vehicle's rotor for each of its own. Rotors that turn the other way round, or
        sit on the axes, are met by a turn.

    Raises:
        ConfigError: for rotors that are no square whose neighbours turn in opposite senses.
    """
    azimuths = [math.atan2(y, x) for x, y, _ in vehicle.rotor_positions]
    clockwise = sorted(range(4), key=lambda i: -azimuths[i])
    found = []
    for k in range(4):
        order = tuple(clockwise[k:] + clockwise[:k])
        offsets = [
            _wrapped(azimuths[rotor] - _FIRST + 0.5 * math.pi * place)
            for place, rotor in enumerate(order)
        ]
        turn = math.atan2(sum(map(math.sin, offsets)), sum(map(math.cos, offsets)))
        askew = max(abs(_wrapped(offset - turn)) for offset in offsets)
        directions = tuple(vehicle.rotor_directions[rotor] for rotor in order)
        if askew < _MOST_ASKEW and directions == _DIRECTIONS:
            found.append((turn, order))
    if not found:
        raise ConfigError(
            f"RAPTOR flies rotors in a square, neighbours turning in opposite senses; "
            f"{vehicle.name} has rotor_positions {vehicle.rotor_positions} and rotor_directions "
            f"{vehicle.rotor_directions}"
        )
    return min(found, key=lambda option: abs(option[0]))


def _wrapped(angle: float) -> float:
    return math.remainder(angle, 2 * math.pi)


class Raptor:
    """Flies any quadrotor in a simulated world, by its rotors; see the module.

    Raises:
        ConfigError: without its package, and for a vehicle whose rotors it does not know.
    """

    observation = ("true_pos_error", "true_vel_error", "true_up", "true_heading", "true_ang_vel")
    command_kind = ROTORS.name

    def __init__(self, vehicle: QuadrotorConfig):
        require_packages("foundation_policy")
        import foundation_policy

        turn, self._order = rotor_order(vehicle)
        c, s = math.cos(turn), math.sin(turn)
        self._view = np.array([[c, s, 0.0], [-s, c, 0.0], [0.0, 0.0, 1.0]])  # from the body
        self._most = vehicle.motor.max_speed / vehicle.hover_speed
        self._policy = foundation_policy.Raptor()  # which checks its own example
        self._memories = [layer for layer in self._policy.layers if hasattr(layer, "state")]
        self.reset()

    def reset(self) -> None:
        """Forget motion and actions, as before a flight."""
        self._policy.reset()
        self._action = np.zeros(4)  # the newest
        self._last = np.zeros(4)  # what it is told of those before
        self._steps = 0  # since that of the memory
        self._age = PERIOD  # s, of the memory

    def step(self, observation: np.ndarray, dt: float) -> np.ndarray:
        """Rotor speeds of the vehicle's rotors, see `vehicles.quadrotor.rotors.ROTORS`."""
        self._age += dt
        due = self._age > PERIOD - _SOON
        self._last = (self._last * self._steps + self._action) / (self._steps + 1)
        kept = [layer.state for layer in self._memories]
        self._action = self.action(observation, self._last)
        self._steps += 1
        if due:
            self._age, self._steps = 0.0, 0
        else:
            for layer, state in zip(self._memories, kept, strict=True):
                layer.state = state
        command = np.empty(4)
        command[list(self._order)] = 0.5 * (self._action + 1.0) * self._most
        return command

    def action(self, observation: np.ndarray, last: np.ndarray) -> np.ndarray:
        """Its own action ``(4,)`` in [−1, 1], of our observation ``(15,)`` and its last action."""
        pos, vel, up, heading, ang_vel = observation.reshape(5, 3)
        view = self._view
        level = view @ np.stack([heading, np.cross(up, heading), up])  # from the body
        seen = np.concatenate(
            [
                np.clip(-level @ pos, -MAX_POS_ERROR, MAX_POS_ERROR),
                (level @ view.T).ravel(),
                np.clip(-level @ vel, -MAX_VEL_ERROR, MAX_VEL_ERROR),
                view @ ang_vel,
                last,
            ]
        )
        return np.clip(self._policy.evaluate_step(seen[None])[0], -1.0, 1.0)

    @property
    def neurons(self) -> np.ndarray:
        """Its memory, the state of its GRU ``(16,)``."""
        states = [layer.state for layer in self._memories if layer.state is not None]
        return np.concatenate(states, axis=None) if states else np.zeros(16)
