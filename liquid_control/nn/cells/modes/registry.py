"""The modes that ``CfC(mode="...")`` and configs know by name."""

import copyreg

from liquid_control.importing import import_object, is_import_name
from liquid_control.nn.cells.modes.closed import CLOSED
from liquid_control.nn.cells.modes.ctrnn import CTRNN
from liquid_control.nn.cells.modes.default import DEFAULT
from liquid_control.nn.cells.modes.leaky import LEAKY
from liquid_control.nn.cells.modes.mode import Mode
from liquid_control.nn.cells.modes.no_gate import NO_GATE
from liquid_control.nn.cells.modes.pure import PURE
from liquid_control.nn.checks import one_of

MODES: dict[str, Mode] = {
    mode.name: mode for mode in (CLOSED, CTRNN, LEAKY, DEFAULT, NO_GATE, PURE)
}


def register_mode(mode: Mode) -> Mode:
    """Make a mode known by its name, to configs and to ``CfC(mode="...")``.

    Call it where the mode is defined. Raises ValueError if another one has that name.
    """
    if MODES.setdefault(mode.name, mode) is not mode:
        raise ValueError(f"mode {mode.name!r} is another one already")
    return mode


def mode_named(mode: str | Mode) -> Mode:
    """The mode of a name; a mode itself is returned as it is.

    A name may also be that of a mode in another module, ``package.module:MODE`` or
    ``file.py:MODE``, which is registered with that. Raises ValueError for a name that nobody
    registered.
    """
    if isinstance(mode, Mode):
        return mode
    if isinstance(mode, str) and is_import_name(mode):
        found = import_object(mode)
        if not isinstance(found, Mode):
            raise ValueError(f"mode {mode}: expected a Mode, got {found!r}")
        return register_mode(found)
    one_of("mode", mode, MODES)
    return MODES[mode]


copyreg.pickle(Mode, lambda mode: (mode_named, (mode.name,)))  # its functions can't be
