"""Controllers of your own: any class of a module or a file flies wherever a policy does.

    liquid-control fly --policy my_package.my_module:MyController
    liquid-control fly --policy ./my_controller.py:MyController

What it must have is ``step(observation, dt)``, which gives the command in SI units. It sees the
whole observation of the vehicle, unless it says by ``observation = ("pos_error", "up", ...)`` which
slots, and may have ``reset()``, ``warm_up()`` and ``neurons``. Its constructor may ask for
``vehicle`` (the description) and ``rules`` (limits, observation, command) by these names.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
from pathlib import Path
from typing import Any

import numpy as np

from liquid_control.config import ConfigError
from liquid_control.control.loop import Controller
from liquid_control.control.rules import Rules
from liquid_control.vehicles.kind import VehicleConfig


def is_custom(name: str) -> bool:
    """Whether a name is of the form ``package.module:Name`` or ``file.py:Name``."""
    module, colon, attribute = name.rpartition(":")
    return bool(colon and module) and attribute.isidentifier()


def load_custom(name: str, vehicle: VehicleConfig, rules: Rules) -> Controller:
    """The controller that a name stands for, made for this vehicle.

    Raises:
        ConfigError: for a module that can't be imported, a name that it lacks, a constructor that
            fails, and for what does not step; the message says which and why.
    """
    module_name, _, attribute = name.rpartition(":")
    module = _import(name, module_name)
    if not hasattr(module, attribute):
        raise ConfigError(f"{name}: {module_name} has no {attribute}")
    made = getattr(module, attribute)
    offers = {"vehicle": vehicle, "rules": rules}
    try:
        if callable(made) and not (hasattr(made, "step") and not inspect.isclass(made)):
            wanted = inspect.signature(made).parameters
            made = made(**{key: value for key, value in offers.items() if key in wanted})
    except Exception as error:  # whatever somebody else's code raises
        raise ConfigError(f"{name}: {type(error).__name__}: {error}") from None
    if not callable(getattr(made, "step", None)):
        raise ConfigError(f"{name}: expected a method step(observation, dt), {made!r} has none")
    return CustomController(name, made, rules)


def _import(name: str, module: str) -> Any:
    try:
        if not module.endswith(".py"):
            if "" not in sys.path and str(Path.cwd()) not in sys.path:
                sys.path.insert(0, str(Path.cwd()))  # a console script does not have it
            return importlib.import_module(module)
        path = Path(module)
        if not path.is_file():
            raise ConfigError(f"{name}: no such file: {path}")
        spec = importlib.util.spec_from_file_location(path.stem, path)
        loaded = importlib.util.module_from_spec(spec)
        sys.modules.setdefault(path.stem, loaded)  # so that its dataclasses can be made
        spec.loader.exec_module(loaded)
        return loaded
    except ConfigError:
        raise
    except Exception as error:  # an ImportError, or whatever the module raises
        raise ConfigError(f"{name}: {type(error).__name__}: {error}") from None


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
