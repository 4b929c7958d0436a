"""What the nodes say of themselves on /diagnostics."""

from __future__ import annotations

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue

from liquid_control.control.statistics import LoopStatistics
from liquid_control.control.supervisor import Mode
from liquid_control.nodes.conversions import header_to_msg
from liquid_control.wire import ACTIVE, CONTROL_LOOP, FLIGHT, OVER, STATE, StatusName

_LEVEL = {
    Mode.POLICY: DiagnosticStatus.OK,
    Mode.BACKUP: DiagnosticStatus.WARN,
    Mode.HALT: DiagnosticStatus.ERROR,
    Mode.SILENT: DiagnosticStatus.ERROR,
    Mode.STANDBY: DiagnosticStatus.OK,
}


def status_to_msg(
    stamp: int, name: StatusName, level: bytes, message: str, values: dict[str, object]
) -> DiagnosticArray:
    """One status with its values as text."""
    pairs = [KeyValue(key=key, value=str(value)) for key, value in values.items()]
    status = DiagnosticStatus(level=level, name=str(name), message=message, values=pairs)
    return DiagnosticArray(header=header_to_msg(stamp, ""), status=[status])


# All vehicles speak on one topic: only the words of a node's own namespace are for it.


def is_active_controller(message: DiagnosticArray, namespace: str) -> bool:
    """Whether this is the word of the namespace's controller that it is ready to step."""
    return _says(message, namespace, CONTROL_LOOP, ACTIVE)


def is_from_simulator(message: DiagnosticArray, namespace: str) -> bool:
    """Whether the namespace's simulator speaks."""
    return _says(message, namespace, FLIGHT)


def last_words(message: DiagnosticArray, namespace: str) -> dict[str, str] | None:
    """The values of the namespace's simulator if its flight is over, else ``None``."""
    values = _values(message, namespace, FLIGHT)
    return values if values is not None and values.get(STATE) == OVER else None


def _says(message: DiagnosticArray, namespace: str, about: str, state: str | None = None) -> bool:
    values = _values(message, namespace, about)
    return values is not None and (state is None or values.get(STATE) == state)


def _values(message: DiagnosticArray, namespace: str, about: str) -> dict[str, str] | None:
    """Of the status about something of a node in the namespace; ``None`` if there is none."""
    for status in message.status:
        name = StatusName.parse(status.name)
        if name.about == about and name.namespace == namespace:
            return {pair.key: pair.value for pair in status.values}
    return None


class LoopDiagnostics:
    """The statistics of a control loop as a status.

    Args:
        name: of the status.
        fixed: values that it always has.
    """

    def __init__(self, name: StatusName, fixed: dict[str, object]):
        self._name, self._fixed = name, fixed
        self.statistics = LoopStatistics()

    def to_msg(self, state: str, conflict: str = "") -> DiagnosticArray:
        """The newest state, with percentiles over the last steps.

        Args:
            state: ACTIVE or INACTIVE.
            conflict: what makes it an error, whatever the loop does; "" if nothing.
        """
        values = {STATE: state, **self._fixed, **self.statistics.values()}
        step = self.statistics.step
        level, message = DiagnosticStatus.STALE, f"{state}, no step yet"
        if step is not None:
            level = _LEVEL[step.mode]
            message = f"{step.mode.value}: {step.reason}" if step.reason else step.mode.value
        if conflict:
            level, message = DiagnosticStatus.ERROR, f"{conflict}; {message}"
        return status_to_msg(self.statistics.stamp, self._name, level, message, values)
