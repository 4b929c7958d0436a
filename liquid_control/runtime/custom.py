"""Controllers of your own: any class of a module or a file flies wherever a policy does.

    liquid-control fly --policy my_package.my_module:MyController
    liquid-control fly --policy ./my_controller.py:MyController

What it must have is ``step(observation, dt)``, which gives the command in SI units. It sees the
whole observation of the vehicle, unless it says by ``observation = ("pos_error", "up", ...)`` which
slots, and may have ``reset()``, ``warm_up()`` and ``neurons``. Its constructor may ask for
``vehicle`` (the description) and ``rules`` (limits, observation, command) by these names.
"""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np

from liquid_control.config import ConfigError
from liquid_control.control.loop import Controller
from liquid_control.control.rules import Rules
from liquid_control.importing import import_object
from liquid_control.vehicles.kind import VehicleConfig


def load_custom(name: str, vehicle: VehicleConfig, rules: Rules) -> Controller:
    """The controller that a name stands for, made for this vehicle.

    Raises:
        ConfigError: for a name that can't be imported, a constructor that fails, and for what does
            not step; the message says which and why.
    """
    made = import_object(name)
    offers = {"vehicle": vehicle, "rules": rules}
    try:
        if inspect.isclass(made) or not hasattr(made, "step"):
            wanted = inspect.signature(made).parameters
            made = made(**{key: value for key, value in offers.items() if key in wanted})
    except Exception as error:  # whatever somebody else's code raises
        raise ConfigError(f"{name}: {type(error).__name__}: {error}") from None
    if not callable(getattr(made, "step", None)):
        raise ConfigError(f"{name}: expected a method step(observation, dt), {made!r} has none")
    return CustomController(name, made, rules)


class CustomController:
    """Gives somebody's controller what it may leave out."""

    def __init__(self, name: str, inner: Any, rules: Rules):
        self._inner = inner
        slots = getattr(inner, "observation", None)
        try:
            observer = rules.observer if slots is None else rules.observer.select(slots)
        except (TypeError, ValueError) as error:
            raise ConfigError(f"{name}: observation: {error}") from None
        self.observation_layout = observer.layout
        self.command_layout = rules.command.layout
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

    def step(self, observation: np.ndarray, dt: float) -> np.ndarray:
        """The command, SI units; the loop checks how many values it has."""
        return np.asarray(self._inner.step(observation, dt), dtype=float).ravel()

    @property
    def neurons(self) -> np.ndarray:
        """Activity of each neuron, where the controller shows some."""
        return np.array(getattr(self._inner, "neurons", ()), dtype=float)
