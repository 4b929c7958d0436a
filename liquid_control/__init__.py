"""Liquid neural networks that fly drones: the names that most programs need.

Each name is imported when it is first used, so ``import liquid_control`` takes no time and flying
needs no torch::

    import liquid_control as lc

    policy = lc.load_policy("config/policies/hover_liquid.onnx")
    flight = lc.fly("hover_gusts", "hover_liquid", seed=3)
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # for editors and type checkers, which don't look into the table
    from liquid_control.config import ConfigError as ConfigError
    from liquid_control.control.controller import Controller as Controller
    from liquid_control.control.loop import ControlLoop as ControlLoop
    from liquid_control.evaluation.metrics import flight_metrics as flight_metrics
    from liquid_control.evaluation.recording import read_flight as read_flight
    from liquid_control.evaluation.suite.config import load_suite as load_suite
    from liquid_control.evaluation.suite.flights import run_suite as run_suite
    from liquid_control.flight_log import FlightLog as FlightLog
    from liquid_control.nn.export import export_module as export_module
    from liquid_control.nn.export import export_policy as export_policy
    from liquid_control.parameters import ControllerParameters as ControllerParameters
    from liquid_control.runtime.adopt import adopt_step as adopt_step
    from liquid_control.runtime.catalogue import make_controller as make_controller
    from liquid_control.runtime.catalogue import make_loop as make_loop
    from liquid_control.runtime.catalogue import make_parameters as make_parameters
    from liquid_control.runtime.policy import load_policy as load_policy
    from liquid_control.session.flight import FlightResult as FlightResult
    from liquid_control.session.flight import fly as fly
    from liquid_control.sim.flight import prepare as prepare
    from liquid_control.sim.scenario import load_world as load_world
    from liquid_control.sim.world import World as World
    from liquid_control.structs import Command as Command
    from liquid_control.structs import CommandKind as CommandKind
    from liquid_control.structs import ImuSample as ImuSample
    from liquid_control.structs import OdometrySample as OdometrySample
    from liquid_control.structs import Reading as Reading
    from liquid_control.structs import SensorFrame as SensorFrame
    from liquid_control.structs import Setpoint as Setpoint
    from liquid_control.training.run import train as train
    from liquid_control.vehicles.catalogue import load_vehicle as load_vehicle
    from liquid_control.vehicles.catalogue import register_vehicle as register_vehicle

__version__ = "0.1.0"  # setup.py reads it here, package.xml repeats it

_MODULES = {  # of each name, the same in the block above
    "Command": "structs",
    "CommandKind": "structs",
    "ConfigError": "config",
    "ControlLoop": "control.loop",
    "Controller": "control.controller",
    "ControllerParameters": "parameters",
    "FlightLog": "flight_log",
    "FlightResult": "session.flight",
    "ImuSample": "structs",
    "OdometrySample": "structs",
    "Reading": "structs",
    "SensorFrame": "structs",
    "Setpoint": "structs",
    "World": "sim.world",
    "adopt_step": "runtime.adopt",
    "export_module": "nn.export",
    "export_policy": "nn.export",
    "flight_metrics": "evaluation.metrics",
    "fly": "session.flight",
    "load_policy": "runtime.policy",
    "load_suite": "evaluation.suite.config",
    "load_vehicle": "vehicles.catalogue",
    "load_world": "sim.scenario",
    "make_controller": "runtime.catalogue",
    "make_loop": "runtime.catalogue",
    "make_parameters": "runtime.catalogue",
    "prepare": "sim.flight",
    "read_flight": "evaluation.recording",
    "register_vehicle": "vehicles.catalogue",
    "run_suite": "evaluation.suite.flights",
    "train": "training.run",
}

if not TYPE_CHECKING:  # or a checker would take any name for one of these

    def __getattr__(name: str) -> object:
        if name not in _MODULES:
            from liquid_control.spelling import did_you_mean

            meant = did_you_mean(name, _MODULES).strip()
            end = f"; {meant}" if meant else ""
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}{end}")
        value = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
        globals()[name] = value  # found at once from now on
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES})
