"""What a step of the control loop made of its sensors, and what it did."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from liquid_control.control.gate import Estimate
from liquid_control.control.observation import Situation
from liquid_control.control.supervisor import Mode
from liquid_control.structs import Command, ImageSample


class LoopStep(NamedTuple):
    """What one step of the loop did."""

    command: Command | None  # as sent; None: send nothing
    mode: Mode
    reason: str  # why the mode is not POLICY; "" if it is
    faults: tuple[str, ...]  # measurements and setpoints that were refused
    clocks: tuple[str, ...]  # sensors whose clock was found to have moved, and is followed
    observation: np.ndarray | None  # of the loop's observer; None before all sensors have come
    policy_time: float  # s that the policy took; NaN where it did not run


def fault_of(step: LoopStep) -> str:
    """Why another than the policy flies in a step, once all sensors have come; "" if it flies, and
    while nobody does because the vehicle is not armed."""
    well = step.mode in (Mode.POLICY, Mode.STANDBY) or step.observation is None
    return "" if well else step.reason


class Sensed(NamedTuple):
    """What the first half of a step found, for the second."""

    dt: float  # s
    estimate: Estimate | None  # None before all sensors have come
    situation: Situation | None
    observation: np.ndarray | None  # of the loop's observer
    faults: tuple[str, ...]
    clocks: tuple[str, ...]
    armed: bool
    image: ImageSample | None = None  # the newest good one, where the loop flies on images
