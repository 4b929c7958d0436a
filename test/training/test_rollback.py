"""A loss that runs away brings back an earlier policy, and nothing else does."""

import copy

import torch

from liquid_control.training.rollback import MEMORY, Rollback


def run(losses, rollback, policy, optimiser):
    """One Adam step a loss; the weight of the policy after each update."""
    weights, backs = [], []
    for update, loss in enumerate(losses, 1):
        policy.weight.grad = torch.ones_like(policy.weight)
        optimiser.step()
        backs.append(rollback.after_update(update, loss))
        weights.append(policy.weight.item())
    return weights, backs


def fresh():
    policy = torch.nn.Linear(1, 1, bias=False)
    optimiser = torch.optim.Adam(policy.parameters(), lr=1.0)
    return Rollback(policy, optimiser), policy, optimiser


def test_a_runaway_goes_back_to_the_copy_before_the_newest_and_halves_the_rate():
    parts = fresh()
    weights, backs = run([1.0] * (2 * MEMORY + 30) + [9.0], *parts)
    assert backs.index(True) == len(backs) - 1
    assert weights[-1] == weights[MEMORY - 1]
    assert (parts[0].count, parts[0].rate_factor) == (1, 0.5)


def test_the_cost_of_fresh_episodes_after_it_is_no_runaway():
    parts = fresh()
    _, backs = run([1.0] * MEMORY + [9.0] + [4.0, 3.0, 2.0] + [1.0] * 50, *parts)
    assert sum(backs) == 1


def test_noise_and_a_falling_loss_are_no_runaway():
    rng = torch.Generator().manual_seed(0)
    noise = 1 + 0.5 * (2 * torch.rand(500, generator=rng) - 1)
    assert not any(run((noise * torch.linspace(3, 0.2, 500)).tolist(), *fresh())[1])


def test_it_goes_on_from_its_state():
    first = fresh()
    run([1.0] * (2 * MEMORY + 5), *first)
    second = fresh()
    for new, old in zip(second, first, strict=True):
        new.load_state_dict(copy.deepcopy(old.state_dict()))
    weights = [run([9.0], *parts)[0] for parts in (first, second)]
    assert weights[0] == weights[1]
    assert first[0].count == second[0].count == 1
