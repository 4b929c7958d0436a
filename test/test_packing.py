"""Named tuples as flat arrays: the layout is that of the annotations."""

from typing import Any, NamedTuple

import pytest

from liquid_control import packing


class Inner(NamedTuple):
    a: Any
    b: tuple[Any, Any]


class Outer(NamedTuple):
    x: Any
    parts: tuple[Inner, Inner]
    rows: tuple[tuple[Any, Any], tuple[Any, Any]]
    y: float


class Swapped(NamedTuple):
    y: Any
    x: Any


VALUE = Outer(1.0, (Inner(2.0, (3.0, 4.0)), Inner(5.0, (6.0, 7.0))), ((8.0, 9.0), (10.0, 11.0)), 12)


def test_what_is_packed_comes_out_as_it_was():
    packed = packing.pack(VALUE)
    assert packed.tolist() == [float(k) for k in range(1, 13)]
    assert packing.unpacker(Outer)(packed) == VALUE
    both = packing.unpacker(Inner, Swapped)(packing.pack(Inner(1, (2, 3)), Swapped(4, 5)))
    assert both == (Inner(1, (2, 3)), Swapped(4, 5))


def test_numba_compiles_an_unpacker():
    numba = pytest.importorskip("numba")
    assert numba.njit(packing.unpacker(Outer))(packing.pack(VALUE)) == VALUE


def test_an_unpacker_tells_its_layout():
    """Two layouts of the same shape are not the same function to a cache."""

    class Named(NamedTuple):
        x: Any
        y: Any

    assert packing.unpacker(Named).__doc__ == "x, y"
    assert packing.unpacker(Swapped).__doc__ == "y, x"
