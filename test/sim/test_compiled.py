"""Kernels: what they call is found from the code, and an edit of it is compiled anew."""

import types

import pytest

from liquid_control import frames
from liquid_control.sim import compiled
from liquid_control.sim.sensors import imu
from liquid_control.sim.wind import formulas
from liquid_control.vehicles.quadrotor import physics, step


def module(source: str, **names):
    """A module of the project with a kernel in it."""
    made = types.ModuleType("liquid_control.made_up")
    made.__dict__.update(names)
    exec(source, made.__dict__)
    return made


CALLEES = """
def inner(x):
    return limit(x, FACTOR)

def outer(x):
    return inner(x) + frames.rotate_components(x, x, x, x, x, x, x)[0]

def unused(x):
    return x
"""


def test_callees_are_found_in_the_code_through_functions_and_modules():
    made = module(CALLEES, limit=physics.maximum, frames=frames, FACTOR=2.0)
    found = compiled.called_by(made.outer)
    assert set(found) == {made.inner, physics.maximum, frames.rotate_components}
    assert physics.rotor_force in compiled.called_by(step.vehicle_wrench)
    assert compiled.called_by(imu.strapdown) == [frames.rotate_components, imu.at_lever_arm]
    assert formulas.turbulence_step in compiled.called_by(formulas.turbulence_series)


def test_a_kernel_gives_what_python_gives():
    """Also a function that looks at types, by what it is for floats."""
    made = module(CALLEES, limit=physics.maximum, frames=frames, FACTOR=2.0)
    for x in (1.0, 3.0):
        assert compiled.compile_kernel(made.outer)(x) == made.outer(x)


@pytest.mark.parametrize(
    ("source", "factor"),
    [(CALLEES.replace("limit(x, FACTOR)", "limit(x, -FACTOR)"), 2.0), (CALLEES, 3.0)],
)
def test_an_edit_of_a_callee_changes_the_key_of_the_cache(source, factor):
    pytest.importorskip("numba")
    keys = []
    for text, number in ((CALLEES, 2.0), (CALLEES, 2.0), (source, factor)):
        made = module(text, limit=physics.maximum, frames=frames, FACTOR=number)
        stamped = compiled._stamped(made.outer, compiled.called_by(made.outer))
        keys.append([cell.cell_contents for cell in stamped.__closure__])
    assert keys[0] == keys[1] != keys[2]
