"""One training run of a sequence task: network, optimizer, score. The same for every network."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from liquid_control.bench.tasks import Parts, Sequences, standardised
from liquid_control.config import StrictModel
from liquid_control.nn.cells.cell import Cell
from liquid_control.nn.cells.cfc import CfC
from liquid_control.nn.cells.sequence import run_sequence
from liquid_control.nn.cells.wrappers import Readout
from liquid_control.nn.cells.zoo import build_cell

SHARPNESS = 6.0  # of spaced time gates, per unit of time


class Network(StrictModel):
    """A network in a task: ``cell`` is its config, sizes are filled in by the task."""

    cell: dict
    units: int = Field(gt=0)
    with_time: bool = True  # False: every dt is replaced by the mean
    switch_times: tuple[float, float] | None = None  # of the time gates of a CfC at the start


class Task(StrictModel):
    """What is trained on, how (alike for all networks), and what others reached."""

    metric: Literal["mse", "accuracy_last_step", "accuracy_last"]  # the last: class at the end only
    batch: int = Field(gt=0)
    epochs: int = Field(gt=0)
    learning_rates: list[float] = Field(min_length=1)  # tried at seed 0, chosen on validation
    weight_decay: float = Field(default=0.0, ge=0)  # AdamW's, on matrices only
    weight_average: float = Field(default=0.0, ge=0, lt=1)  # decay of the weights that are judged
    # inputs in standard deviations of the training part, limited smoothly to this many, and a
    # readout in those of the targets
    standardise: float | None = Field(default=None, gt=0)
    input_noise: float = Field(default=0.0, ge=0)  # in training, standard deviation
    growth: float = Field(default=0.0, ge=0, lt=1)  # share of updates on sequences cut short
    sizes: tuple[int, int, int] | None = None  # sequences to draw: train, valid, test
    networks: dict[str, Network]
    published: dict[str, str]
    floors: dict[str, str]
    note: str

    def better(self, score: float, than: float) -> bool:
        return score < than if self.metric == "mse" else score > than


@contextmanager
def one_thread() -> Iterator[None]:
    """Torch on one thread, as long as it lasts."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def make_network(network: Network, inputs: int, outputs: int, rng: torch.Generator, seed: int):
    """The cell of a task with a linear readout of all its neurons; one unit of time is nominal."""
    config = {**network.cell, "nominal_dt": 1.0}
    wired = config["cell"] if config["kind"] == "mixed_memory" else config
    if wired["kind"] in ("cfc", "ltc"):
        sizes = {"sensory": inputs, "units": network.units, "seed": seed}
        motor = network.units if wired["wiring"]["kind"] != "auto_ncp" else outputs
        wired = {**wired, "wiring": {**wired["wiring"], **sizes, "motor": motor}}
        wired["nominal_dt"] = config.pop("nominal_dt")
        config = {**config, "cell": wired} if config["kind"] == "mixed_memory" else wired
    else:
        config |= {"input_size": inputs, "units": network.units}
    cell = build_cell(config, rng)
    if network.switch_times is not None:
        _space_gates(cell.cell if config["kind"] == "mixed_memory" else cell, *network.switch_times)
    return Readout(cell, output_size=outputs, rng=rng)


def _space_gates(cfc: CfC, low: float, high: float) -> None:
    """Time gates that start as sigmoid(SHARPNESS*(t - t_k)), t_k evenly spaced over the neurons.

    What tau_range is to time constants: with zero biases all gates switch near t = 0, and a count
    of units of time is learned very slowly.
    """
    times_H = torch.linspace(low, high, cfc.state_size)
    for layer, bias in zip(cfc.layers, cfc.bias):
        slope_N, offset_N = bias.data.chunk(4)[2:]
        slope_N += SHARPNESS
        offset_N -= SHARPNESS * times_H[layer.start : layer.stop]


def train_network(
    task: Task, network: Network, parts: Parts, *, seed: int, learning_rate: float, epochs: int
) -> dict:
    """AdamW, clipped gradients, one-cycle learning rate; test at the best validation epoch.

    Returns learning_rate, valid (best validation score), best_epoch (from 1), score (test there),
    parameters, epochs and seconds of CPU.
    """
    rng = torch.Generator().manual_seed(seed)
    if not network.with_time:
        parts = tuple(part.without_time() for part in parts)
    if task.standardise is not None:
        parts = standardised(parts, limit=task.standardise)
    train, valid, test = parts
    inputs = train.input_NTF.shape[2]
    outputs = train.target.shape[2] if task.metric == "mse" else int(train.target.max()) + 1
    cell = make_network(network, inputs, outputs, rng, seed)
    judged = AveragedModel(cell, multi_avg_fn=get_ema_multi_avg_fn(task.weight_average))
    matrices = [parameter for parameter in cell.parameters() if parameter.dim() > 1]
    others = [parameter for parameter in cell.parameters() if parameter.dim() <= 1]
    groups = [
        {"params": matrices, "weight_decay": task.weight_decay},
        {"params": others, "weight_decay": 0.0},  # biases, time constants, LTC's synapses
    ]
    optimizer = torch.optim.AdamW(groups, lr=learning_rate)
    batches = len(train) // task.batch
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, learning_rate, total_steps=epochs * batches, pct_start=0.1
    )
    unit = _unit_of_output(task, train)
    best: dict = {}
    start = time.process_time()
    for epoch in range(1, epochs + 1):
        order = torch.randperm(len(train), generator=rng)
        for k in range(batches):
            batch = train.take(order[k * task.batch : (k + 1) * task.batch])
            if task.growth:
                done = ((epoch - 1) * batches + k) / (task.growth * epochs * batches)
                batch = batch.first(2 + round((batch.steps - 2) * min(done, 1.0)))
            if task.input_noise:
                batch = batch.with_noise(task.input_noise, rng)
            loss = _loss(task, batch, _outputs(cell, batch, unit))
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(cell.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            judged.update_parameters(cell)
        here = _score(task, judged.module, valid, unit)
        if not best or task.better(here, best["valid"]):
            score = _score(task, judged.module, test, unit)
            best = {"valid": here, "best_epoch": epoch, "score": score}
    return {
        "learning_rate": learning_rate,
        **best,
        "parameters": cell.parameter_count(),
        "epochs": epochs,
        "seconds": time.process_time() - start,
    }


def _unit_of_output(task: Task, train: Sequences) -> tuple[Tensor, Tensor]:
    """Scale and offset from the readout to the target."""
    if task.standardise is None or task.metric != "mse":
        return torch.ones(1), torch.zeros(1)
    return train.target.std(dim=(0, 1)), train.target.mean(dim=(0, 1))


def _outputs(cell: Cell, part: Sequences, unit: tuple[Tensor, Tensor]) -> Tensor:
    """(N, T, O) outputs. Padding stands at the end and is run through: no output there counts."""
    state = cell.initial_state(len(part))
    output_NTO, _ = run_sequence(cell, part.input_NTF, state, part.dt_NT1)
    return output_NTO * unit[0] + unit[1]


def _last(part: Sequences, output_NTO: Tensor) -> Tensor:
    """(N, O) output at the last sample of each sequence."""
    if part.observed_NT is None:
        return output_NTO[:, -1]
    last_N = part.observed_NT.sum(dim=1) - 1
    return output_NTO[torch.arange(len(last_N)), last_N]


def _loss(task: Task, part: Sequences, output_NTO: Tensor) -> Tensor:
    if task.metric == "mse":
        return F.mse_loss(output_NTO, part.target)
    if task.metric == "accuracy_last":
        return F.cross_entropy(_last(part, output_NTO), part.target)
    if part.observed_NT is None:
        return F.cross_entropy(output_NTO.flatten(0, 1), part.target.flatten())
    return F.cross_entropy(output_NTO[part.observed_NT], part.target[part.observed_NT])


@torch.no_grad()
def _score(task: Task, cell: Cell, part: Sequences, unit: tuple[Tensor, Tensor]) -> float:
    """MSE over all steps, or the share of sequences whose class at the end is right."""
    total, count = 0.0, 0
    for index in torch.arange(len(part)).split(512):
        batch = part.take(index)
        output = _outputs(cell, batch, unit)
        if task.metric == "mse":
            total += F.mse_loss(output, batch.target).item() * len(index)
        else:
            target = batch.target if batch.target.dim() == 1 else batch.target[:, -1]
            total += (_last(batch, output).argmax(dim=1) == target).sum().item()
        count += len(index)
    return total / count
