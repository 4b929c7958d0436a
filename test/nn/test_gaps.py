"""Padding and missing samples reach no sum, and the chunks of a stream give what it gives whole."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import ALL, PERIOD, make_cell, random_inputs

from liquid_control.nn.cells.cfc import CfC
from liquid_control.nn.cells.modes.registry import MODES
from liquid_control.nn.cells.sequence import run_sequence
from liquid_control.nn.cells.wiring import fully_connected

every_cell = pytest.mark.parametrize(("name", "wiring"), ALL)
KERNELS = [*(f"cfc-{mode}" for mode in MODES), "ncps-pure", "ltc-fused"]
NAN = float("nan")


def gradients(cell, inputs, *, seen=None, **options):
    """Output, last state, and gradients of inputs, state, dt and all weights."""
    values = [value.clone().requires_grad_() for value in inputs]
    output, state = run_sequence(cell, *values, **options)
    rng = torch.Generator().manual_seed(0)
    weight = torch.randn(output.shape, generator=rng, dtype=output.dtype)
    if seen is not None:
        weight = torch.where(seen[:, :, None], weight, 0.0)
    loss = (output * weight).sum() + state[:, : cell.state_size].square().sum()
    return [output, state, *torch.autograd.grad(loss, [*values, *cell.parameters()],
                                                materialize_grads=True)]  # fmt: skip


def assert_same(ours, theirs, tolerance):
    for mine, other in zip(ours, theirs, strict=True):
        assert torch.isfinite(mine).all()
        scale = 1.0 + other.detach().abs().max().item()
        torch.testing.assert_close(mine, other, rtol=0, atol=tolerance * scale)


@pytest.mark.parametrize("batch", [1, 31, 33])
def test_pure_has_gradients_in_every_batch(batch):
    """An empty lane at t = 0 would diverge here within 128 steps."""
    wiring = fully_connected(sensory=2, units=8, motor=2, rng=0)
    cell = CfC(wiring, mode="pure", nominal_dt=1.0, rng=torch.Generator().manual_seed(0))
    state = torch.zeros(1, 8)
    with torch.no_grad():
        for _ in range(400):
            _, state = cell(torch.zeros(1, 2), state, torch.zeros(1, 1))
    assert not torch.isfinite(state).all()
    inputs = torch.zeros(batch, 500, 2), torch.zeros(batch, 8), torch.ones(batch, 500, 1)
    ours, theirs = (gradients(cell, inputs, compiled=compiled) for compiled in (True, False))
    assert_same(ours, theirs, 2e-5)


@pytest.mark.parametrize("name", KERNELS)
@given(data=st.data())
@settings(max_examples=6, deadline=None)
def test_what_is_not_there_reaches_no_sum(name, data):
    """Any batch and masks, NaN wherever a sample is missing: kernel = torch, and all is finite."""
    batch, steps = data.draw(st.integers(1, 67)), data.draw(st.integers(1, 25))
    rng = torch.Generator().manual_seed(data.draw(st.integers(0, 2**31)))
    share = data.draw(st.sampled_from([0.0, 0.2, 0.7, 1.0]))  # of samples that are missing
    cell = make_cell(name, data.draw(st.sampled_from(["ncp", "fully_connected"]))).double()
    input_BTF, state_BH, dt_BT1 = random_inputs(cell, batch, steps, dtype=torch.float64)
    if "pure" in name:  # it magnifies what it is given
        input_BTF, dt_BT1 = 0.3 * input_BTF, 0.5 * PERIOD + dt_BT1
    observed = torch.rand(batch, steps, generator=rng) >= share
    masks = {"observed_BT": observed, "reset_BT": torch.rand(batch, steps, generator=rng) > 0.9}
    spoiled = torch.where(observed[:, :, None], input_BTF, NAN)
    padding = observed.flip(1).cumsum(dim=1).flip(1).eq(0)
    unknown = torch.where(padding[:, :, None], NAN, dt_BT1)
    clean = gradients(cell, (input_BTF, state_BH, dt_BT1), **masks, compiled=False)
    for compiled in (False, True):
        dirty = gradients(cell, (spoiled, state_BH, unknown), **masks, compiled=compiled)
        waited = dirty[1][:, -1]
        assert (waited.isnan() == padding[:, -1]).all()
        dirty[1], state = dirty[1][:, :-1], clean[1][:, :-1]
        assert_same(dirty, [clean[0], state, *clean[2:]], 1e-9)


@every_cell
@pytest.mark.parametrize("compiled", [False, True])
def test_what_comes_before_the_first_sample_may_be_anything(name, wiring, compiled):
    """Padding in front: inputs and dt of NaN, and a state that any step would let overflow."""
    cell = make_cell(name, wiring)
    inputs = random_inputs(cell, batch=3, steps=5)
    observed, reset = torch.ones(2, 3, 5, dtype=torch.bool)
    observed[1, :2], reset[:] = False, False
    reset[1, 2] = True
    seen = observed.clone()
    clean = gradients(cell, inputs, seen=seen, observed_BT=observed, reset_BT=reset,
                      compiled=compiled)  # fmt: skip
    input_BTF, state_BH, dt_BT1 = (value.clone() for value in inputs)
    input_BTF[1, :2], state_BH[1], dt_BT1[1, :2] = NAN, 1e36, NAN
    dirty = gradients(cell, (input_BTF, state_BH, dt_BT1), seen=seen, observed_BT=observed,
                      reset_BT=reset, compiled=compiled)  # fmt: skip
    dirty[0], clean[0] = (values[0][seen] for values in (dirty, clean))
    assert_same(dirty, clean, 1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("name", KERNELS)
def test_long_sequences_of_odd_batches_have_the_gradients_of_torch(name):
    cell = make_cell(name).double()
    inputs = random_inputs(cell, batch=35, steps=2000, dtype=torch.float64)
    if "pure" in name:
        inputs = 0.3 * inputs[0], inputs[1], 0.5 * PERIOD + inputs[2]
    observed = torch.rand(35, 2000, generator=torch.Generator().manual_seed(0)) > 0.3
    ours, theirs = (
        gradients(cell, inputs, observed_BT=observed, compiled=compiled)
        for compiled in (True, False)
    )
    assert_same(ours, theirs, 1e-7)


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("name", KERNELS)
def test_a_nan_dt_of_a_missing_sample_spoils_the_next_sample_and_no_other(name, compiled):
    cell = make_cell(name)
    input_BTF, state_BH, dt_BT1 = random_inputs(cell, batch=3, steps=4)
    observed = torch.tensor([[True, False, True, True], [True, True, False, False], [True] * 4])
    clean, _ = run_sequence(cell, input_BTF, state_BH, dt_BT1, observed_BT=observed)
    spoiled = torch.where(observed[:, :, None], dt_BT1, NAN)
    output, state = run_sequence(
        cell, input_BTF, state_BH, spoiled, observed_BT=observed, compiled=compiled
    )
    assert output[0, 2].isnan().any()
    output[0, 2:] = clean[0, 2:]
    torch.testing.assert_close(output, clean, rtol=2e-6, atol=2e-6)
    assert state[:, -1].isnan().tolist() == [False, True, False]


@every_cell
@pytest.mark.parametrize("compiled", [False, True])
def test_chunks_of_a_stream_give_what_the_whole_gives(name, wiring, compiled):
    """Cut anywhere, missing samples and resets on either side, gradients too."""
    cell, steps = make_cell(name, wiring).double(), 6
    inputs = random_inputs(cell, batch=5, steps=steps, dtype=torch.float64)
    observed = torch.tensor([
        [1, 0, 0, 1, 0, 1], [0, 1, 1, 0, 0, 0], [1, 1, 0, 0, 1, 1], [0] * 6, [1, 0, 0, 0, 0, 1],
    ], dtype=torch.bool)  # fmt: skip
    reset = torch.zeros(5, steps, dtype=torch.bool)
    reset[2, 4], reset[4, 2] = True, True

    def run(cuts):
        values = [value.clone().requires_grad_() for value in inputs]
        state, outputs = values[1], []
        for start, stop in zip((0, *cuts), (*cuts, steps)):
            part = slice(start, stop)
            output, state = run_sequence(
                cell, values[0][:, part], state, values[2][:, part], compiled=compiled,
                observed_BT=observed[:, part], reset_BT=reset[:, part],
            )  # fmt: skip
            outputs.append(output)
        output = torch.cat(outputs, dim=1)
        loss = output.square().sum() + state.square().sum()
        parameters = [*values, *cell.parameters()]
        slopes = torch.autograd.grad(loss, parameters, materialize_grads=True)
        return output, state, *slopes

    whole = run(())
    for cuts in (*((cut,) for cut in range(1, steps)), range(1, steps)):
        for part, expected in zip(run(cuts), whole, strict=True):
            torch.testing.assert_close(part, expected, rtol=1e-8, atol=1e-9)


@every_cell
def test_a_step_takes_up_a_stream(name, wiring):
    """From a sequence that ended in missing samples to live control."""
    cell = make_cell(name, wiring)
    input_BTF, state_BH, dt_BT1 = random_inputs(cell, batch=3, steps=4)
    observed = torch.tensor([[True, True, False, True], [False, False, False, True], [True] * 4])
    with torch.no_grad():
        whole, last = run_sequence(cell, input_BTF, state_BH, dt_BT1, observed_BT=observed)
        _, stream = run_sequence(
            cell, input_BTF[:, :3], state_BH, dt_BT1[:, :3], observed_BT=observed[:, :3]
        )
        output, after = cell(input_BTF[:, 3], stream, dt_BT1[:, 3])
        assert after.shape == (3, cell.state_size)
        torch.testing.assert_close(output, whole[:, 3], rtol=0, atol=3e-6)
        torch.testing.assert_close(after, last[:, :-1], rtol=0, atol=3e-6)
        expected = [0.0, dt_BT1[1, :3].sum().item(), 0.0]
        expected[0] = dt_BT1[0, 2].item()
        assert stream[:, -1].tolist() == pytest.approx(expected)
        weights = cell.weights()
        assert torch.equal(cell.output(stream, weights), cell.output(stream[:, :-1], weights))


@given(t=st.floats(0.01, 100.0), seed=st.integers(0, 20), scale=st.floats(0.0, 1e6))
@settings(max_examples=30, deadline=None)
def test_pure_stays_in_its_bounds_while_time_passes(t, seed, scale):
    """|h| <= A*(1 + 1/(e*t)), whatever weights, input and state are; at t = 0 there is no bound."""
    cell = make_cell("cfc-pure", seed=seed).double()
    rng = torch.Generator().manual_seed(seed)
    inputs = scale * torch.randn(4, 5, generator=rng, dtype=torch.float64)
    state = scale * torch.randn(4, cell.state_size, generator=rng, dtype=torch.float64)
    dt = torch.full((4, 1), t * PERIOD, dtype=torch.float64)
    with torch.no_grad():
        for parameter in cell.weight:
            parameter.mul_(1.0 + scale)
        amplitude = cell.weights()[-1]
        bound = amplitude.abs() * (1 + 1 / (math.e * t))
        for _ in range(5):
            state = cell(inputs, state, dt)[1]
            assert (state.abs() <= bound * (1 + 1e-9)).all()
        dt.zero_()
        assert torch.isfinite(cell(inputs, state, dt)[1]).all()
