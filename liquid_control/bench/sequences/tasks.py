"""The sequence tasks of the liquid papers by name: which parts they have, and where from.

Shapes: N sequences, T time, F inputs, O outputs.
"""

from pathlib import Path

import numpy as np
import torch

from liquid_control.bench.sequences import bit_stream
from liquid_control.bench.sequences.arrays import Parts, Sequences
from liquid_control.bench.sequences.config import Task
from liquid_control.config import ConfigError


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
    if task.sizes is not None and name.startswith("xor_published_"):
        form = name.removeprefix("xor_published_")
        return bit_stream.published(rng, task.sizes, form=form)
    if task.sizes is not None and name.startswith("xor_"):
        form = name.removeprefix("xor_").removeprefix("end_")
        at_the_end = name.startswith("xor_end_")
        return bit_stream.parity(rng, task.sizes, form=form, at_the_end=at_the_end)
    raise ConfigError(f"task {name!r} is not known, or its sizes are missing")


def half_cheetah(folder: Path, *, window: int = 32, stride: int = 10) -> Parts:
    """Next observation of HalfCheetah-v2, raw units (Hasani et al. 2021).

    Sorted files; valid [:5], test [5:15], train [15:25].
    """
    files = sorted(folder.glob("*.npy"))
    if len(files) < 25:
        raise ConfigError(f"{folder}: {len(files)} .npy files, expected 25 Half-Cheetah rollouts")

    def windows(chosen) -> Sequences:
        inputs, targets, groups = [], [], []
        for k, path in enumerate(chosen):
            rollout = np.load(path, allow_pickle=False).astype(np.float32)
            for start in range(0, len(rollout) - window - 1, stride):
                inputs.append(rollout[start : start + window])
                targets.append(rollout[start + 1 : start + window + 1])
                groups.append(k)
        x_NTF = torch.from_numpy(np.stack(inputs))
        dt_NT1 = torch.ones(*x_NTF.shape[:2], 1)
        target_NTO = torch.from_numpy(np.stack(targets))
        return Sequences(x_NTF, dt_NT1, None, target_NTO, torch.tensor(groups))

    return windows(files[15:25]), windows(files[:5]), windows(files[5:15])


def digits(rng: np.random.Generator, folder: Path | None = None) -> Parts:
    """Handwritten digits as event-based pixel streams: one sample a run of equal binary pixels.

    scikit-learn's 8 × 8 digits; with ``folder``, MNIST from its four IDX files.
    """
    images, labels = _mnist(folder) if folder is not None else _small_digits()
    order = rng.permutation(len(images))
    images, labels = images[order], labels[order]
    stream = (images.reshape(len(images), -1) > 0.5).astype(np.int64)
    whole = bit_stream.runs_of_equal(stream, np.ones_like(stream), labels)
    train, valid = int(0.7 * len(stream)), int(0.8 * len(stream))
    index = torch.arange(len(stream))
    return tuple(whole.take(part) for part in (index[:train], index[train:valid], index[valid:]))


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
