"""The compiled kernels compute what torch computes, gradients included."""

import os
import shutil
import subprocess
import sys
import textwrap
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from networks import MODES, WIRING_NAMES, make_cell, random_inputs

from liquid_control.nn.cells.sequence import run_sequence
from liquid_control.nn.kernels.calls import Scratch

pytest.importorskip("numba")
import numba

from liquid_control.nn.kernels import cfc as kernel_cfc
from liquid_control.nn.kernels import ltc as kernel_ltc
from liquid_control.nn.kernels import simd

NAMES = [*(f"cfc-{mode}" for mode in MODES), "ncps-default", "ltc-fused"]


def with_gradients(cell, inputs, masks, compiled):
    values = [value.clone().requires_grad_() for value in inputs]
    output, state = run_sequence(cell, *values, **masks, compiled=compiled)
    rng = torch.Generator().manual_seed(0)
    loss = (output * torch.randn(output.shape, generator=rng, dtype=output.dtype)).sum()
    gradients = torch.autograd.grad(
        loss + state.square().sum(), [*values, *cell.parameters()], materialize_grads=True
    )
    return output, state, *gradients


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 2e-5), (torch.float64, 1e-11)])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("wiring", WIRING_NAMES)
@pytest.mark.parametrize("name", NAMES)
def test_kernel_equals_torch_with_gradients(name, wiring, masked, dtype, tolerance, monkeypatch):
    called = []
    for module, function in ((kernel_cfc, "CfCSequence"), (kernel_ltc, "LTCSequence")):
        apply = getattr(module, function).apply
        monkeypatch.setattr(
            getattr(module, function), "apply", lambda *a, f=apply: called.append(1) or f(*a)
        )
    cell = make_cell(name, wiring).to(dtype)
    inputs = random_inputs(
        cell, batch=37, steps=19, dtype=dtype
    )  # part of a vector, and of a chunk
    if name == "cfc-pure":  # h is not in its bounds, and magnifies rounding
        tolerance *= 20
        inputs[0].mul_(0.3)
    masks = {}
    if masked:
        rng = torch.Generator().manual_seed(1)
        masks = {
            "observed_BT": torch.rand(37, 19, generator=rng) > 0.3,
            "reset_BT": torch.rand(37, 19, generator=rng) > 0.8,
        }
    ours = with_gradients(cell, inputs, masks, compiled=True)
    assert called, "the kernel was not used"
    for mine, theirs in zip(ours, with_gradients(cell, inputs, masks, compiled=False)):
        scale = 1.0 + theirs.detach().abs().max().item()
        torch.testing.assert_close(mine, theirs, rtol=0, atol=tolerance * scale)


@pytest.mark.filterwarnings("ignore:`torch.jit.script`")  # torch's own, of forward mode
@pytest.mark.parametrize("name", ["cfc-closed", "cfc-default", "ltc-fused"])
def test_second_derivatives_are_refused_and_not_wrong(name):
    cell = make_cell(name).double()
    x_BTF, h_BH, dt_BT1 = random_inputs(cell, batch=2, steps=3, dtype=torch.float64)

    def total(x, compiled):
        return run_sequence(cell, x, h_BH, dt_BT1, compiled=compiled)[0].sum()

    hessian = torch.autograd.functional.hessian
    assert hessian(lambda x: total(x, False), x_BTF).abs().max() > 1e-3
    with pytest.raises(RuntimeError, match=r"no second derivatives.*compiled=False"):
        hessian(lambda x: total(x, True), x_BTF)
    # forward-mode derivatives and transforms go through torch
    tangent = torch.func.jvp(lambda x: total(x, True), (x_BTF,), (torch.ones_like(x_BTF),))[1]
    expected = torch.autograd.functional.jvp(
        lambda x: total(x, False), x_BTF, torch.ones_like(x_BTF)
    )[1]
    torch.testing.assert_close(tangent, expected)


@pytest.mark.parametrize("name", ["cfc-closed", "cfc-default", "ltc-fused"])
def test_without_gradients_a_kernel_keeps_two_steps_and_computes_the_same(name, monkeypatch):
    cell, rooms = make_cell(name), []
    inputs = random_inputs(cell, batch=37, steps=19)
    masks = {"observed_BT": torch.rand(37, 19, generator=torch.Generator().manual_seed(0)) > 0.3}
    expected = run_sequence(cell, *inputs, **masks)
    make = Scratch.__init__
    monkeypatch.setattr(
        Scratch,
        "__init__",
        lambda self, shape, dtype: rooms.append(shape) or make(self, shape, dtype),
    )
    with torch.no_grad():
        torch.testing.assert_close(run_sequence(cell, *inputs, **masks), expected, rtol=0, atol=0)
    assert rooms
    assert not any(19 in shape for shape in rooms)


@pytest.mark.parametrize("name", ["cfc-closed", "ltc-fused"])
def test_an_empty_batch_has_a_gradient(name):
    cell = make_cell(name)
    output, state = run_sequence(cell, *random_inputs(cell, batch=0, steps=3))
    assert output.shape == (0, 3, 4)
    (output.sum() + state.sum()).backward()
    assert all((p.grad == 0).all() for p in cell.parameters() if p.grad is not None)


def test_kernels_work_where_nothing_can_be_written():
    """An installation that is read-only, for a user without a home."""
    work = """
        from numba.core import caching
        for locator in caching.CacheImpl._locator_classes:
            locator.from_function = classmethod(lambda cls, function, file: None)
        from networks import make_cell, random_inputs
        from liquid_control.nn.cells.sequence import run_sequence
        from liquid_control.sim.compiled import compile_kernel
        from liquid_control.sim.sensors.imu import strapdown
        cell = make_cell("cfc-closed")
        assert cell.compiled_sequence(*random_inputs(cell, 2, 2), None, None) is not None
        compile_kernel(strapdown)
    """
    result = in_a_process(work)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("kind", ["rnn", "lstm", "gru", "readout"])
def test_fused_baselines_equal_their_steps(kind):
    cell = make_cell(kind, "none").double()
    inputs = random_inputs(cell, batch=3, steps=6, dtype=torch.float64)
    assert cell.compiled_sequence(*inputs, None, None) is not None
    ours = with_gradients(cell, inputs, {}, compiled=True)
    for mine, theirs in zip(ours, with_gradients(cell, inputs, {}, compiled=False)):
        torch.testing.assert_close(mine, theirs)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("ours", "theirs", "low"),
    [
        (simd.exp, np.exp, -87.0),
        (simd.sigmoid, lambda x: 1.0 / (1.0 + np.exp(-x)), -80.0),
        (simd.tanh, np.tanh, -80.0),
    ],
)
def test_elementary_functions(ours, theirs, low, dtype):
    @numba.njit
    def apply(values, result):
        for k in range(values.shape[0]):
            simd.store(ours(simd.load(values, (k, 0))), result, (k, 0))

    values = np.linspace(low, 80.0, 3_200 * simd.LANES).astype(dtype).reshape(-1, simd.LANES)
    exact = theirs(values.astype(np.float64))
    result = np.empty_like(values)
    apply(values, result)
    np.testing.assert_allclose(result, exact, rtol=4e-7, atol=2e-7)
    values[0, :3] = np.nan, np.inf, -np.inf
    apply(values, result)
    assert np.isnan(result[0, 0])
    limits = theirs(np.array([88.0, -87.0]))
    if dtype == np.float32 or ours is not simd.exp:  # in float64 it goes on to infinity
        np.testing.assert_allclose(result[0, 1:3], limits, rtol=1e-5, atol=1e-30)
    np.testing.assert_allclose(result[0, 3:], exact[0, 3:], rtol=4e-7, atol=2e-7)


def test_vectors_compute_lane_by_lane():
    @numba.njit
    def apply(values, mask, result):
        x, y = simd.load(values, (0, 0)), simd.load(values, (1, 0))
        simd.store(2.0 * x - y / (1.0 + simd.size(x)), result, (0, 0))
        simd.store(simd.sign(x), result, (1, 0))
        simd.store(simd.select(mask, (0, 1), x, 0.5), result, (2, 0))
        simd.store(simd.splat(values[0, 1]), result, (3, 0))
        return simd.total(x)

    rng = np.random.default_rng(0)
    values = rng.standard_normal((2, simd.LANES))
    values[0, 0] = 0.0
    mask = rng.random((1, simd.LANES + 1)) > 0.5
    x, y = values
    result = np.empty((4, simd.LANES))
    assert apply(values, mask, result) == pytest.approx(x.sum())
    expected = 2 * x - y / (1 + abs(x)), np.sign(x), np.where(mask[0, 1:], x, 0.5), x[1] + 0 * x
    np.testing.assert_allclose(result, expected, rtol=1e-14)


def test_scratch_is_used_again_only_after_release(monkeypatch):
    monkeypatch.setattr(Scratch, "_free", {})
    first = Scratch((100, 7), np.dtype(np.float32))
    second = Scratch((100, 7), np.dtype(np.float32))
    assert not np.shares_memory(first.array, second.array)
    memory = first.array
    del first
    third = Scratch((100, 7), np.dtype(np.float32))
    assert np.shares_memory(memory, third.array)


def test_threads_share_no_scratch(monkeypatch):
    """Each writes its name into arrays of all sizes and finds it again, whoever gives back when.

    Threads change at every line of ``Scratch``, where they otherwise do so once in a long while.
    """
    monkeypatch.setattr(Scratch, "_free", type(Scratch._free)())
    monkeypatch.setattr(Scratch, "_kept", 2**20)
    of_scratch = Scratch.__init__.__code__.co_filename
    failures, barrier = [], threading.Barrier(4)

    def change_threads(frame, event, argument):
        time.sleep(0)
        return change_threads if frame.f_code.co_filename == of_scratch else None

    def work(name):
        rng = np.random.default_rng(name)
        try:
            barrier.wait()
            for _ in range(20):
                sizes = [int(2**power) for power in rng.uniform(0, 12, size=10)]
                held = [Scratch((size,), np.dtype(np.float64)) for size in sizes]
                for mine in held:
                    mine.array[:] = name
                time.sleep(0)
                assert all((mine.array == name).all() for mine in held)
                del held, mine
        except BaseException as error:
            failures.append(error)

    before = threading.gettrace()
    threading.settrace(change_threads)
    try:
        threads = [threading.Thread(target=work, args=(name,)) for name in range(1, 5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        threading.settrace(before)
    assert not failures


@pytest.mark.parametrize("name", ["cfc-closed", "ltc-fused"])
def test_threads_train_at_once(name):
    cell = make_cell(name)
    sets = [random_inputs(cell, batch=8 * k, steps=5 + k, seed=k) for k in range(1, 5)]
    wanted = [torch.autograd.grad(run_sequence(cell, *s)[0].sum(), cell.parameters()) for s in sets]
    barrier = threading.Barrier(len(sets))

    def work(inputs):
        barrier.wait()
        return [
            torch.autograd.grad(run_sequence(cell, *inputs)[0].sum(), cell.parameters())
            for _ in range(30)
        ]

    with ThreadPoolExecutor(len(sets)) as pool:
        for found, expected in zip(pool.map(work, sets), wanted):
            for slopes in found:
                assert all(map(torch.equal, slopes, expected))


def test_scratch_keeps_no_more_than_it_may(monkeypatch):
    monkeypatch.setattr(Scratch, "_free", {})
    monkeypatch.setattr(Scratch, "_kept", 2**20)
    for size in range(1, 60):
        held = [Scratch((size, 2**10), np.dtype(np.float32)) for _ in range(5)]
        del held
        kept = sum(array.nbytes for arrays in Scratch._free.values() for array in arrays)
        assert 0 < kept <= 2**20


def test_two_sequences_in_flight_keep_their_own_values():
    cell = make_cell("cfc-closed", "ncp")
    first, second = (random_inputs(cell, batch=8, steps=5, seed=seed) for seed in (0, 1))
    alone = torch.autograd.grad(run_sequence(cell, *first)[0].sum(), cell.parameters())
    one, _ = run_sequence(cell, *first)
    run_sequence(cell, *second)[0].sum().backward()
    for mine, theirs in zip(torch.autograd.grad(one.sum(), cell.parameters()), alone):
        torch.testing.assert_close(mine, theirs)


def test_another_process_finds_the_kernels_compiled():
    """Compiling takes seconds; it is paid once a machine, not once a process."""
    work = """
        from networks import make_cell, random_inputs
        from liquid_control.nn.cells.sequence import run_sequence
        from liquid_control.nn.kernels import ltc as kernel_ltc
        from liquid_control.nn.kernels.cfc_loops import loops_of
        from liquid_control.nn.cells.modes.registry import MODES
        for name in ("cfc-closed", "ltc-fused"):
            cell = make_cell(name)
            run_sequence(cell, *random_inputs(cell, 2, 2))[0].sum().backward()
        for module in (loops_of(MODES["closed"]), kernel_ltc):
            for kernel in (module.forward, module.backward):
                print(sum(kernel.stats.cache_hits.values()), len(kernel.stats.cache_misses))
    """
    for name in ("cfc-closed", "ltc-fused"):
        cell = make_cell(name)
        run_sequence(cell, *random_inputs(cell, 2, 2))[0].sum().backward()
    result = in_a_process(work)
    assert result.returncode == 0, result.stderr
    assert result.stdout.split("\n")[:4] == ["1 0"] * 4


TOY_KERNEL = """
    import numpy as np
    from liquid_control.nn.kernels.compile import kernel
    from liquid_control.nn.kernels.functions import tanh
    from liquid_control.nn.kernels.simd import LANES, load, store
    from helper import doubled

    @kernel
    def apply(values, result):
        store(doubled(tanh(load(values, (0, 0)))), result, (0, 0))

    values = np.full((1, LANES), 0.5)
    apply(values, values)
    print(sum(apply.stats.cache_hits.values()), round(values[0, 0], 6))
"""


def test_an_edit_of_what_a_kernel_inlines_compiles_it_again(tmp_path):
    """The vector code, and a function of another file; nothing else has changed."""
    package = Path(__file__).parents[2] / "liquid_control"
    for folder in ("", "nn", "nn/kernels"):
        target = tmp_path / "liquid_control" / folder
        target.mkdir(exist_ok=True)
        (target / "__init__.py").touch()
        for path in (package / folder).glob("*.py") if folder == "nn/kernels" else ():
            shutil.copy(path, target)
    helper, simd_file = tmp_path / "helper.py", tmp_path / "liquid_control/nn/kernels/simd.py"
    (tmp_path / "toy.py").write_text(textwrap.dedent(TOY_KERNEL))
    helper.write_text(
        "from liquid_control.nn.kernels.compile import inlined\n\n"
        "FACTOR = 2.0\n\n\n@inlined\ndef doubled(x):\n    return FACTOR * x\n"
    )

    def run():
        result = subprocess.run(
            [sys.executable, "toy.py"],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(tmp_path), "NUMBA_CACHE_DIR": str(tmp_path)},
            capture_output=True,
            text=True,
        )
        assert result.returncode == 0, result.stderr
        hits, value = result.stdout.split()
        return int(hits), float(value)

    def edit(path, old, new):
        text = path.read_text()
        assert text.count(old) == 1
        path.write_text(text.replace(old, new))

    value = 2.0 * np.tanh(0.5)
    assert run() == (0, pytest.approx(value, abs=1e-6))
    assert run() == (1, pytest.approx(value, abs=1e-6))
    edit(simd_file, "1.0 - 2.0 / (1.0 + exp(x + x))", "2.0 - 2.0 / (1.0 + exp(x + x))")
    assert run() == (0, pytest.approx(value + 2.0, abs=1e-6))
    edit(helper, "FACTOR = 2.0", "FACTOR = 3.0")
    assert run() == (0, pytest.approx(1.5 * value + 3.0, abs=1e-6))
    assert run() == (1, pytest.approx(1.5 * value + 3.0, abs=1e-6))


def in_a_process(work):
    tests, root = Path(__file__).parent, Path(__file__).parents[2]
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(work)],
        env={**os.environ, "PYTHONPATH": f"{root}{os.pathsep}{tests}"},
        capture_output=True,
        text=True,
    )
