"""Who is connected to whom: the wiring of a liquid network.

A neural circuit policy (Lechner et al., "Neural circuit policies enabling auditable autonomy",
Nature Machine Intelligence 2020) has four groups: sensory -> inter -> command -> motor, with
recurrent synapses inside the command group. It is drawn in four steps: (1) place the groups,
(2) give every neuron a random number of synapses to the next group, each excitatory (+1) or
inhibitory (-1), (3) connect whoever was left out, (4) add recurrent command synapses.

Neurons are numbered inter, command, motor, which is the order of the state vector of every cell.
Within one step the groups are updated in that order and each sees the fresh state of the one
before it, so that a sensor reaches a motor in one step. A wiring without command neurons (fully
connected, random) is one group that is updated at once.
"""

from dataclasses import astuple, dataclass
from numbers import Real

import numpy as np

from liquid_control.nn.checks import whole

Rng = np.random.Generator | int
COLORS = {1: "tab:blue", -1: "tab:red"}  # of excitatory and inhibitory synapses


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
        _check_sizes(self.sensory, self.inter, self.command, self.motor)
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
        """Plain values that rebuild exactly this wiring with :func:`wiring_from_config`."""
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

    def graph(self):
        """A ``networkx.DiGraph``; nodes carry ``group``, edges carry ``sign``."""
        import networkx

        graph = networkx.DiGraph()
        names = [f"sensory{k}" for k in range(self.sensory)] + list(self.neuron_names)
        for name in names:
            graph.add_node(name, group=name.rstrip("0123456789"))
        for source, target, sign in self.config()["synapses"]:
            graph.add_edge(names[source], names[self.sensory + target], sign=sign)
        return graph

    def draw(self, ax=None):
        """Picture of the groups in columns; blue excites, red inhibits. Returns the axes.

        Synapses to the next column are straight, all others bent; a loop to the right of a neuron
        is its synapse to itself.
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
        for source, target, sign in self.config()["synapses"]:
            start, end = places[source], places[self.sensory + target]
            bend = {0: 0.4, 1: 0.0}.get(end[0] - start[0], 0.1)
            style = _loop if start == end else f"arc3,rad={bend}"
            ax.add_patch(
                FancyArrowPatch(start, end, connectionstyle=style, color=COLORS[sign], **arrow)
            )
        ax.scatter(*zip(*places), s=60, color="white", edgecolor="black", zorder=3)
        for x, (name, size) in enumerate(columns):
            ax.text(x, 1.0, f"{name}\n{size}", ha="center", va="bottom")
        for sign, name in ((1, "excitatory"), (-1, "inhibitory")):
            count = np.count_nonzero(self.full_adjacency == sign)
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


def ncp(
    *,
    sensory: int,
    inter: int,
    command: int,
    motor: int,
    sensory_fanout: float,
    inter_fanout: float,
    recurrent_command_synapses: int,
    motor_fanin: float,
    rng: Rng,
) -> Wiring:
    """Neural circuit policy drawn by the four steps.

    Fan-outs and the fan-in are means: each neuron's number of synapses is binomial, but never 0.
    ``recurrent_command_synapses`` is the exact number of synapses inside the command group.
    Raises ValueError for a number out of range.
    """
    _check_sizes(sensory, inter, command, motor)
    whole("inter", inter, 1)
    whole("command", command, 1)
    for name, mean, most in (
        ("sensory_fanout", sensory_fanout, inter),
        ("inter_fanout", inter_fanout, command),
        ("motor_fanin", motor_fanin, command),
    ):
        if not (isinstance(mean, Real) and 1 <= mean <= most):
            raise ValueError(f"{name} is {mean!r}, expected a number from 1 to {most}")
    whole("recurrent_command_synapses", recurrent_command_synapses, 0, command**2)
    rng = np.random.default_rng(rng)
    units = inter + command + motor
    recurrent = np.zeros((command, command), np.int8)
    chosen = rng.choice(command**2, size=recurrent_command_synapses, replace=False)
    recurrent.flat[chosen] = _signs(rng, recurrent_command_synapses)
    sensory_adjacency = np.zeros((sensory, units), np.int8)
    adjacency = np.zeros((units, units), np.int8)
    first_motor = inter + command
    sensory_adjacency[:, :inter] = _connect(rng, sensory, inter, sensory_fanout)
    adjacency[:inter, inter:first_motor] = _connect(rng, inter, command, inter_fanout)
    adjacency[inter:first_motor, first_motor:] = _connect(rng, motor, command, motor_fanin).T
    adjacency[inter:first_motor, inter:first_motor] = recurrent
    return Wiring("ncp", sensory, inter, command, motor, sensory_adjacency, adjacency)


def auto_ncp(*, sensory: int, units: int, motor: int, sparsity: float = 0.5, rng: Rng) -> Wiring:
    """NCP of ``units`` neurons of which ``motor`` are outputs; 40 % of the rest is command.

    Raises ValueError for a number out of range; ``units`` is at least ``motor`` + 3.
    """
    whole("motor", motor, 1)
    whole("units", units, motor + 3)
    _check_sparsity(sparsity)
    command = max(int(0.4 * (units - motor)), 1)
    inter = units - motor - command
    density = 1.0 - sparsity
    return ncp(
        sensory=sensory,
        inter=inter,
        command=command,
        motor=motor,
        sensory_fanout=max(int(inter * density), 1),
        inter_fanout=max(int(command * density), 1),
        recurrent_command_synapses=min(max(int(2 * command * density), 1), command**2),
        motor_fanin=max(int(command * density), 1),
        rng=rng,
    )


def fully_connected(*, sensory: int, units: int, motor: int, rng: Rng) -> Wiring:
    """Every input and neuron feeds every neuron; the last ``motor`` neurons are the output."""
    return random_wiring(sensory=sensory, units=units, motor=motor, sparsity=0.0, rng=rng)


def random_wiring(*, sensory: int, units: int, motor: int, sparsity: float, rng: Rng) -> Wiring:
    """Synapses at random, without groups; from every input and neuron a path leads to a motor.

    Raises ValueError for a number out of range.
    """
    whole("sensory", sensory, 1)
    whole("units", units, 1)
    whole("motor", motor, 1, units)
    _check_sparsity(sparsity)
    rng = np.random.default_rng(rng)
    fanout = max((1.0 - sparsity) * units, 1.0)
    sensory_adjacency = _connect(rng, sensory, units, fanout)
    adjacency = _connect(rng, units, units, fanout)
    _lead_to_motors(rng, adjacency, motor)
    kind = "random" if sparsity else "fully_connected"
    return Wiring(kind, sensory, units - motor, 0, motor, sensory_adjacency, adjacency)


def _lead_to_motors(rng: np.random.Generator, adjacency: np.ndarray, motor: int) -> None:
    """Add synapses until a path leads from every neuron to one of the last ``motor`` neurons."""
    units = len(adjacency)
    leads = np.arange(units) >= units - motor
    while not leads.all():
        found = ~leads & adjacency[:, leads].any(axis=1)
        if not found.any():
            source = rng.choice(np.flatnonzero(~leads))
            adjacency[source, rng.choice(np.flatnonzero(leads))] = _signs(rng, 1)[0]
            found[source] = True
        leads |= found


def _check_sizes(sensory: int, inter: int, command: int, motor: int) -> None:
    whole("sensory", sensory, 1)
    whole("inter", inter, 0)
    whole("command", command, 0)
    whole("motor", motor, 1)


def _check_sparsity(sparsity: float) -> None:
    if not (isinstance(sparsity, Real) and 0.0 <= sparsity < 1.0):
        raise ValueError(f"sparsity is {sparsity!r}, expected 0 <= sparsity < 1")


def _signs(rng: np.random.Generator, count: int) -> np.ndarray:
    return rng.choice(np.array([-1, 1], np.int8), size=count)


def _connect(rng: np.random.Generator, sources: int, targets: int, fanout: float) -> np.ndarray:
    """(sources, targets) signs: a binomial number of targets a source; nobody is left out."""
    synapses = np.zeros((sources, targets), np.int8)
    for row in synapses:
        _fill(rng, row, fanout)
    for column in synapses.T:
        if not column.any():
            _fill(rng, column, sources * fanout / targets)
    return synapses


def _fill(rng: np.random.Generator, line: np.ndarray, mean: float) -> None:
    count = max(rng.binomial(line.size, min(mean / line.size, 1.0)), 1)
    line[rng.choice(line.size, size=count, replace=False)] = _signs(rng, count)


RECIPES = {
    "ncp": ncp,
    "auto_ncp": auto_ncp,
    "fully_connected": fully_connected,
    "random": random_wiring,
}


def wiring_from_config(config: dict) -> Wiring:
    """The wiring that a config names.

    Either the exact form of :meth:`Wiring.config` (with ``synapses``) or a recipe: ``kind`` (ncp,
    auto_ncp, fully_connected, random), its arguments, and ``seed``. Raises ValueError for a config
    that describes none.
    """
    kind = config.get("kind")
    if kind not in RECIPES:
        raise ValueError(f"wiring kind is {kind!r}, expected one of {list(RECIPES)}")
    values = {key: value for key, value in config.items() if key != "kind"}
    try:
        if "synapses" in values:
            return _from_synapses(kind, **values)
        seed = values.pop("seed", None)
        whole("seed", seed, 0)
        return RECIPES[kind](rng=seed, **values)
    except TypeError as error:  # a key is missing or unknown
        raise ValueError(f"wiring {kind!r}: {error}") from error


def _from_synapses(
    kind: str, *, sensory: int, inter: int, command: int, motor: int, synapses: list
) -> Wiring:
    _check_sizes(sensory, inter, command, motor)
    units = inter + command + motor
    full = np.zeros((sensory + units, units), np.int8)
    allowed = range(sensory + units), range(units), (-1, 1)
    for synapse in synapses:
        if np.shape(synapse) != (3,) or not all(v in a for v, a in zip(synapse, allowed)):
            raise ValueError(
                f"synapse {synapse!r}, expected [source below {sensory + units}, "
                f"target below {units}, sign -1 or 1]"
            )
        source, target, sign = map(int, synapse)
        if full[source, target]:
            raise ValueError(f"synapse {synapse!r}, expected once from {source} to {target}")
        full[source, target] = sign
    return Wiring(kind, sensory, inter, command, motor, full[:sensory], full[sensory:])
