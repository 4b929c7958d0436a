"""A loss that runs away brings back an earlier policy, and nothing else does."""

import copy

import pytest
import torch

from liquid_control.training.rollback import EVERY, Rollback


def run(losses, rollback, policy, optimiser):
    """One Adam step a loss; the weight of the policy after each update, and where it went back."""
    weights, backs = [], []
    for loss in losses:
        policy.weight.grad = torch.ones_like(policy.weight)
        optimiser.step()
        backs.append(rollback.after_update(loss))
        weights.append(policy.weight.item())
    return weights, backs


def fresh():
    policy = torch.nn.Linear(1, 1, bias=False)
    optimiser = torch.optim.Adam(policy.parameters(), lr=1.0)
    return Rollback(policy, optimiser), policy, optimiser


@pytest.mark.parametrize(
    "runaway", [[9.0] * 40, torch.linspace(1.0, 4.0, 600).tolist()], ids=["at once", "slowly"]
)
def test_a_runaway_goes_back_to_a_copy_of_the_best_time_and_halves_the_rate(runaway):
    parts = fresh()
    weights, backs = run([1.0] * (2 * EVERY + 30) + runaway, *parts)
    back = backs.index(True)
    assert weights[back] in (weights[EVERY - 1], weights[2 * EVERY - 1])
    assert parts[0].rate_factor == 0.5 ** sum(backs) < 1


def test_a_policy_ruined_before_the_first_copy_begins_again_with_half_the_rate():
    losses = torch.cat([torch.linspace(2, 0.5, 50), torch.linspace(0.5, 3, 30), 3 * torch.ones(60)])
    parts = fresh()
    first = parts[1].weight.item()
    weights, backs = run(losses.tolist(), *parts)
    assert weights[backs.index(True)] == first


def test_the_cost_of_fresh_episodes_after_it_is_no_runaway():
    losses = [1.0] * 2 * EVERY + [9.0] * 5 + [4.0] * 10 + [1.0] * 300
    assert sum(run(losses, *fresh())[1]) == 1


def test_noise_and_a_falling_loss_are_no_runaway():
    rng = torch.Generator().manual_seed(0)
    noise = 1 + 0.5 * (2 * torch.rand(500, generator=rng) - 1)
    assert not any(run((noise * torch.linspace(3, 0.2, 500)).tolist(), *fresh())[1])


def test_it_goes_on_from_its_state():
    first = fresh()
    run([1.0] * (2 * EVERY + 5), *first)
    second = fresh()
    for new, old in zip(second, first, strict=True):
        new.load_state_dict(copy.deepcopy(old.state_dict()))
    weights = [run([9.0] * 10, *parts)[0] for parts in (first, second)]
    assert weights[0] == weights[1]
    assert first[0].count == second[0].count == 1
