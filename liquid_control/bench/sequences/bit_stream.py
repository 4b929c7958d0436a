"""Bit-stream XOR: the parity of a stream of bits, as published, and made harder.

Shapes: N sequences, T time. dt counts bits, 1 = the time of one.
"""

import numpy as np
import torch

from liquid_control.bench.sequences.arrays import Parts, Sequences, from_numpy

BITS = 32
TRAIN_SEED, TEST_SEED = 1234984, 48736  # of the published sets


def published(rng: np.random.Generator, sizes: tuple[int, int, int], *, form: str) -> Parts:
    """The published task, told at the end only; the test part is the published one, bit by bit.

    Source: M. Lechner and R. Hasani, Learning long-term dependencies in irregularly-sampled time
    series, 2020 (arXiv 2006.04418), code ode-lstms, xor_task.py; used again in Hasani et al.,
    Closed-form continuous-time neural networks, 2022. Each sequence has 2 to 31 fair coins, as many
    of each length, so that short ones, from which parity is learned first, are always among them.

    form: "dense" one sample a bit; "event" one sample at each change, with the new bit and the bits
    since the last sample as its dt, and one at the end where the last bit was no change.

    Training part and test part are the first ``sizes`` of the published 100,000 and 10,000
    (NumPy's RandomState and their seeds); they have no validation part, here it is drawn from
    ``rng``. Bits are -1 and 1 here, 0 and 1 there; dt is in bits here, in 32 bits there.
    """
    train, valid, test = sizes
    seeds = TRAIN_SEED, int(rng.integers(2**31)), TEST_SEED
    return tuple(
        _published_part(np.random.RandomState(seed), count, form)
        for seed, count in zip(seeds, (train, valid, test))
    )


def _published_part(rng: np.random.RandomState, count: int, form: str) -> Sequences:
    inputs, dt = np.zeros((count, BITS)), np.zeros((count, BITS))
    observed, parity = np.zeros((count, BITS), bool), np.zeros(count, np.int64)
    for n in range(count):
        bits = rng.randint(0, 2, size=rng.randint(low=2, high=BITS))
        if form == "event":
            changes = np.flatnonzero(bits[1:] != bits[:-1]) + 1
            at = np.union1d([0, *changes], len(bits) - 1).astype(int)
        else:
            at = np.arange(len(bits))
        inputs[n, : len(at)] = 2.0 * bits[at] - 1.0
        dt[n, : len(at)] = np.diff(at, prepend=-1)
        observed[n, : len(at)] = True
        parity[n] = bits.sum() % 2
    return from_numpy(inputs, dt, torch.tensor(observed), parity)


def parity(
    rng: np.random.Generator, sizes: tuple[int, int, int], *, form: str, at_the_end: bool = False
) -> Parts:
    """Parity of a stream of always 32 bits, told at every step or ``at_the_end`` only.

    form: "dense" every bit; "event" one sample a run of equal bits with its length as dt;
    "irregular" and "event_irregular": each bit lasts 1 or 2 units of time and counts as often, so
    that the parity can't be known without the true dt.

    Bits are fair coins. In the training part of the event forms that are told at every step a bit
    repeats the last one with a probability that is drawn for each sequence from 0.5..0.9, since
    fair coins seldom show a run of more than 7, whose length must be told from its neighbours' all
    the same.
    """
    irregular, event = form.endswith("irregular"), form.startswith("event")

    def part(count: int, long_runs: bool) -> Sequences:
        bits = rng.integers(0, 2, (count, BITS))
        if long_runs:
            changes = rng.random((count, BITS)) > rng.uniform(0.5, 0.9, (count, 1))
            bits = (bits[:, :1] + np.cumsum(changes, axis=1)) % 2
        lasts = rng.integers(1, 3, (count, BITS)) if irregular else np.ones_like(bits)
        target = np.cumsum(bits * lasts, axis=1) % 2
        target = target[:, -1] if at_the_end else target
        if event:
            return runs_of_equal(bits, lasts, target)
        return from_numpy(2.0 * bits - 1.0, lasts, None, target)

    train, valid, test = sizes
    return part(train, event and not at_the_end), part(valid, False), part(test, False)


def runs_of_equal(values_NT: np.ndarray, lasts_NT: np.ndarray, target: np.ndarray) -> Sequences:
    """One sample for each run of equal values, which arrives when the run ends; padded."""
    last = np.ones_like(values_NT, dtype=bool)
    last[:, :-1] = values_NT[:, 1:] != values_NT[:, :-1]
    n, end = np.nonzero(last)
    k = (np.cumsum(last, axis=1) - 1)[n, end]  # position of each sample in its sequence
    time = np.cumsum(lasts_NT, axis=1)[n, end]
    before = np.where(k == 0, 0, np.roll(time, 1))
    shape = len(values_NT), k.max() + 1
    inputs, dt, observed = np.zeros(shape), np.zeros(shape), np.zeros(shape, bool)
    inputs[n, k] = 2.0 * values_NT[n, end] - 1.0
    dt[n, k] = time - before
    observed[n, k] = True
    targets = target
    if target.ndim == 2:  # a class at every step; the last one where a sequence is padded
        targets = np.repeat(target[:, -1:], shape[1], axis=1)
        targets[n, k] = target[n, end]
    return from_numpy(inputs, dt, torch.tensor(observed), targets)
