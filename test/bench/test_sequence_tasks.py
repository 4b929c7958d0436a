"""The sequence tasks are what their papers say."""

import numpy as np
import pytest
import torch

from liquid_control.bench.sequences import tasks


def test_standardised_inputs_are_those_of_the_training_part():
    rng = torch.Generator().manual_seed(0)
    scale = torch.tensor([0.1, 30.0])
    parts = tuple(
        tasks.Sequences(
            5.0 + factor * scale * torch.randn(40, 6, 2, generator=rng), torch.ones(40, 6, 1),
            None, torch.zeros(40, 6, 1),
        )
        for factor in (1.0, 1.0, 1e4)
    )  # fmt: skip
    train, _, test = tasks.standardised(parts, limit=3.0)
    assert train.input_NTF.mean(dim=(0, 1)).abs().max() < 0.05
    assert ((train.input_NTF.std(dim=(0, 1)) - 0.9).abs() < 0.1).all()
    assert test.input_NTF.abs().max() <= 3.0
    noisy = train.with_noise(0.5, rng).input_NTF - train.input_NTF
    assert noisy.std().item() == pytest.approx(0.5, rel=0.1)


@pytest.mark.parametrize("form", ["dense", "event", "irregular", "event_irregular"])
def test_xor_is_the_parity_of_the_time_spent_at_one(form):
    part = tasks.xor(np.random.default_rng(1), (50, 1, 1), form=form)[0]
    time = torch.where(part.input_NTF > 0, part.dt_NT1, 0.0)[:, :, 0].cumsum(dim=1)
    assert torch.equal(time.long() % 2, part.target)
    if part.observed_NT is not None:  # samples alternate, then padding
        count = part.observed_NT.sum(dim=1)
        assert torch.equal(part.observed_NT, torch.arange(part.steps) < count[:, None])
        both = part.observed_NT[:, 1:]
        assert (part.input_NTF[:, 1:, 0] * part.input_NTF[:, :-1, 0])[both].eq(-1).all()
    lasts = part.dt_NT1 if part.observed_NT is None else part.dt_NT1[part.observed_NT]
    assert lasts.min() == 1
    assert lasts.max() == {"dense": 1, "irregular": 2}.get(form, lasts.max())
    assert part.first(3).steps == part.first(3).target.shape[1] == 3
