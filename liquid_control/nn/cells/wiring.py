"""Who is connected to whom: wirings drawn from a seed, and wirings by their config.

A neural circuit policy (Lechner et al., "Neural circuit policies enabling auditable autonomy",
Nature Machine Intelligence 2020) has four groups: sensory -> inter -> command -> motor, with
recurrent synapses inside the command group. It is drawn in four steps: (1) place the groups,
(2) give every neuron a random number of synapses to the next group, each excitatory (+1) or
inhibitory (-1), (3) connect whoever was left out, (4) add recurrent command synapses.
"""

from numbers import Real

import numpy as np

from liquid_control.nn.cells.circuit import Wiring, check_sizes
from liquid_control.nn.checks import whole

Rng = np.random.Generator | int


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
    check_sizes(sensory, inter, command, motor)
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
    check_sizes(sensory, inter, command, motor)
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
