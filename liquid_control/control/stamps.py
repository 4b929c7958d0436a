"""Whether the stamps of a sensor go on as time does.

A stamp that goes back, or further ahead than time has passed, is refused. One such stamp is a
fault; several in a row that follow each other as time does are a clock that was set, or a sensor
that was started again, and are followed from then on.
"""

from __future__ import annotations

import math

from liquid_control.parameters import InputGateParameters

TIME_RESOLUTION = 1e-6  # s, of ages
# s; a stamp that goes back by no more than its sample is older is late, by the clock there was
_CLOCK_NOISE = 1e-3


class SensorClock:
    """The clock of one sensor, as far as its stamps tell.

    Attributes:
        stamp: of the newest sample that was taken, ns; ``None`` before the first.
        age: of that sample now, s; infinite before the first.
        moved: s by which the clock moved against time with the sample taken last; 0: not at all.
    """

    def __init__(self):
        self.stamp: int | None = None
        self.age, self.moved = math.inf, 0.0
        self._refused: int | None = None  # ns, the newest that was refused since
        self._refused_age = math.inf  # s
        self._agreeing = 0  # refused in a row, each following the one before as time does

    def pass_time(self, dt: float) -> None:
        """Let ``dt`` s pass."""
        self.age += dt
        self._refused_age += dt

    def take(self, stamp: int, age: float, parameters: InputGateParameters) -> str:
        """Take the sample of ``stamp`` ns that is ``age`` s old now, or say why not."""
        self.moved = 0.0
        if not -TIME_RESOLUTION <= age < math.inf:
            return f"{age:.3f} s old, expected 0 or more"
        if self.stamp is not None:
            ahead, passed = (stamp - self.stamp) / 1e9, self.age - age
            if ahead < 0 or ahead > passed + parameters.max_stamp_jump:
                if not self._is_new_clock(stamp, age, ahead - passed, parameters):
                    if ahead < 0:
                        return f"stamp goes back by {-ahead:.3f} s"
                    return f"stamp goes ahead by {ahead:.3f} s in {passed:.3f} s"
                self.moved = ahead - passed
        self.stamp, self.age = stamp, age
        self._refused, self._agreeing = None, 0
        return ""

    def _is_new_clock(
        self, stamp: int, age: float, shift: float, parameters: InputGateParameters
    ) -> bool:
        """Whether enough samples agree that the clock moved by ``shift`` s."""
        if abs(shift) <= _CLOCK_NOISE or stamp == self._refused:
            return False
        agrees = False
        if self._refused is not None:
            passed = self._refused_age - age
            agrees = 0 < (stamp - self._refused) / 1e9 <= passed + parameters.max_stamp_jump
        self._agreeing = self._agreeing + 1 if agrees else 1
        self._refused, self._refused_age = stamp, age
        return self._agreeing >= parameters.new_clock_samples
