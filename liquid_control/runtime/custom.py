"""Controllers of your own: any class of a module or a file flies wherever a policy does.

    liquid-control fly --policy my_package.my_module:MyController
    liquid-control fly --policy ./my_controller.py:MyController

What it must have is ``step(observation, dt)``, which gives the command in SI units. It sees the
whole observation of the vehicle, unless it says by ``observation = ("pos_error", "up", ...)`` which
slots, and may have ``reset()``, ``warm_up()`` and ``neurons``. It gives what the vehicle takes
first, unless it names another kind of command that the vehicle takes, ``command_kind = "rotors"``.
Its constructor may ask for ``vehicle`` (the description) and ``rules`` (limits, observation,
command) by these names.
"""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np

from liquid_control.config import ConfigError
from liquid_control.control.controller import Controller
from liquid_control.control.rules import Rules
from liquid_control.control.strangers import ANYTHING, words
from liquid_control.structs import Layout
from liquid_control.vehicles.kind import VehicleConfig


def adopt(made: Any, name: str, vehicle: VehicleConfig, rules: Rules) -> Controller:
    """A controller of somebody's own, or the class of one, with what it may leave out.

    Use `runtime.catalogue.make_controller`, which also knows policies and built-in controllers.

    Args:
        made: what the name stands for.
        name: in errors.
        vehicle: that it flies.
        rules: of the kind of command that it gives.

    Raises:
        ConfigError: for a constructor that fails, and for what does not step; the message says
            which and why.
    """
    offers = {"vehicle": vehicle, "rules": rules}
    if inspect.isclass(made) or (callable(made) and not hasattr(made, "step")):
        try:
            wanted = inspect.signature(made).parameters
            made = made(**{key: value for key, value in offers.items() if key in wanted})
        except ConfigError as error:
            raise type(error)(f"{name}: {error}") from None
        except ANYTHING as error:
            raise ConfigError(
                f"{name}: {type(error).__name__}: {words(error)}; a constructor may ask for "
                f"{' and '.join(offers)}"
            ) from None
    if not callable(getattr(made, "step", None)):
        raise ConfigError(f"{name}: expected a method step(observation, dt), {made!r} has none")
    if not (hasattr(made, "observation_layout") and hasattr(made, "command_layout")):
        return CustomController(name, made, rules)
    for part in ("observation_layout", "command_layout"):
        if not isinstance(getattr(made, part), Layout):
            raise ConfigError(f"{name}: {part}: expected a Layout, got {getattr(made, part)!r}")
    if all(hasattr(made, part) for part in ("reset", "warm_up", "neurons")):
        return made  # it is whole
    return CustomController(name, made, rules, made.observation_layout)


class CustomController:
    """Gives somebody's controller what it may leave out."""

    def __init__(self, name: str, inner: Any, rules: Rules, layout: Layout | None = None):
        """``layout``: of the observation, where the controller gives it whole."""
        self._inner = inner
        try:
            slots = getattr(inner, "observation", None)
        except ANYTHING as error:
            raise ConfigError(f"{name}: observation: {words(error)}") from None
        if isinstance(slots, str):
            raise ConfigError(f"{name}: observation: expected names in a tuple, got {slots!r}")
        try:
            observer = rules.observer if slots is None else rules.observer.select(slots)
        except (TypeError, ValueError) as error:
            raise ConfigError(f"{name}: observation: {error}") from None
        self.observation_layout = layout or observer.layout
        self.command_layout = rules.command.layout
        self.command_kind = rules.command.name
        self._neurons: int | None = None  # how many, once they were shown
        self._reset = getattr(inner, "reset", None)
        self._warm_up = getattr(inner, "warm_up", None)

    def reset(self) -> None:
        """Forget all state, if there is any."""
        if self._reset is not None:
            self._reset()

    def warm_up(self) -> None:
        """Called shortly before a step is due."""
        if self._warm_up is not None:
            self._warm_up()

    def step(self, observation: np.ndarray, dt: float) -> Any:
        """The command, SI units; the loop checks what it is."""
        return self._inner.step(observation, dt)

    @property
    def neurons(self) -> np.ndarray:
        """Activity of each neuron, where the controller shows some; NaN where it fails to."""
        try:
            shown = np.array(getattr(self._inner, "neurons", ()), dtype=float).ravel()
        except ANYTHING:  # a display must not end a flight
            shown = np.empty(0)
        if self._neurons is None:
            self._neurons = len(shown)
        return shown if len(shown) == self._neurons else np.full(self._neurons, np.nan)
