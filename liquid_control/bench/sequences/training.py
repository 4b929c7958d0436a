"""One training run of a sequence task: network, optimizer, score. The same for every network."""

import math
import time

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from liquid_control.bench.sequences.arrays import Parts, Sequences, standardised
from liquid_control.bench.sequences.config import Task, TaskNetwork
from liquid_control.bench.sequences.network import make_network
from liquid_control.nn.cells.cell import Cell
from liquid_control.nn.cells.sequence import run_sequence


def train_network(
    task: Task, network: TaskNetwork, parts: Parts, *, seed: int, learning_rate: float, epochs: int
) -> dict:
    """AdamW, clipped gradients, one-cycle learning rate; test at the best validation epoch.

    Returns learning_rate, valid (best validation score), best_epoch (from 1), score (test there),
    groups (test there, of each rollout, where the task has rollouts, else None), parameters, epochs
    and seconds of CPU.
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
            batch = batch.without_padding()
            loss = _loss(task, batch, _outputs(cell, batch, unit))
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(cell.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            judged.update_parameters(cell)
        here = _scores(task, judged.module, valid, unit).mean().item()
        if not best or task.better(here, best["valid"]) or not math.isfinite(best["valid"]):
            score_N = _scores(task, judged.module, test, unit)
            best = {"valid": here, "best_epoch": epoch, "score": score_N.mean().item()}
            best["groups"] = _of_groups(score_N, test)
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
def _scores(task: Task, cell: Cell, part: Sequences, unit: tuple[Tensor, Tensor]) -> Tensor:
    """(N,) float64: MSE of each sequence, or 1 where its class at the end is right."""
    scores = []
    for index in torch.arange(len(part)).split(512):
        batch = part.take(index).without_padding()
        output = _outputs(cell, batch, unit)
        if task.metric == "mse":
            scores.append((output - batch.target).double().square().mean(dim=(1, 2)))
        else:
            target = batch.target if batch.target.dim() == 1 else batch.target[:, -1]
            scores.append((_last(batch, output).argmax(dim=1) == target).double())
    return torch.cat(scores)


def _of_groups(score_N: Tensor, part: Sequences) -> list[float] | None:
    """The mean of each rollout."""
    if part.group_N is None:
        return None
    return [score_N[part.group_N == k].mean().item() for k in part.group_N.unique()]
