"""The drop-in for ``ncps.torch``: its signatures, its numbers, and none of its faults."""

import copy
import inspect

import pytest
import torch
from test_export import assert_same_over_steps, export, policy_around

from liquid_control.nn import ncps as ours_torch
from liquid_control.nn.cells.activations import ACTIVATIONS
from liquid_control.nn.cells.wiring import auto_ncp

theirs_torch = pytest.importorskip("ncps.torch")
wirings = pytest.importorskip("ncps.wirings")

INPUTS = 7
MODES = ("default", "no_gate", "pure")
WIRINGS = {
    "ncp": lambda: wirings.AutoNCP(24, 3, seed=1),
    "fully_connected": lambda: wirings.FullyConnected(9, 3),
    "random": lambda: wirings.Random(9, 3, sparsity_level=0.5),
    "units": lambda: 9,
}


def pair(kind, wiring="ncp", **arguments):
    """(theirs, ours) with theirs' weights, drawn apart from where ncps begins."""
    torch.manual_seed(0)
    theirs = getattr(theirs_torch, kind)(INPUTS, WIRINGS[wiring](), **arguments)
    ours = getattr(ours_torch, kind)(INPUTS, WIRINGS[wiring](), **arguments)
    for name, parameter in theirs.named_parameters():
        if parameter.requires_grad and "erev" not in name:
            parameter.data += 0.1 * torch.rand_like(parameter)
    ours.load_state_dict(theirs.state_dict())
    return theirs.eval(), ours.eval()


def inputs(batch=4, steps=12, dtype=torch.float32):
    rng = torch.Generator().manual_seed(3)
    timespans = 0.2 + torch.rand(batch, steps, generator=rng, dtype=dtype)
    return torch.randn(batch, steps, INPUTS, generator=rng, dtype=dtype), timespans


def flat(result):
    output, state = result
    return [output, *(state if isinstance(state, tuple) else (state,))]


def assert_equal(ours, theirs, atol=2e-6):
    for mine, yours in zip(flat(ours), flat(theirs), strict=True):
        torch.testing.assert_close(mine, yours, rtol=1e-6, atol=atol)


def one_by_one(theirs, input_BTF, timespans_BT, states=None):
    """What ncps gives where its timespans work: one sample at a time."""
    results = []
    for k in range(len(input_BTF)):
        hx = None if states is None else [part[k : k + 1] for part in states]
        hx = hx if hx is None or theirs.use_mixed else hx[0]
        results.append(flat(theirs(input_BTF[k : k + 1], hx, timespans_BT[k : k + 1])))
    together = [torch.cat(parts) for parts in zip(*results)]
    return together[0], tuple(together[1:]) if len(together) > 2 else together[1]


NETWORKS = [
    *(("CfC", wiring, {"mode": mode}) for wiring in WIRINGS for mode in MODES),
    *(("CfC", "units", {"activation": name}) for name in ACTIVATIONS),
    *(("CfC", "units", {"backbone_layers": n, "backbone_units": 11}) for n in (0, 2, 3)),
    ("CfC", "units", {"backbone_layers": 3, "backbone_dropout": 0.4}),
    ("CfC", "units", {"proj_size": 2}),
    ("CfC", "ncp", {"proj_size": 5}),
    ("CfC", "units", {"mixed_memory": True, "proj_size": 2}),
    ("CfC", "ncp", {"mixed_memory": True, "mode": "pure"}),
    ("CfC", "random", {"mixed_memory": True}),
    *(("LTC", wiring, {}) for wiring in WIRINGS),
    ("LTC", "ncp", {"mixed_memory": True}),
    ("LTC", "ncp", {"ode_unfolds": 3, "epsilon": 0.3}),
    ("LTC", "ncp", {"implicit_param_constraints": False}),
    ("LTC", "ncp", {"input_mapping": "linear", "output_mapping": None}),
    ("LTC", "random", {"input_mapping": None, "output_mapping": "linear"}),
]  # fmt: skip
networks = pytest.mark.parametrize(("kind", "wiring", "arguments"), NETWORKS)


@pytest.mark.parametrize("kind", ["CfC", "LTC"])
def test_the_signature_is_theirs(kind):
    for name in ("__init__", "forward"):
        theirs, ours = (
            inspect.signature(getattr(getattr(module, kind), name)).parameters
            for module in (theirs_torch, ours_torch)
        )
        assert [(p.name, p.default) for p in ours.values()] == [
            (p.name, p.default) for p in theirs.values()
        ]


@networks
@torch.no_grad()
def test_the_numbers_are_theirs(kind, wiring, arguments):
    """A time of its own for each sample and step, a state, and the state after it."""
    theirs, ours = pair(kind, wiring, **arguments)
    input_BTF, timespans_BT = inputs()
    first = one_by_one(theirs, input_BTF, timespans_BT)
    assert_equal(ours(input_BTF, timespans=timespans_BT), first)
    states = flat(first)[1:]
    hx = tuple(states) if theirs.use_mixed else states[0]
    assert_equal(
        ours(input_BTF, hx, timespans_BT[..., None]),
        one_by_one(theirs, input_BTF, timespans_BT, states),
    )
    assert_equal(ours(input_BTF), theirs(input_BTF))


@networks
@torch.no_grad()
def test_weights_go_back(kind, wiring, arguments):
    theirs, ours = pair(kind, wiring, **arguments)
    again = getattr(theirs_torch, kind)(INPUTS, WIRINGS[wiring](), **arguments).eval()
    fresh = getattr(ours_torch, kind)(INPUTS, WIRINGS[wiring](), **arguments).eval()
    again.load_state_dict(fresh.ncps_state_dict())
    input_BTF, _ = inputs()
    assert_equal(fresh(input_BTF), again(input_BTF))
    given = ours.ncps_state_dict()
    for name, value in theirs.state_dict().items():
        exists = given[name] != 0  # theirs has numbers for synapses that are not there, too
        torch.testing.assert_close(given[name][exists], value[exists], rtol=0, atol=1e-6)
    own = getattr(ours_torch, kind)(INPUTS, WIRINGS[wiring](), **arguments).eval()
    own.load_state_dict(ours.state_dict())
    assert_equal(own(input_BTF), ours(input_BTF), atol=0)


@pytest.mark.parametrize("mixed", [False, True])
@pytest.mark.parametrize("return_sequences", [False, True])
@pytest.mark.parametrize("kind", ["CfC", "LTC"])
@torch.no_grad()
def test_shapes_without_a_batch_and_with_time_first(kind, return_sequences, mixed):
    options = {"return_sequences": return_sequences, "mixed_memory": mixed}
    theirs, ours = pair(kind, **options)
    input_BTF, timespans_BT = inputs()
    x, t = input_BTF[0], timespans_BT[0]
    expected = theirs(x, timespans=t)
    assert_equal(ours(x, timespans=t), expected)
    assert_equal(ours(x, timespans=t[:, None]), expected)
    hx = expected[1]
    assert_equal(ours(x, hx, t), theirs(x, hx, t))
    theirs, ours = pair(kind, batch_first=False, **options)
    shared = timespans_BT[:1].T  # (T, 1): the same time for all, which ncps can
    expected = theirs(input_BTF.transpose(0, 1), timespans=shared)
    assert_equal(ours(input_BTF.transpose(0, 1), timespans=shared), expected)
    assert_equal(ours(input_BTF.transpose(0, 1), timespans=shared[:, 0]), expected)
    of_batch = ours(input_BTF.transpose(0, 1), timespans=timespans_BT.T)
    assert of_batch[0].shape == expected[0].shape
    output, _ = ours(x, timespans=t)
    assert output.shape == ((12, 3) if return_sequences else (3,))


@pytest.mark.parametrize(("kind", "wiring"), [("CfC", "units"), ("CfC", "ncp"), ("LTC", "ncp")])
def test_gradients_are_theirs(kind, wiring):
    theirs, ours = pair(kind, wiring)
    given = [inputs()[0].requires_grad_() for _ in range(2)]
    for network, x in zip((theirs, ours), given):
        network(x)[0].square().sum().backward()
    torch.testing.assert_close(given[1].grad, given[0].grad, rtol=1e-4, atol=1e-5)
    if wiring == "units":
        for name in ("ff1", "time_b"):
            k = {"ff1": 0, "time_b": 3}[name]
            expected = getattr(theirs.rnn_cell, name).weight.grad
            torch.testing.assert_close(
                ours.cell.weight[1].grad.chunk(4)[k], expected, rtol=1e-4, atol=1e-5
            )


def test_a_wiring_is_not_drawn_into_again():
    """In ncps a second network on a wiring adds synapses to it."""
    wiring = WIRINGS["ncp"]()
    ours_torch.CfC(INPUTS, wiring)
    before = wiring.adjacency_matrix.copy()
    ours_torch.LTC(INPUTS, wiring)
    assert (wiring.adjacency_matrix == before).all()
    theirs_torch.LTC(INPUTS, wiring)
    assert (wiring.adjacency_matrix != before).any(), "ncps is repaired: say so in the docs"


def test_a_wiring_of_ours():
    wiring = auto_ncp(sensory=INPUTS, units=24, motor=3, rng=0)
    for kind in ("CfC", "LTC"):
        network = getattr(ours_torch, kind)(INPUTS, wiring)
        output, hx = network(inputs()[0])
        assert output.shape == (4, 12, 3)
        assert hx.shape == (4, 24)
        torch.testing.assert_close(hx[:, 21:], output[:, -1])


def test_counts_of_synapses():
    theirs, ours = pair("LTC")
    assert ours.synapse_count == theirs.synapse_count
    sensory = abs(theirs._wiring.sensory_adjacency_matrix).sum()
    assert ours.sensory_synapse_count == sensory != theirs.sensory_synapse_count


@torch.no_grad()
def test_no_time_and_float64():
    """An LTC of ncps gives NaN for no time."""
    theirs, ours = pair("LTC")
    input_BTF, _ = inputs(batch=1)
    none = torch.zeros(1, 12)
    assert theirs(input_BTF, timespans=none)[0].isnan().any()
    hx = torch.randn(1, 24)
    torch.testing.assert_close(ours(input_BTF, hx, none)[1], hx)
    for kind in ("CfC", "LTC"):
        output, hx = getattr(ours_torch, kind)(INPUTS, 9).double()(inputs(dtype=torch.float64)[0])
        assert output.dtype == hx.dtype == torch.float64


@pytest.mark.parametrize("kind", ["CfC", "LTC"])
@torch.no_grad()
def test_one_number_is_the_time_of_all_steps(kind):
    _, ours = pair(kind)
    x, _ = inputs()
    assert_equal(ours(x, timespans=0.5), ours(x, timespans=torch.full((4, 12), 0.5)), atol=0)
    assert_equal(ours(x, timespans=torch.tensor(2)), ours(x, timespans=2.0), atol=0)


@pytest.mark.parametrize("kind", ["CfC", "LTC"])
@torch.no_grad()
def test_half_precision_and_functional_calls(kind):
    """ncps's LTC takes no weights from a call."""
    ours = getattr(ours_torch, kind)(INPUTS, WIRINGS["ncp"]())
    x = inputs()[0]
    whole = ours(x)[0]
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(ours(x)[0], whole)
    with pytest.raises(ValueError, match=r"are of torch\.bfloat16, expected torch\.float32"):
        copy.deepcopy(ours).bfloat16()(x.bfloat16())
    zero = {name: torch.zeros_like(value) for name, value in ours.named_parameters()}
    assert not torch.equal(torch.func.functional_call(ours, zero, (x,))[0], ours(x)[0])


@pytest.mark.parametrize("wiring", ["ncp", "units"])
def test_every_weight_of_pure_trains(wiring):
    network = ours_torch.CfC(INPUTS, WIRINGS[wiring](), mode="pure")
    network(inputs()[0])[0].sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad.abs().max() > 0, name


def test_weights_are_constrained_where_softplus_does_not():
    network = ours_torch.LTC(INPUTS, 9, implicit_param_constraints=False, mixed_memory=True)
    network.cell.cell.gleak.data.fill_(-1.0)
    network.apply_weight_constraints()
    assert (network.cell.cell.gleak == 0).all()


@pytest.mark.parametrize("units", [lambda: 4, lambda: wirings.AutoNCP(12, 4)])
def test_the_cell_flies(units, tmp_path):
    """A network that was trained with ncps becomes a policy."""
    network = ours_torch.CfC(INPUTS, units())
    network.load_state_dict(theirs_torch.CfC(INPUTS, units()).state_dict())
    policy = policy_around(network.cell)
    artifact = export(policy, tmp_path / "policy.onnx")
    assert_same_over_steps(policy, artifact.session, steps=50)


def test_torch_seeds_the_weights():
    def output():
        torch.manual_seed(4)
        return ours_torch.CfC(INPUTS, 9, mixed_memory=True)(inputs()[0])[0]

    assert torch.equal(output(), output())


def test_copies_and_submodules_load():
    theirs, ours = pair("CfC", "units", mixed_memory=True, proj_size=2)
    model, other = torch.nn.Sequential(), torch.nn.Sequential()
    model.add_module("rnn", copy.deepcopy(ours))
    other.add_module("rnn", theirs)
    for parameter in model.parameters():
        parameter.data.zero_()
    model.load_state_dict(other.state_dict())
    assert_equal(model.rnn(inputs()[0]), theirs(inputs()[0]))


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: ours_torch.CfC(INPUTS, WIRINGS["ncp"](), backbone_units=3), "backbone_units': 3"),
        (lambda: ours_torch.CfC(INPUTS, 9, mode="fast"), "mode is 'fast'"),
        (lambda: ours_torch.CfC(INPUTS, 9, activation="elu"), "activation is 'elu'"),
        (lambda: ours_torch.CfC(INPUTS, 9.5), "units is 9.5"),
        (lambda: ours_torch.CfC(0, 9), "input_size is 0"),
        (lambda: ours_torch.CfC(INPUTS, 9, backbone_dropout=1.0), "backbone_dropout is 1.0"),
        (lambda: ours_torch.LTC(INPUTS, 9, epsilon=-1.0), "epsilon is -1.0"),
        (lambda: ours_torch.LTC(INPUTS, 9, ode_unfolds=0), "unfolds is 0"),
        (lambda: ours_torch.LTC(INPUTS, 9, input_mapping="sine"), "input_mapping is 'sine'"),
        (lambda: ours_torch.LTC(INPUTS, auto_ncp(sensory=3, units=9, motor=2, rng=0)),
         "input_size is 7, expected 3"),
        (lambda: ours_torch.LTC(None, WIRINGS["ncp"]()), "not built"),
    ],
)  # fmt: skip
def test_arguments_that_do_not_fit(build, message):
    with pytest.raises(ValueError, match=message):
        build()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"input": torch.zeros(7)}, r"input has shape \(7,\)"),
        ({"timespans": torch.ones(4, 11)}, r"timespans have shape \(4, 11\), expected \(4, 12\)"),
        ({"timespans": torch.ones(4, 12, 9)}, r"timespans have shape \(4, 12, 9\)"),
        ({"timespans": torch.ones(5, 12)}, r"timespans have shape \(5, 12\)"),
        ({"hx": torch.zeros(9)}, r"hx has shape \(9,\), expected 2 dimensions"),
        ({"hx": torch.zeros(1, 9)}, r"state has shape \(1, 9\)"),
        ({"hx": (torch.zeros(4, 9),) * 2}, "hx is a tuple of 2, expected a tensor"),
    ],
)
def test_calls_that_do_not_fit(arguments, message):
    given = {"input": inputs()[0], **arguments}
    with pytest.raises(ValueError, match=message):
        ours_torch.CfC(INPUTS, 9)(**given)


def test_mixed_memory_wants_a_pair():
    with pytest.raises(ValueError, match="hx is a Tensor, expected a pair"):
        ours_torch.CfC(INPUTS, 9, mixed_memory=True)(inputs()[0], torch.zeros(4, 9))


def test_weights_of_another_network_are_named():
    ours = ours_torch.CfC(INPUTS, 9)
    with pytest.raises(RuntimeError, match=r"ff1.weight has shape \(8, 128\), expected \(9, 128\)"):
        ours.load_state_dict(theirs_torch.CfC(INPUTS, 8).state_dict())


# The cells: one step


def cell_pair(kind, wiring="ncp", **arguments):
    """(theirs, ours) with theirs' weights."""
    torch.manual_seed(0)
    if kind == "CfCCell":
        size = (INPUTS, 9)
    elif kind == "WiredCfCCell":
        size = (INPUTS, WIRINGS[wiring]())
    else:
        size = (WIRINGS[wiring](), INPUTS)
    theirs = getattr(theirs_torch, kind)(*size, **arguments)
    ours = getattr(ours_torch, kind)(*copy.deepcopy(size), **arguments)
    for name, parameter in theirs.named_parameters():
        if parameter.requires_grad and "erev" not in name:
            parameter.data += 0.1 * torch.rand_like(parameter)
    ours.load_state_dict(theirs.state_dict())
    return theirs.eval(), ours.eval()


cells = pytest.mark.parametrize(
    ("kind", "wiring", "arguments"),
    [
        *(("CfCCell", "units", {"mode": mode}) for mode in MODES),
        ("CfCCell", "units", {"backbone_layers": 0}),
        ("CfCCell", "units", {"backbone_activation": "silu", "backbone_layers": 2}),
        *(("WiredCfCCell", "ncp", {"mode": mode}) for mode in MODES),
        ("WiredCfCCell", "random", {}),
        *(("LTCCell", wiring, {}) for wiring in ("ncp", "random", "fully_connected")),
        ("LTCCell", "ncp", {"implicit_param_constraints": True, "ode_unfolds": 3}),
        ("LTCCell", "random", {"input_mapping": None, "output_mapping": "linear"}),
    ],
)


@cells
@torch.no_grad()
def test_the_steps_of_a_cell_are_theirs(kind, wiring, arguments):
    """Over several steps, with one time for all samples and with a time for each."""
    theirs, ours = cell_pair(kind, wiring, **arguments)
    input_BTF, timespans_BT = inputs()
    size = 9 if kind == "CfCCell" else theirs.state_size
    states = [torch.randn(4, size)] * 2
    for input_BF, ts in zip(input_BTF.unbind(1), (0.5, *timespans_BT[:, 1:, None].unbind(1))):
        results = [cell(input_BF, hx, ts) for cell, hx in zip((theirs, ours), states)]
        assert_equal(results[1], results[0])
        states = [result[1] for result in results]


@cells
@torch.no_grad()
def test_the_weights_of_a_cell_go_back(kind, wiring, arguments):
    theirs, ours = cell_pair(kind, wiring, **arguments)
    given = ours.ncps_state_dict()
    for name, value in theirs.state_dict().items():
        exists = given[name] != 0
        torch.testing.assert_close(given[name][exists], value[exists], rtol=0, atol=1e-6)
    theirs.load_state_dict(given)
    own = copy.deepcopy(ours)
    own.load_state_dict(ours.state_dict())
    x, hx = torch.randn(3, INPUTS), torch.randn(3, ours.state_size)
    assert_equal(own(x, hx, 0.7), ours(x, hx, 0.7), atol=0)


@pytest.mark.parametrize("kind", ["CfCCell", "WiredCfCCell", "LTCCell"])
def test_the_signature_of_a_cell_is_theirs(kind):
    for name in ("__init__", "forward"):
        theirs, ours = (
            inspect.signature(getattr(getattr(module, kind), name)).parameters
            for module in (theirs_torch, ours_torch)
        )
        assert [(p.name, p.default) for p in ours.values()] == [
            (p.name, p.default) for p in theirs.values()
        ]
    public = {name for name in dir(ours_torch) if name in dir(theirs_torch) and name[0] != "_"}
    assert {"CfC", "CfCCell", "LTC", "LTCCell", "WiredCfCCell"} <= public


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ours_torch.CfCCell(INPUTS, 9, sparsity_mask=torch.ones(9, 16)), "sparsity_mask"),
        (lambda: ours_torch.CfCCell(INPUTS, 9, mode="fast"), "mode is 'fast'"),
        (lambda: ours_torch.CfCCell(INPUTS, 9)(torch.zeros(INPUTS), torch.zeros(9), 1.0),
         r"input has shape \(7,\)"),
        (lambda: ours_torch.CfCCell(INPUTS, 9)(torch.zeros(2, INPUTS), torch.zeros(2, 9),
         torch.ones(2, 9)), r"ts has shape \(2, 9\), expected one number"),
        (lambda: ours_torch.CfCCell(INPUTS, 9)(torch.zeros(2, INPUTS), torch.zeros(3, 9), 1.0),
         r"state has shape \(3, 9\)"),
    ],
)  # fmt: skip
def test_steps_that_do_not_fit(call, message):
    with pytest.raises(ValueError, match=message):
        call()
