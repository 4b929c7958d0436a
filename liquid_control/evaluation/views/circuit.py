"""The circuit of a policy as an SVG drawing: sensory, inter, command and motor neurons."""

from __future__ import annotations

import numpy as np

from liquid_control.evaluation.page import escape
from liquid_control.flight_log import FlightLog
from liquid_control.runtime.artifact import PolicyMetadata
from liquid_control.runtime.schema import polarity

_WIDTH, _MARGIN, _STEP, _TOP = 1160, 130, 23, 44
_RADIUS = 7
_CLASSES = {
    "excitatory": "excite",
    "inhibitory": "inhibit",
    "silent": "silent",
    "unknown": "silent",
}


def layers(log: FlightLog, metadata: PolicyMetadata | None) -> list[tuple[str, list[int]]]:
    """Names and neuron indices of the layers, in the order of the signal."""
    neurons = log.neurons.shape[1]
    if metadata is None or metadata.wiring is None:
        return [("neurons", list(range(neurons)))] if neurons else []
    return [(name, list(ids)) for name, ids in metadata.wiring.layers.items() if len(ids)]


def circuit_svg(metadata: PolicyMetadata) -> str:
    """All neurons and synapses; excitatory solid, inhibitory dashed, the stronger the thicker.

    Signs and strengths are those of the weights that fly, see `runtime.schema.Wiring`; a synapse
    of which a file of an older schema does not say them is grey. Weak ones are drawn first.
    Elements carry ``data-id`` (``s<i>`` an input, ``n<i>`` a neuron) and ``data-ends`` for the
    page's script. Needs ``metadata.wiring``.
    """
    wiring, inputs = metadata.wiring, metadata.observation_layout.component_names
    names = {f"s{i}": name for i, name in enumerate(inputs)}
    names |= {f"n{i}": name for i, name in enumerate(metadata.neuron_names)}
    groups = [("sensory", [f"s{i}" for i in range(len(inputs))])]
    groups += [(name, [f"n{i}" for i in ids]) for name, ids in wiring.layers.items() if len(ids)]
    height = _TOP + _STEP * max(len(ids) for _, ids in groups) + 10
    place, heads = {}, []
    for column, x in enumerate(np.linspace(_MARGIN, _WIDTH - _MARGIN, len(groups))):
        layer, ids = groups[column]
        ys = (height + _TOP) / 2 + _STEP * (np.arange(len(ids)) - (len(ids) - 1) / 2)
        place |= {key: (x, y) for key, y in zip(ids, ys)}
        heads.append(
            f'<text class="layer" x="{x:.0f}" y="18" text-anchor="middle">'
            f"{escape(layer)} ({len(ids)})</text>"
        )
    edges = [(f"s{s}", f"n{t}", strength) for s, t, strength in wiring.sensory_synapses]
    edges += [(f"n{s}", f"n{t}", strength) for s, t, strength in wiring.synapses]
    edges.sort(key=lambda edge: abs(edge[2] or 0.0))
    most = max((abs(strength or 0.0) for *_, strength in edges), default=0.0) or 1.0
    lines = [_synapse(a, b, strength, most, place, names) for a, b, strength in edges]
    outer = {key: side for (_, ids), side in ((groups[0], -1), (groups[-1], 1)) for key in ids}
    dots = [_neuron(key, place[key], names[key], outer.get(key, 0)) for key in place]
    return (
        f'<div class="scroll"><svg class="circuit" viewBox="0 0 {_WIDTH} {height}" role="img" '
        f'aria-label="circuit of {len(place)} neurons and {len(edges)} synapses">'
        + "".join(heads + lines + dots)
        + "</svg></div>"
    )


def _synapse(
    a: str,
    b: str,
    strength: float | None,
    most: float,
    place: dict[str, tuple[float, float]],
    names: dict[str, str],
) -> str:
    (x1, y1), (x2, y2) = place[a], place[b]
    if a == b:
        path = f"M{x1:.0f} {y1:.1f}c34 -16 34 16 0 0.1"
    elif x1 == x2:
        bend = x1 + 26 + 0.22 * abs(y2 - y1)
        path = f"M{x1:.0f} {y1:.1f}Q{bend:.0f} {(y1 + y2) / 2:.1f} {x2:.0f} {y2:.1f}"
    else:
        middle = (x1 + x2) / 2
        path = f"M{x1:.0f} {y1:.1f}C{middle:.0f} {y1:.1f} {middle:.0f} {y2:.1f} {x2:.0f} {y2:.1f}"
    word = polarity(strength)
    share = 0.25 if strength is None else abs(strength) / most
    size = f"--width:{0.6 + 3.4 * share:.2f};--opacity:{0.2 + 0.7 * share:.2f}"
    value = "" if strength is None else f", {strength:+.3g}"
    title = escape(f"{names[a]} → {names[b]}: {word}{value}")
    return (
        f'<path class="synapse {_CLASSES[word]}" data-ends="{a} {b}" style="{size}" d="{path}">'
        f"<title>{title}</title></path>"
    )


def _neuron(key: str, place: tuple[float, float], name: str, side: int) -> str:
    x, y = place
    dot = (
        f'<circle class="neuron" data-id="{key}" cx="{x:.0f}" cy="{y:.1f}" r="{_RADIUS}">'
        f"<title>{escape(name)}</title></circle>"
    )
    if not side:
        return dot
    anchor = "end" if side < 0 else "start"
    label = f'<text x="{x + side * 13:.0f}" y="{y + 4:.1f}" text-anchor="{anchor}">'
    return f"{dot}{label}{escape(name)}</text>"
