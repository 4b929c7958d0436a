"""A control step and its reverse derivative as four compiled functions.

    observe        vehicle, commands, now, conditions             -> observation
    fly            vehicle, commands, now, conditions             -> after, cost, miss
    fly_back       ... and d_after, d_cost                        -> d_vehicle, adds to d_commands
    observe_back   ... and d_observation                          -> adds to d_vehicle, d_commands

The backward functions compute the step again, which costs less than keeping what it went through.
Rows of a group: ``vehicle`` and ``after`` are `QuadrotorState` and the specific force, ``now`` and
``conditions`` their named tuples in order; of ``commands``, row 0 is the first component of the one
that acts from now on (``fly``) or was sent last (``observe``), older ones lie before it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from liquid_control.training.conditions import Conditions, StepInputs
from liquid_control.training.control_step import Task, fly, observe
from liquid_control.training.lanes.adjoint import adjoints
from liquid_control.training.lanes.build import build
from liquid_control.training.lanes.network import trace_policy
from liquid_control.training.lanes.source import Function, Output
from liquid_control.training.lanes.symbols import CannotTrace, Symbol, Tape, where
from liquid_control.vehicles.quadrotor.dynamics import QuadrotorState

VEHICLE_SIZES = (3, 4, 3, 3, 4)  # rows of each field of QuadrotorState
VEHICLE_ROWS = sum(VEHICLE_SIZES) + 3  # and the specific force
NOW_SIZES = StepInputs(0, 3, 3, 3, 3, 3, 3, 15)  # rows of each field; 0: one without an axis
COMMAND_ROWS = 4

GIVEN = ("vehicle", "commands", "now", "conditions")
GROUPS = {  # arguments of each function behind the number of lanes
    "observe": (*GIVEN, "observation"),
    "fly": (*GIVEN, "after", "cost", "miss"),
    "fly_back": (*GIVEN, "d_after", "d_cost", "d_vehicle", "d_commands"),
    "observe_back": (*GIVEN, "d_observation", "d_vehicle", "d_commands"),
}
NETWORK_GIVEN = ("observation", "now", "state", "weights")
NETWORK_GROUPS = {
    "network": (*NETWORK_GIVEN, "command", "after"),
    "network_back": (
        *(*NETWORK_GIVEN, "d_command", "d_after"),
        *("d_observation", "d_state", "d_weights"),
    ),
}

Rows = dict[tuple[str, int], Symbol]  # inputs by group and row


class _History:
    """The commands of a trace, newest first, as ``fly_period`` takes them."""

    def __init__(self, tape: Tape, kept: int) -> None:
        size = COMMAND_ROWS
        self._commands = [tape.read("commands", size, -size * age) for age in range(kept)]

    def __len__(self) -> int:
        return len(self._commands)

    def __getitem__(self, age: int) -> np.ndarray:
        return self._commands[age]

    def of_age(self, age: Symbol) -> np.ndarray:
        """The command that is ``age`` periods old, a whole number that each environment has."""
        chosen = list(self._commands[-1])
        for k in range(len(self) - 2, -1, -1):
            is_newer = age < k + 0.5
            chosen = [where(is_newer, a, b) for a, b in zip(self._commands[k], chosen, strict=True)]
        return _vector(chosen)

    @property
    def rows(self) -> Rows:
        """All inputs of the group."""
        size = COMMAND_ROWS
        return {
            ("commands", -size * age + row): symbol
            for age, command in enumerate(self._commands)
            for row, symbol in enumerate(command)
        }


def _vector(components: Sequence[Any]) -> np.ndarray:
    vector = np.empty(len(components), object)
    vector[:] = components
    return vector


def _fields(tape: Tape, group: str, kind: type, sizes: Sequence[int]) -> Any:
    """A named tuple of inputs, whose field of no rows is one symbol."""
    first, fields = 0, []
    for size in sizes:
        rows = tape.read(group, max(size, 1), first)
        fields.append(rows if size else rows[0])
        first += len(rows)
    return kind(*fields)


def compile_step(
    task: Task, condition_sizes: Sequence[int], kept: int
) -> Mapping[str, Callable[..., None]]:
    """The functions of the module by name, see `build.build`.

    Args:
        task: its numbers go into the code.
        condition_sizes: rows of each field of `Conditions`, 0 for one of shape (B).
        kept: commands that a delay may reach back to, the newest included.

    Raises:
        CannotTrace: for an observation of something that a trace doesn't know.
        CannotBuild: without a compiler.
    """
    tape = Tape()
    state = _fields(tape, "vehicle", QuadrotorState, VEHICLE_SIZES)
    force = tape.read("vehicle", 3, sum(VEHICLE_SIZES))
    now = _fields(tape, "now", StepInputs, NOW_SIZES)
    conditions = _fields(tape, "conditions", Conditions, condition_sizes)
    history = _History(tape, kept)
    vehicle = {
        ("vehicle", row): symbol for row, symbol in enumerate(tape.read("vehicle", VEHICLE_ROWS))
    }

    try:
        seen = observe(task, state, force, history[0], now, conditions)
    except Exception as error:  # whatever somebody's observation slot raises
        raise CannotTrace(f"{type(error).__name__}: {error}") from error
    after, new_force, cost, miss = fly(task, state, history, now, conditions)
    flown = [*(row for part in after for row in part), *new_force]

    previous = {key: symbol for key, symbol in history.rows.items() if key[1] >= 0}
    d_seen = tape.read("d_observation", len(seen))
    d_flown = [*tape.read("d_after", len(flown)), *tape.read("d_cost", 1)]
    outputs = {
        "observe": [Output("observation", row, value) for row, value in enumerate(seen)],
        "fly": [
            *(Output("after", row, value) for row, value in enumerate(flown)),
            Output("cost", 0, cost),
            Output("miss", 0, miss),
        ],
        "fly_back": _reverse([*flown, cost], d_flown, vehicle, history.rows, added=False),
        "observe_back": _reverse(seen, d_seen, vehicle, previous, added=True),
    }
    return build({name: Function(GROUPS[name], outputs[name]) for name in GROUPS})


def compile_network(
    policy: Any, observations: int, direct: Sequence[Any], zeros: Sequence[np.ndarray]
) -> Mapping[str, Callable[..., None]]:
    """``network`` and ``network_back`` of `NETWORK_GROUPS`, see `trace_policy`.

    Raises:
        CannotTrace: see `trace_policy`.
        CannotBuild: without a compiler.
    """
    tape = Tape()
    command, state, weights = trace_policy(tape, policy, observations, direct, zeros)
    inputs = [*tape.read("observation", observations), *tape.read("state", len(state))]
    given = [*tape.read("d_command", len(command)), *tape.read("d_after", len(state))]
    found = adjoints([*command, *state], given, [*inputs, *weights])
    back = [
        Output(f"d_{symbol.args[0]}", symbol.args[1], value, summed=symbol.op == "weight")
        for symbol, value in zip([*inputs, *weights], found, strict=True)
    ]
    outputs = {
        "network": [
            *(Output("command", row, value) for row, value in enumerate(command)),
            *(Output("after", row, value) for row, value in enumerate(state)),
        ],
        "network_back": back,
    }
    return build({name: Function(NETWORK_GROUPS[name], outputs[name]) for name in outputs})


def _reverse(
    results: Sequence[Any], given: Sequence[Symbol], vehicle: Rows, commands: Rows, added: bool
) -> list[Output]:
    """What a backward function writes; ``added``: whether it adds to d_vehicle."""
    pairs = [(r, g) for r, g in zip(results, given, strict=True) if isinstance(r, Symbol)]
    inputs = {**vehicle, **commands}
    found = adjoints([r for r, _ in pairs], [g for _, g in pairs], list(inputs.values()))
    outputs = []
    for (group, row), value in zip(inputs, found, strict=True):
        add = added or group == "commands"
        if isinstance(value, Symbol) or not add:
            outputs.append(Output(f"d_{group}", row, value, add))
    return outputs
