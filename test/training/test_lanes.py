"""Compiled windows: the same loss and gradient as step by step in torch, for every network."""

import numpy as np
import pytest
import torch

from liquid_control.config import share_dir
from liquid_control.control.observation import forget_slot, register_slot
from liquid_control.nn.cells.zoo import KINDS
from liquid_control.structs import Slot
from liquid_control.training.config import load_training
from liquid_control.training.gradient import GradientTrainer
from liquid_control.training.lanes import build as building
from liquid_control.training.lanes import policy as policies
from liquid_control.training.lanes.adjoint import adjoints
from liquid_control.training.lanes.build import CannotBuild, build, compiler
from liquid_control.training.lanes.source import LANES, Function, Output
from liquid_control.training.lanes.symbols import Tape, maximum, minimum, where
from liquid_control.training.run import train

pytestmark = pytest.mark.skipif(compiler() is None, reason="needs a C++ compiler")
CONFIG = share_dir() / "config" / "training" / "hover_base.yaml"
WIRING = {"kind": "auto_ncp", "units": 16, "sparsity": 0.5, "seed": 3}
MODES = ("closed", "default", "no_gate", "pure", "ctrnn", "leaky")
PLAIN = ("mlp", "rnn", "lstm", "gru", "neural_ode", "ode_rnn")
TIME = {"nominal_dt": 0.01}
NETWORKS = {
    **{mode: {"kind": "cfc", "mode": mode, "wiring": WIRING, **TIME} for mode in MODES},
    **{kind: {"kind": kind, "units": 6, **TIME} for kind in PLAIN},
    "gru, dt": {"kind": "gru", "units": 6, "dt_input": True, **TIME},
    "dense": {
        "kind": "cfc",
        "mode": "closed",
        "wiring": {"kind": "fully_connected", "units": 9, "seed": 3},
        **TIME,
    },
    "fixed": {"kind": "cfc", "mode": "closed", "polarity": "fixed", "wiring": WIRING, **TIME},
    "nominal": {"kind": "nominal_time", "cell": {"kind": "lstm", "units": 6, **TIME}},
    "ltc": {"kind": "ltc", "unfolds": 2, "wiring": WIRING, **TIME},
    "backbone": {"kind": "cfc_backbone", "units": 6, "backbone_units": 5, **TIME},
    "memory": {
        "kind": "mixed_memory",
        "cell": {"kind": "cfc", "mode": "default", "wiring": WIRING, **TIME},
    },
}
IN_TORCH = {  # what a trace doesn't know, or would be too long
    **{kind: {"kind": kind, "units": 6, **TIME} for kind in ("gru_decay", "ct_gru")},
    "geometric": {"kind": "geometric", "integral": True, "observer": True},
}


@pytest.fixture
def no_torch_compiler(monkeypatch):
    """What torch would compile runs as it is, which takes milliseconds in place of a minute."""
    monkeypatch.setattr(torch, "compile", lambda function, **_: function)


def small(network=None, **optimiser):
    settings = {"updates": 4, "environments": 24, "window": 12, "warmup": 1, **optimiser}
    config = load_training(CONFIG, {f"optimiser.{key}": value for key, value in settings.items()})
    return config.model_copy(update={"network": network or NETWORKS["closed"]})


def windows(trainer) -> tuple[list[float], list[torch.Tensor]]:
    """Losses of three windows, and the weights' gradient of the last one."""
    losses = []
    for _ in range(3):
        trainer.optimiser.zero_grad()
        loss, *_ = trainer._window()
        loss.backward()
        losses.append(float(loss.detach()))
    return losses, [p.grad for p in trainer.policy.parameters()]


def assert_as_in_torch(config, kind: str) -> None:
    expected, wanted = windows(GradientTrainer(config, compiled=False))
    trainer = GradientTrainer(config, compiled=True)
    assert trainer.compiled_by == kind
    losses, gradients = windows(trainer)
    assert losses == pytest.approx(expected, rel=2e-6)
    largest = max(float(gradient.norm()) for gradient in wanted)
    for gradient, reference in zip(gradients, wanted, strict=True):
        assert (
            float((gradient - reference).norm()) < 1e-4 * float(reference.norm()) + 1e-6 * largest
        )


@pytest.mark.parametrize("name", NETWORKS)
def test_loss_and_gradient_are_those_of_torch(name):
    assert_as_in_torch(small(NETWORKS[name]), "lanes")


@pytest.mark.parametrize("name", IN_TORCH)
def test_a_network_that_is_not_traced_runs_in_torch_between_the_lanes(name, no_torch_compiler):
    assert_as_in_torch(small(IN_TORCH[name]), "lanes, torch")


def test_what_a_run_may_vary_besides_is_that_of_torch():
    config = small()
    wide = {
        **{"rate_gain": (0.3, 3.0), "max_thrust": (0.7, 1.8), "push": (1.0, 8.0)},
        **{"max_gain_lag": 0.9, "min_thrust_to_weight": 1.6},
        "noise": config.randomisation.noise.model_copy(update={"attitude_bias": 0.05}),
    }
    random = config.randomisation.model_copy(update=wide)
    assert_as_in_torch(config.model_copy(update={"randomisation": random}), "lanes")


def test_a_cost_by_lateness_is_that_of_torch():
    config = small()
    loss = config.loss.model_copy(update={"lateness": 10.0})
    assert_as_in_torch(config.model_copy(update={"loss": loss}), "lanes")


def test_a_gradient_that_fades_is_that_of_torch():
    assert_as_in_torch(small(gradient_horizon=0.1), "lanes")


def test_every_network_is_tried():
    tried = {config["kind"] for config in (*NETWORKS.values(), *IN_TORCH.values())}
    assert tried >= set(KINDS) - {"readout"}  # a policy's command is bounded


def test_a_batch_that_fills_no_vector_counts_its_environments_alone():
    for environments in (1, LANES - 1, LANES, LANES + 1):
        assert_as_in_torch(small(environments=environments), "lanes")


def test_a_compiled_run_that_was_cut_ends_as_one_that_was_not(tmp_path):
    import yaml

    file = tmp_path / "run.yaml"
    file.write_text(yaml.safe_dump(small().model_dump(mode="json"), sort_keys=False))
    train(file, tmp_path / "whole")

    def cut(progress):
        if progress.update == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(file, tmp_path / "cut", on_progress=cut)
    train(file, tmp_path / "cut")
    ends = [torch.load(tmp_path / run / "checkpoint.pt") for run in ("whole", "cut")]
    a, b = (end["trainer"]["policy"] for end in ends)
    assert all(torch.equal(a[name], b[name]) for name in a)


def test_an_observation_that_is_not_traced_leaves_the_step_to_torch(no_torch_compiler):
    row = register_slot(
        Slot("tilt", 1, "rad", "world"), lambda s: [torch.as_tensor(s.quat_world_body[3]).acos()]
    )
    try:
        config = small()
        config = config.model_copy(update={"observation": {**config.observation, "tilt": 1.0}})
        trainer = GradientTrainer(config, compiled=True)
        assert trainer.compiled_by == "torch"
        loss, *_ = trainer._window()
        assert torch.isfinite(loss)
    finally:
        forget_slot(row)


def test_functions_and_their_derivatives_are_those_of_torch():
    formulas = {
        "arithmetic": lambda x, y: (x * y - 2.0 * x + y) / (y * y + 1.5) - (-x) ** 2,
        "roots": lambda x, y: (x * x + 0.3) ** 0.5 * abs(y) + (y * y + 0.1).sqrt(),
        "waves": lambda x, y: (3.0 * x).sin() * (50.0 * y).cos(),
        "curves": lambda x, y: (2.0 * x).exp() + (3.0 * y).tanh() + (4.0 * x).sigmoid(),
        "small": lambda x, y: (0.01 * x).expm1() * 100.0 + (0.01 * y).tanh() * 100.0,
    }
    tape = Tape()
    x, y = tape.read("x", 1)[0], tape.read("y", 1)[0]
    results = [formula(x, y) for formula in formulas.values()]
    results.append(where(x < y, maximum(x, 0.2) * y, minimum(y, 0.1) * x))
    outputs = [Output("out", row, value) for row, value in enumerate(results)]
    for row, result in enumerate(results):
        for column, adjoint in enumerate(adjoints([result], [1.0], [x, y])):
            outputs.append(Output("grad", 2 * row + column, adjoint))
    function = build({"f": Function(("x", "y", "out", "grad"), outputs)})["f"]

    lanes = 4 * LANES
    a, b = (2 * torch.rand(2, lanes, generator=torch.Generator().manual_seed(0)) - 1).unbind()
    out, grad = torch.empty(len(results), lanes), torch.empty(2 * len(results), lanes)
    function(lanes, *(tensor.data_ptr() for tensor in (a, b, out, grad)))
    a, b = a.double().requires_grad_(), b.double().requires_grad_()
    expected = [formula(a, b) for formula in formulas.values()]
    expected.append(torch.where(a < b, a.clamp(min=0.2) * b, b.clamp(max=0.1) * a))
    for row, value in enumerate(expected):
        assert torch.allclose(out[row].double(), value, rtol=2e-6, atol=2e-6)
        for column, wanted in enumerate(torch.autograd.grad(value.sum(), (a, b))):
            got = grad[2 * row + column].double()
            assert torch.allclose(got, wanted, rtol=2e-5, atol=2e-5), (row, column)


def test_what_is_not_a_number_stays_so():
    tape = Tape()
    x = tape.read("x", 1)[0]
    results = [x.exp(), x.sin(), x.tanh(), x.sigmoid(), maximum(x, 0.0), minimum(x, 0.0), x.sqrt()]
    outputs = [Output("out", row, value) for row, value in enumerate(results)]
    function = build({"f": Function(("x", "out"), outputs)})["f"]
    values, out = torch.full((LANES,), torch.nan), torch.zeros(len(results), LANES)
    function(LANES, values.data_ptr(), out.data_ptr())
    assert out.isnan().all()


def test_a_formula_that_branches_can_not_be_traced():
    x = Tape().read("x", 1)[0]
    with pytest.raises(TypeError, match="branches"):
        max(x, 0.0)
    with pytest.raises(TypeError, match="arctan2 can't be traced"):
        np.arctan2(x, 1.0)
    with pytest.raises(TypeError, match="power 3"):
        x**3


def test_a_library_is_compiled_once_and_errors_name_the_compiler(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    tape = Tape()
    outputs = [Output("out", 0, tape.read("x", 1)[0] * 3.0)]
    functions = {"f": Function(("x", "out"), outputs)}
    compiled, compile_one = [], building._compile
    monkeypatch.setattr(
        building, "_compile", lambda *args: (compiled.append(1), compile_one(*args))
    )
    build(functions)
    build(functions)
    assert len(compiled) == 1
    monkeypatch.setattr(building, "FLAGS", ("--no-such-flag",))
    with pytest.raises(CannotBuild, match="no-such-flag"):
        build(functions)
    monkeypatch.setattr(building, "compiler", lambda: None)
    with pytest.raises(CannotBuild, match="no C\\+\\+ compiler"):
        build(functions)


def test_weights_of_synapses_that_do_not_exist_are_left_out():
    trainer = GradientTrainer(small(), compiled=True)
    policy = trainer.lanes.policy
    assert isinstance(policy, policies.LanesPolicy)
    used = sum(int(weight.ne(0).sum()) for weight in trainer.policy.weights())
    biases = sum(bias.numel() for bias in trainer.policy.cell.bias)  # some start at zero
    assert used <= len(policy._there) <= used + biases
    assert trainer.policy.cell.parameter_count() <= len(policy._there)
