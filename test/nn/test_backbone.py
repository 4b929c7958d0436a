"""The closed-form cell with a backbone: its compiled sequences, its graph, its arguments."""

import copy
import pickle

import onnx
import pytest
import torch
from networks import random_inputs
from test_export import assert_same_over_steps, export, policy_around

from liquid_control.nn.cells import backbone
from liquid_control.nn.cells.activations import ACTIVATIONS
from liquid_control.nn.cells.backbone import BackboneCfC
from liquid_control.nn.cells.sequence import run_sequence
from liquid_control.nn.cells.zoo import build_cell
from liquid_control.nn.export import policy_graph

CASES = [
    *({"mode": mode} for mode in ("default", "no_gate", "pure", "closed", "ctrnn")),
    *({"activation": name} for name in ("tanh", "relu", "silu")),
    {"backbone_layers": 0},
    {"backbone_layers": 3},
    {"backbone_layers": 0, "mode": "closed"},
]


def make(**arguments):
    sizes = {"input_size": 3, "units": 5, "backbone_units": 7, "nominal_dt": 0.01, "output_size": 2}
    return BackboneCfC(**{**sizes, "rng": torch.Generator().manual_seed(0), **arguments})


def with_gradients(cell, inputs, compiled):
    values = [value.clone().requires_grad_() for value in inputs]
    output, state = run_sequence(cell, *values, compiled=compiled)
    loss = output.pow(3).sum() + state.square().sum()
    return output, state, *torch.autograd.grad(loss, [*values, *cell.parameters()])


@pytest.mark.parametrize("batch", [1, 37, 64])
@pytest.mark.parametrize("arguments", CASES, ids=str)
def test_the_kernel_is_the_steps_with_gradients(arguments, batch):
    pytest.importorskip("numba")
    cell = make(**arguments).double()
    inputs = random_inputs(cell, batch=batch, steps=9, dtype=torch.float64)
    assert cell.compiled_sequence(*inputs, None, None) is not None
    ours = with_gradients(cell, inputs, compiled=True)
    for mine, theirs in zip(ours, with_gradients(cell, inputs, compiled=False), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-10, atol=1e-11)
    with torch.no_grad():  # where one step is kept in place of all
        assert torch.equal(run_sequence(cell, *inputs)[0], ours[0])


def test_without_scipy_sequences_run_in_torch(monkeypatch):
    monkeypatch.setattr(backbone, "_has_products", lambda: False)
    cell = make()
    inputs = random_inputs(cell, batch=2, steps=3)
    assert cell.compiled_sequence(*inputs, None, None) is None
    assert run_sequence(cell, *inputs)[0].shape == (2, 3, 2)


@pytest.mark.parametrize("mode", ["default", "pure"])
@pytest.mark.parametrize(("batch", "steps"), [(1, 2000), (33, 300)])
def test_what_fills_a_vector_never_reaches_a_sum(mode, batch, steps):
    cell = make(mode=mode)
    x = torch.zeros(batch, steps, 3, requires_grad=True)
    dt = torch.full((batch, steps, 1), 0.01)
    output, _ = run_sequence(cell, x, cell.initial_state(batch), dt)
    output.sum().backward()
    assert torch.isfinite(output).all()
    assert all(torch.isfinite(p.grad).all() for p in (x, *cell.parameters()))
    one, _ = run_sequence(cell, x[:1], cell.initial_state(1), dt[:1])
    cell.zero_grad()
    one.sum().backward()
    alone = [p.grad.clone() for p in cell.parameters()]
    cell.zero_grad()
    run_sequence(cell, x, cell.initial_state(batch), dt)[0].sum().backward()
    for mine, single in zip(cell.parameters(), alone):
        torch.testing.assert_close(mine.grad / batch, single, rtol=1e-3, atol=1e-4)


def test_dropout_is_for_training_and_after_every_layer():
    cell = make(backbone_dropout=0.5, backbone_layers=1)
    inputs = random_inputs(cell, batch=4, steps=5)
    torch.manual_seed(0)
    first, second = (run_sequence(cell, *inputs)[0] for _ in range(2))
    assert not torch.equal(first, second)
    plain = make(backbone_layers=1)
    plain.load_state_dict(cell.state_dict())
    assert torch.equal(run_sequence(cell.eval(), *inputs)[0], run_sequence(plain, *inputs)[0])


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("mode", ["default", "closed"])
def test_the_file_is_the_cell(activation, mode, tmp_path):
    layers = {"lecun_tanh": 1, "tanh": 0}.get(activation, 2)
    cell = make(
        input_size=7, output_size=4, activation=activation, mode=mode, backbone_layers=layers
    )
    policy = policy_around(cell, observation_limit=2.0 if layers == 1 else None)
    artifact = export(policy, tmp_path / "policy.onnx")
    assert_same_over_steps(policy, artifact.session, steps=200)


def test_the_graph_is_small():
    policy = policy_around(make(input_size=7, units=4, output_size=None))
    graph = onnx.load_from_string(policy_graph(policy)).graph
    assert len(graph.node) <= 16
    assert sum(node.op_type == "Gemm" for node in graph.node) == 4


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_copies_compute_the_same(activation):
    cell = make(activation=activation)
    inputs = random_inputs(cell, batch=2, steps=3)
    expected, _ = run_sequence(cell, *inputs)
    for other in (copy.deepcopy(cell), pickle.loads(pickle.dumps(cell))):
        assert other.activation is cell.activation
        assert torch.equal(run_sequence(other, *inputs)[0], expected)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"activation": "elu"}, "activation is 'elu', expected one of"),
        ({"backbone_layers": -1}, "backbone_layers is -1"),
        ({"backbone_units": 0}, "backbone_units is 0"),
        ({"backbone_dropout": 1.0}, "backbone_dropout is 1.0, expected a number from 0 to below 1"),
        ({"units": 2.5}, "units is 2.5"),
        ({"output_size": 0}, "output_size is 0"),
        ({"mode": "fast"}, "mode is 'fast'"),
    ],
)
def test_values_out_of_range(arguments, message):
    config = {"kind": "cfc_backbone", "input_size": 3, "units": 5, "nominal_dt": 0.01, **arguments}
    with pytest.raises(ValueError, match=message):
        build_cell(config, torch.Generator())
