"""A wiring: the immutable synapses of a liquid network, with its neurons in groups.

Neurons are numbered inter, command, motor, which is the order of the state vector of every cell.
Within one step the groups are updated in that order and each sees the fresh state of the one
before it, so that a sensor reaches a motor in one step. A wiring without command neurons (fully
connected, random) is one group that is updated at once. :mod:`liquid_control.nn.cells.wiring` draws
wirings.
"""

from dataclasses import astuple, dataclass

import numpy as np

from liquid_control.nn.checks import whole

COLORS = {1: "tab:blue", -1: "tab:red", 0: "tab:gray"}  # excitatory, inhibitory, without effect


@dataclass(frozen=True)
class Layer:
    """Neurons that are updated together, and the part of [inputs | state] that they read."""

    start: int  # first neuron (index into the state)
    stop: int
    source_start: int  # first source (index into inputs followed by state)
    source_stop: int


@dataclass(frozen=True, eq=False)
class Wiring:
    """Immutable synapses of a network with ``sensory`` inputs and ``units`` neurons.

    ``sensory_adjacency`` (sensory, units) and ``adjacency`` (units, units) hold +1 for an
    excitatory synapse, -1 for an inhibitory one and 0 for none; row = source, column = target.
    Raises ValueError for a count or a sign out of range and for a wrong shape.
    """

    kind: str
    sensory: int
    inter: int
    command: int
    motor: int
    sensory_adjacency: np.ndarray
    adjacency: np.ndarray

    def __post_init__(self) -> None:
        check_sizes(self.sensory, self.inter, self.command, self.motor)
        for name, shape in (
            ("sensory_adjacency", (self.sensory, self.units)),
            ("adjacency", (self.units, self.units)),
        ):
            matrix = np.asarray(getattr(self, name))
            if matrix.shape != shape:
                raise ValueError(f"{name} has shape {matrix.shape}, expected {shape}")
            if not np.isin(matrix, (-1, 0, 1)).all():
                raise ValueError(f"{name} may hold only -1, 0 and +1")
            matrix = matrix.astype(np.int8)
            matrix.setflags(write=False)
            object.__setattr__(self, name, matrix)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Wiring) and self.config() == other.config()

    def __hash__(self) -> int:
        return hash((self.sensory_adjacency.tobytes(), self.adjacency.tobytes()))

    def __reduce__(self) -> tuple:
        return Wiring, astuple(self)  # a copy of an array alone would be writeable

    def __str__(self) -> str:
        return self.summary()

    @property
    def units(self) -> int:
        """Number of neurons, sensory neurons (the inputs) not counted."""
        return self.inter + self.command + self.motor

    @property
    def synapses(self) -> int:
        """Number of synapses, sensory ones included."""
        return int(np.count_nonzero(self.sensory_adjacency) + np.count_nonzero(self.adjacency))

    @property
    def full_adjacency(self) -> np.ndarray:
        """(sensory + units, units): synapses from [inputs | state] to the neurons."""
        return np.concatenate([self.sensory_adjacency, self.adjacency])

    @property
    def groups(self) -> dict[str, range]:
        """Neurons of each group, as indices into the state."""
        i, c = self.inter, self.inter + self.command
        return {"inter": range(i), "command": range(i, c), "motor": range(c, self.units)}

    @property
    def neuron_names(self) -> tuple[str, ...]:
        """``inter0``, ``command0``, ``motor0``, ... in the order of the state."""
        return tuple(f"{name}{k}" for name, ids in self.groups.items() for k in range(len(ids)))

    def layers(self, *, own_state: bool) -> tuple[Layer, ...]:
        """Update order, with the smallest run of whole groups that holds each layer's sources.

        own_state: whether a neuron also reads its own last state where no synapse says so.
        """
        groups = [ids for ids in self.groups.values() if len(ids)]
        updates = groups if self.command else [range(self.units)]
        edges = [0, self.sensory, *(self.sensory + ids.stop for ids in groups)]
        layers = []
        for ids in updates:
            connected = self.full_adjacency[:, ids.start : ids.stop].any(axis=1)
            if own_state or not connected.any():
                connected[self.sensory + ids.start : self.sensory + ids.stop] = True
            sources = np.flatnonzero(connected)
            layers.append(
                Layer(
                    ids.start,
                    ids.stop,
                    max(edge for edge in edges if edge <= sources[0]),
                    min(edge for edge in edges if edge > sources[-1]),
                )
            )
        return tuple(layers)

    def config(self) -> dict:
        """Plain values that rebuild exactly this wiring with `wiring_from_config`."""
        source, target = np.nonzero(self.full_adjacency)
        sign = self.full_adjacency[source, target]
        return {
            "kind": self.kind,
            **{name: getattr(self, name) for name in ("sensory", "inter", "command", "motor")},
            "synapses": [[int(s), int(t), int(p)] for s, t, p in zip(source, target, sign)],
        }

    def summary(self) -> str:
        """One line a person can read."""
        count = np.count_nonzero
        full = self.full_adjacency
        density = self.synapses / full.size
        return (
            f"{self.kind}: {self.sensory} sensory, {self.inter} inter, {self.command} command, "
            f"{self.motor} motor neurons; {self.synapses} synapses ({count(full > 0)} excitatory, "
            f"{count(full < 0)} inhibitory, {count(self.adjacency)} between neurons, "
            f"density {density:.0%})"
        )

    def edges(self, strengths=None) -> list[tuple[int, int, float]]:
        """(source, target, strength) of each synapse, numbered as in :meth:`config`.

        strengths: (sensory + units, units) of a cell as it is now, NaN where no synapse is, see
            :meth:`liquid_control.nn.cells.cell.Cell.strengths`. Without them the signs that the
            wiring drew, which training may have changed where ``polarity`` is "initial".
        Raises ValueError for another shape.
        """
        if strengths is None:
            return [tuple(synapse) for synapse in self.config()["synapses"]]
        values = np.asarray(strengths, float)
        if values.shape != self.full_adjacency.shape:
            expected = self.full_adjacency.shape
            raise ValueError(f"strengths have shape {values.shape}, expected {expected}")
        source, target = np.nonzero(~np.isnan(values))
        return [(int(s), int(t), float(values[s, t])) for s, t in zip(source, target)]

    def graph(self, strengths=None):
        """A ``networkx.DiGraph``; nodes carry ``group``, edges ``sign`` and ``strength``.

        strengths: as of :meth:`edges`.
        """
        import networkx

        graph = networkx.DiGraph()
        names = [f"sensory{k}" for k in range(self.sensory)] + list(self.neuron_names)
        for name in names:
            graph.add_node(name, group=name.rstrip("0123456789"))
        for source, target, value in self.edges(strengths):
            ends = names[source], names[self.sensory + target]
            graph.add_edge(*ends, sign=int(np.sign(value)), strength=value)
        return graph

    def draw(self, ax=None, strengths=None):
        """Picture of the groups in columns; blue excites, red inhibits. Returns the axes.

        Synapses to the next column are straight, all others bent; a loop to the right of a neuron
        is its synapse to itself. strengths: as of :meth:`edges`; the stronger, the thicker.
        """
        import matplotlib.pyplot as plt
        from matplotlib.patches import FancyArrowPatch

        sizes = {"sensory": self.sensory} | {name: len(ids) for name, ids in self.groups.items()}
        columns = [(name, size) for name, size in sizes.items() if size]
        places = [
            (x, 1 - (k + 0.5) / size) for x, (_, size) in enumerate(columns) for k in range(size)
        ]
        if ax is None:
            height = max(6.0, 0.16 * max(sizes.values()))  # inches: room for the largest group
            _, ax = plt.subplots(figsize=(9.0, height), layout="constrained")
        arrow = dict(arrowstyle="-|>", mutation_scale=7, alpha=0.5, shrinkA=5, shrinkB=5)
        edges = self.edges(strengths)
        most = max((abs(value) for *_, value in edges), default=0.0) or 1.0
        for source, target, value in edges:
            start, end = places[source], places[self.sensory + target]
            bend = {0: 0.4, 1: 0.0}.get(end[0] - start[0], 0.1)
            style = _loop if start == end else f"arc3,rad={bend}"
            ax.add_patch(
                FancyArrowPatch(
                    start,
                    end,
                    connectionstyle=style,
                    color=COLORS[np.sign(value)],
                    linewidth=1.0 if strengths is None else 0.3 + 2.0 * abs(value) / most,
                    **arrow,
                )
            )
        ax.scatter(*zip(*places), s=60, color="white", edgecolor="black", zorder=3)
        for x, (name, size) in enumerate(columns):
            ax.text(x, 1.0, f"{name}\n{size}", ha="center", va="bottom")
        for sign, name in ((1, "excitatory"), (-1, "inhibitory")):
            count = sum(np.sign(value) == sign for *_, value in edges)
            ax.plot([], [], color=COLORS[sign], label=f"{count} {name}")
        ax.legend(loc="upper center", bbox_to_anchor=(0.5, 0.0), ncols=2, frameon=False)
        ax.set(xlim=(-0.3, len(columns) - 0.6), ylim=(0.0, 1.0))
        ax.set_axis_off()
        return ax


def _loop(start: np.ndarray, end: np.ndarray, shrinkA: float, **_):
    """Connection in matplotlib's sense of a point with itself; ``shrinkA`` is its radius."""
    from matplotlib.path import Path

    corners = np.array([(0.7, 0.7), (6.0, 4.0), (6.0, -4.0), (0.7, -0.7)])
    return Path(start + shrinkA * corners, [Path.MOVETO, *[Path.CURVE4] * 3])


def check_sizes(sensory: int, inter: int, command: int, motor: int) -> None:
    """Refuse sizes that no wiring can have, naming the one that is wrong."""
    whole("sensory", sensory, 1)
    whole("inter", inter, 0)
    whole("command", command, 0)
    whole("motor", motor, 1)
