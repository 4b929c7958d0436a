"""What a step and a sequence refuse, naming it; and half precision."""

import numpy as np
import pytest
import torch
from networks import ALL, PERIOD, make_cell, random_inputs

from liquid_control.nn.cells.sequence import run_sequence
from liquid_control.nn.policy import Policy

every_cell = pytest.mark.parametrize(("name", "wiring"), ALL)
BATCH, STEPS = 4, 3


def wrong(name, value):
    """(message, value) of each way in which an argument can be wrong."""
    spelt = str(tuple(value.shape)).replace("(", r"\(").replace(")", r"\)")
    width = value[..., :-1] if value.shape[-1] > 1 else torch.cat([value, value], dim=-1)
    free = rf"expected {spelt}" if name in ("state", "dt") else r"expected \((B|4), "
    yield f"^{name} is None, expected a tensor", None
    yield f"^{name} is 0.01, expected a tensor", 0.01
    yield f"^{name} is <class 'numpy.ndarray'>, expected a tensor", value.numpy()
    yield rf"^{name} has shape \(\), {free}", torch.tensor(0.01)
    yield rf"^{name} has shape \(.*\), {free}", width
    yield rf"^{name} has shape \(.*\), {free}", value[..., 0]
    yield rf"^{name} has shape \(.*\), {free}", value[None]
    for dtype in (torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.complex64):
        yield f"^{name} is of {dtype}, expected torch.float32", value.to(dtype)
    yield f"^{name} is on meta, expected cpu", value.to("meta")


@every_cell
def test_each_wrong_argument_is_named(name, wiring):
    cell = make_cell(name, wiring)
    sequence = random_inputs(cell, batch=BATCH, steps=STEPS)
    step = sequence[0][:, 0], sequence[1], sequence[2][:, 0]
    weights = cell.weights()
    calls = (
        (sequence, lambda *given: run_sequence(cell, *given)),
        (sequence, lambda *given: run_sequence(cell, *given, compiled=False)),
        (step, lambda *given: cell.step(*given, weights)),
        (step, cell),
    )
    for right, call in calls:
        for k, argument in enumerate(("input", "state", "dt")):
            for message, value in wrong(argument, right[k]):
                with pytest.raises(ValueError, match=message):
                    call(*right[:k], value, *right[k + 1 :])
        if len(right[1]) == BATCH:
            with pytest.raises(ValueError, match=r"^state has shape \(3, \d+\), expected \(4, "):
                call(right[0], right[1][:3], right[2])


@pytest.mark.parametrize("argument", ["observed", "reset"])
def test_wrong_masks_are_named(argument):
    cell = make_cell("cfc-closed")
    inputs = random_inputs(cell, batch=BATCH, steps=STEPS)
    good = torch.ones(BATCH, STEPS, dtype=torch.bool)
    for message, mask in (
        (f"^{argument} is of torch.float32, expected torch.bool", good.float()),
        (rf"^{argument} has shape \(4, 2\), expected \(4, 3\)", good[:, :2]),
        (rf"^{argument} has shape \(4, 3, 1\), expected \(4, 3\)", good[..., None]),
        (f"^{argument} is <class 'list'>, expected a bool tensor", good.tolist()),
        (f"^{argument} is on meta, expected cpu", good.to("meta")),
    ):
        with pytest.raises(ValueError, match=message):
            run_sequence(cell, *inputs, **{f"{argument}_BT": mask})


def test_a_policy_names_its_observation():
    cell = make_cell("cfc-closed")
    policy = Policy(
        cell,
        observation_offset=torch.zeros(5), observation_scale=torch.ones(5),
        command_offset=torch.zeros(4), command_scale=torch.ones(4),
    )  # fmt: skip
    observation, state, seconds = random_inputs(cell, batch=BATCH, steps=STEPS)
    for call, right, dt in (
        (policy.run_sequence, observation, seconds),
        (policy, observation[:, 0], seconds[:, 0]),
    ):
        for message, value in wrong("observation", right):
            with pytest.raises(ValueError, match=message):
                call(value, dt, state)
        with pytest.raises(ValueError, match=r"^dt is 0.01, expected a tensor of shape \(4, "):
            call(right, 0.01, state)


@every_cell
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_a_cell_in_half_precision_is_refused(name, wiring, dtype):
    cell = make_cell(name, wiring).to(dtype)
    inputs = [value.to(dtype) for value in random_inputs(cell, batch=BATCH, steps=STEPS)]
    message = f"^the cell's parameters are of {dtype}, expected torch.float32 or torch.float64"
    with pytest.raises(ValueError, match=message):
        run_sequence(cell, *inputs)
    with pytest.raises(ValueError, match=message):
        cell(inputs[0][:, 0], inputs[1], inputs[2][:, 0])


@every_cell
@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_autocast_changes_nothing_inside_a_cell(name, wiring, compiled, dtype):
    """A network around it computes in half precision; the cell does not, and its gradients."""
    cell = make_cell(name, wiring)
    input_BTF, state_BH, dt_BT1 = random_inputs(cell, batch=BATCH, steps=STEPS)
    layer = torch.nn.Linear(5, 5)

    def run(half):
        cell.zero_grad()
        with torch.autocast("cpu", dtype=dtype, enabled=half):
            seen = layer(input_BTF)
            assert (seen.dtype == dtype) is half
            if not half:
                seen = seen.to(dtype).float()
            output, state = run_sequence(cell, seen, state_BH, dt_BT1, compiled=compiled)
            after, _ = cell(seen[:, 0], state, dt_BT1[:, 0])
        slopes = torch.autograd.grad(
            output.sum() + after.sum(), list(cell.parameters()), materialize_grads=True
        )
        return output, state, after, *slopes

    with torch.no_grad():
        layer.weight.copy_(torch.eye(5))
        layer.bias.zero_()
    for mine, plain in zip(run(True), run(False), strict=True):
        assert mine.dtype == torch.float32
        # A product's last bit may change with the call; half precision would be off by 1e-3.
        torch.testing.assert_close(mine, plain, rtol=1e-5, atol=1e-7)


def test_a_step_is_one_graph_with_its_checks():
    """torch.compile finds nothing in them that it can't look through, with autocast too."""
    cell = make_cell("cfc-closed")
    x_BTF, state_BH, dt_BT1 = random_inputs(cell, batch=BATCH, steps=STEPS)
    given = x_BTF[:, 0], state_BH, dt_BT1[:, 0]
    step = torch.compile(
        lambda *values: cell.step(*values, cell.weights()), fullgraph=True, backend="eager"
    )
    with torch.no_grad():
        expected, _ = cell(*given)
        torch.testing.assert_close(step(*given)[0], expected)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            torch.testing.assert_close(step(*given)[0], expected)


def test_numbers_of_numpy_are_named_as_they_are():
    cell = make_cell("gru", "none")
    x_BTF, state_BH, _ = random_inputs(cell, batch=BATCH, steps=STEPS)
    with pytest.raises(
        ValueError, match=r"^dt is np.float64\(0.01\), expected a tensor of shape \(4, 1\)"
    ):
        cell(x_BTF[:, 0], state_BH, np.float64(PERIOD))
