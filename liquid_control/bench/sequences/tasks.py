"""The sequence tasks of the liquid papers as arrays: inputs, elapsed time, masks, targets.

Shapes: N sequences, T time, F inputs, O outputs. dt is in the task's own unit of time, 1 = nominal.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from liquid_control.bench.sequences.config import Task
from liquid_control.config import ConfigError

BITS = 32


@dataclass(frozen=True)
class Sequences:
    """One part (train, valid or test) of a task."""

    input_NTF: Tensor
    dt_NT1: Tensor
    observed_NT: Tensor | None  # None: every sample is there
    target: Tensor  # (N, T, O) regression, (N, T) class at every step, or (N,) class at the end

    def __len__(self) -> int:
        return len(self.input_NTF)

    @property
    def steps(self) -> int:
        """Number of steps T of every sequence."""
        return self.input_NTF.shape[1]

    def first(self, steps: int) -> "Sequences":
        """The first steps of a task that has a target at every step."""
        observed = None if self.observed_NT is None else self.observed_NT[:, :steps]
        return Sequences(
            self.input_NTF[:, :steps], self.dt_NT1[:, :steps], observed, self.target[:, :steps]
        )

    def take(self, index: Tensor) -> "Sequences":
        """The sequences of these indices, for a batch."""
        observed = None if self.observed_NT is None else self.observed_NT[index]
        return Sequences(self.input_NTF[index], self.dt_NT1[index], observed, self.target[index])

    def without_time(self) -> "Sequences":
        """The same samples with every dt at the mean: what the true dt is worth."""
        observed = torch.ones_like(self.dt_NT1[:, :, 0], dtype=torch.bool)
        observed = observed if self.observed_NT is None else self.observed_NT
        mean = self.dt_NT1[observed].mean()
        return replace(self, dt_NT1=torch.full_like(self.dt_NT1, mean))

    def with_noise(self, deviation: float, rng: torch.Generator) -> "Sequences":
        """The same samples, white noise added to the inputs."""
        noise = torch.randn(self.input_NTF.shape, generator=rng)
        return replace(self, input_NTF=self.input_NTF + deviation * noise)


Parts = tuple[Sequences, Sequences, Sequences]


def standardised(parts: Parts, *, limit: float) -> Parts:
    """Inputs in standard deviations of the training part, limited smoothly to ±limit of them."""
    inputs = parts[0].input_NTF
    mean_F, std_F = inputs.mean(dim=(0, 1)), inputs.std(dim=(0, 1))
    return tuple(
        replace(part, input_NTF=limit * torch.tanh((part.input_NTF - mean_F) / (limit * std_F)))
        for part in parts
    )


def task_parts(name: str, task: Task, seed: int, data: Path | None) -> Parts:
    """Train, valid and test part of a task; `ConfigError` where its data are not there."""
    rng = np.random.default_rng(1000 + seed)
    if name.startswith("half_cheetah"):
        if data is None:
            raise ConfigError("needs --data DIR with half_cheetah/*.npy")
        return half_cheetah(data / "half_cheetah")
    if name == "digits":
        mnist = None if data is None or not (data / "mnist").is_dir() else data / "mnist"
        return digits(rng, mnist)
    if name.startswith("xor_") and task.sizes is not None:
        return xor(rng, task.sizes, form=name.removeprefix("xor_"))
    raise ConfigError(f"task {name!r} is not known, or its sizes are missing")


def half_cheetah(folder: Path, *, window: int = 32, stride: int = 10) -> Parts:
    """Next observation of HalfCheetah-v2, raw units (Hasani et al. 2021).

    Sorted files; valid [:5], test [5:15], train [15:25].
    """
    files = sorted(folder.glob("*.npy"))
    if len(files) < 25:
        raise ConfigError(f"{folder}: {len(files)} .npy files, expected 25 Half-Cheetah rollouts")

    def windows(chosen) -> Sequences:
        inputs, targets = [], []
        for path in chosen:
            rollout = np.load(path, allow_pickle=False).astype(np.float32)
            for start in range(0, len(rollout) - window - 1, stride):
                inputs.append(rollout[start : start + window])
                targets.append(rollout[start + 1 : start + window + 1])
        x_NTF = torch.from_numpy(np.stack(inputs))
        dt_NT1 = torch.ones(*x_NTF.shape[:2], 1)
        return Sequences(x_NTF, dt_NT1, None, torch.from_numpy(np.stack(targets)))

    return windows(files[15:25]), windows(files[:5]), windows(files[5:15])


def xor(rng: np.random.Generator, sizes: tuple[int, int, int], *, form: str) -> Parts:
    """Parity of a stream of 32 bits (Hasani et al. 2022), told at every step.

    form: "dense" every bit; "event" one sample a run of equal bits with its length as dt;
    "irregular" and "event_irregular": each bit lasts 1 or 2 units of time and counts as often, so
    that the parity can't be known without the true dt.

    Bits are fair coins. In the training part of the event forms a bit repeats the last one with a
    probability that is drawn for each sequence from 0.5..0.9, since fair coins seldom show a run
    of more than 7, whose length must be told from its neighbours' all the same.
    """
    irregular, event = form.endswith("irregular"), form.startswith("event")

    def part(count: int, long_runs: bool) -> Sequences:
        bits = rng.integers(0, 2, (count, BITS))
        if long_runs:
            changes = rng.random((count, BITS)) > rng.uniform(0.5, 0.9, (count, 1))
            bits = (bits[:, :1] + np.cumsum(changes, axis=1)) % 2
        lasts = rng.integers(1, 3, (count, BITS)) if irregular else np.ones_like(bits)
        parity = np.cumsum(bits * lasts, axis=1) % 2
        if event:
            return _runs(bits, lasts, parity)
        return _sequences(2.0 * bits - 1.0, lasts, None, parity)

    train, valid, test = sizes
    return part(train, event), part(valid, False), part(test, False)


def digits(rng: np.random.Generator, folder: Path | None = None) -> Parts:
    """Handwritten digits as event-based pixel streams: one sample a run of equal binary pixels.

    scikit-learn's 8 × 8 digits; with ``folder``, MNIST from its four IDX files.
    """
    images, labels = _mnist(folder) if folder is not None else _small_digits()
    order = rng.permutation(len(images))
    images, labels = images[order], labels[order]
    stream = (images.reshape(len(images), -1) > 0.5).astype(np.int64)
    whole = _runs(stream, np.ones_like(stream), labels)
    train, valid = int(0.7 * len(stream)), int(0.8 * len(stream))
    index = torch.arange(len(stream))
    return tuple(whole.take(part) for part in (index[:train], index[train:valid], index[valid:]))


def _sequences(inputs, dt, observed, target) -> Sequences:
    return Sequences(
        torch.tensor(inputs, dtype=torch.float32)[:, :, None],
        torch.tensor(dt, dtype=torch.float32)[:, :, None],
        observed,
        torch.tensor(target),
    )


def _runs(values_NT: np.ndarray, lasts_NT: np.ndarray, target: np.ndarray) -> Sequences:
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
    return _sequences(inputs, dt, torch.tensor(observed), targets)


def _small_digits() -> tuple[np.ndarray, np.ndarray]:
    from sklearn.datasets import load_digits

    data = load_digits()
    return data.images / 16.0, data.target


def _mnist(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Images in 0..1 and labels from the uncompressed IDX files of yann.lecun.com/exdb/mnist."""

    def read(name: str, header: int, shape: tuple[int, ...]) -> np.ndarray:
        path = folder / name
        if not path.is_file():
            raise ConfigError(f"{path}: no such file; expected MNIST's uncompressed IDX files")
        return np.fromfile(path, np.uint8)[header:].reshape(shape)

    parts = ("train", "t10k")
    images = [read(f"{part}-images-idx3-ubyte", 16, (-1, 28, 28)) for part in parts]
    labels = [read(f"{part}-labels-idx1-ubyte", 8, (-1,)) for part in parts]
    return np.concatenate(images) / 255.0, np.concatenate(labels).astype(np.int64)
