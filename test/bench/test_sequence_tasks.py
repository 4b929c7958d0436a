"""The sequence tasks are what their papers say."""

import numpy as np
import pytest
import torch

from liquid_control.bench.sequences import arrays, bit_stream


def test_standardised_inputs_are_those_of_the_training_part():
    rng = torch.Generator().manual_seed(0)
    scale = torch.tensor([0.1, 30.0])
    parts = tuple(
        arrays.Sequences(
            5.0 + factor * scale * torch.randn(40, 6, 2, generator=rng), torch.ones(40, 6, 1),
            None, torch.zeros(40, 6, 1),
        )
        for factor in (1.0, 1.0, 1e4)
    )  # fmt: skip
    train, _, test = arrays.standardised(parts, limit=3.0)
    assert train.input_NTF.mean(dim=(0, 1)).abs().max() < 0.05
    assert ((train.input_NTF.std(dim=(0, 1)) - 0.9).abs() < 0.1).all()
    assert test.input_NTF.abs().max() <= 3.0
    noisy = train.with_noise(0.5, rng).input_NTF - train.input_NTF
    assert noisy.std().item() == pytest.approx(0.5, rel=0.1)


@pytest.mark.parametrize("form", ["dense", "event", "irregular", "event_irregular"])
def test_xor_is_the_parity_of_the_time_spent_at_one(form):
    part = bit_stream.parity(np.random.default_rng(1), (50, 1, 1), form=form)[0]
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


@pytest.mark.parametrize("form", ["dense", "event"])
def test_published_xor_is_the_published_task(form):
    sizes = 300, 100, 10_000 if form == "dense" else 300
    parts = bit_stream.published(np.random.default_rng(0), sizes, form=form)
    if form == "dense":
        # the published test part: to answer 0 always is right in 49.11 %, the published LTC's score
        assert (parts[2].target == 0).float().mean().item() == pytest.approx(0.4911, abs=1e-6)
    for part in parts[:2]:
        count = part.observed_NT.sum(dim=1)
        last = torch.where(part.observed_NT, part.dt_NT1[:, :, 0], 0.0)
        length = last.sum(dim=1).long()
        assert length.min() == 2
        assert length.max() == 31
        assert part.target.shape == (len(part),)
        for n in range(100):
            bits = torch.zeros(length[n], dtype=torch.long)
            at = last[n, : count[n]].cumsum(dim=0).long() - 1  # when each sample comes
            for k, begin in enumerate(at):  # it holds the bit from here on
                bits[begin:] = int(part.input_NTF[n, k, 0] > 0)
            assert bits.sum() % 2 == part.target[n]
            if form == "dense":
                assert count[n] == length[n]
            else:
                changes = int((bits[1:] != bits[:-1]).sum())
                assert count[n] == 1 + changes + int(bits[-1] == bits[-2])


def test_published_parts_do_not_overlap_in_their_draws():
    one, two = (
        bit_stream.published(np.random.default_rng(seed), (50, 50, 50), form="dense")
        for seed in (0, 1)
    )
    for k, same in enumerate((True, False, True)):  # only the validation part is of the seed
        assert torch.equal(one[k].target, two[k].target) == same
    assert not torch.equal(one[0].input_NTF, one[2].input_NTF)


def test_xor_told_at_the_end_has_fair_coins_and_one_answer():
    parts = bit_stream.parity(
        np.random.default_rng(0), (400, 50, 50), form="event", at_the_end=True
    )
    for part in parts:
        last = torch.where(part.observed_NT, part.dt_NT1[:, :, 0], 0.0)
        assert (last.sum(dim=1) == 32).all()
        ones = torch.where(part.input_NTF[:, :, 0] > 0, last, 0.0).sum(dim=1)
        assert torch.equal(ones.long() % 2, part.target)
    assert parts[0].observed_NT.sum(dim=1).float().mean().item() == pytest.approx(16.5, abs=0.7)


def test_without_padding_only_padding_is_cut():
    part = bit_stream.published(np.random.default_rng(0), (40, 1, 1), form="event")[0]
    short = part.take(torch.arange(40)).without_padding()
    longest = part.observed_NT.sum(dim=1).max()
    assert short.steps == longest < part.steps
    assert torch.equal(short.input_NTF, part.input_NTF[:, :longest])
    assert torch.equal(short.target, part.target)
    assert not part.observed_NT[:, longest:].any()
