"""Labelled rows: arrays of numbers with a stamp and the names of the values, see `wire`.

What has no message type of its own travels so: neurons, steps of the loop, sensors of your own.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from std_msgs.msg import (
    Float32MultiArray,
    Float64MultiArray,
    MultiArrayDimension,
    MultiArrayLayout,
)

from liquid_control import wire
from liquid_control.structs import OwnSample, field_names


def labelled_row(stamp: int, names: tuple[str, ...], values: np.ndarray) -> Float32MultiArray:
    """One row of named values at ``stamp``; for the labels see `wire`."""
    return Float32MultiArray(layout=_labelled(stamp, names), data=[float(v) for v in values])


def _labelled(stamp: int, names: tuple[str, ...]) -> MultiArrayLayout:
    size = len(names)
    axes = [
        MultiArrayDimension(label=wire.stamp_label(stamp), size=1, stride=size),
        MultiArrayDimension(label=wire.names_label(names), size=size, stride=size),
    ]
    return MultiArrayLayout(dim=axes, data_offset=0)


def own_sample_to_msg(sample: Any) -> Float64MultiArray:
    """A sample of your own: its stamp, and every other field, each a number."""
    values = {name: getattr(sample, name) for name in field_names(sample) if name != "stamp"}
    return Float64MultiArray(
        layout=_labelled(sample.stamp, tuple(values)), data=[float(v) for v in values.values()]
    )


def own_sample_from_msg(msg: Float64MultiArray, sensor: str) -> OwnSample:
    """The numbers by the names that the sample had."""
    try:
        stamp, names = msg.layout.dim[0].label, msg.layout.dim[1].label
        values = dict(zip(wire.names_of(names), msg.data, strict=True))
        return OwnSample(wire.stamp_of(stamp), values)
    except (IndexError, ValueError) as error:
        raise ValueError(f"{sensor}: not a labelled row: {error}") from None
