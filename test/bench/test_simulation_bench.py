"""The bench: what it measures on this machine, small."""

import json
from importlib.util import find_spec
from pathlib import Path

import pytest

from liquid_control.bench import batched
from liquid_control.bench.simulation import command
from liquid_control.bench.simulation.camera import measure_camera
from liquid_control.bench.simulation.world import measure_world

FIELDS = json.loads(Path(__file__).with_name("fields.json").read_text())["sim"]


def names(result: dict) -> list[str]:
    """Keys in order, without other simulators, which are timed where somebody has them."""
    return [key for key in result if not key.startswith(("rotorpy", "pyflyt"))]


def test_world_and_camera_are_not_far_from_their_floors():
    """Half of the bars, for a machine that is busy with other tests."""
    world = measure_world(turns=5)
    assert world["world_steps_per_s"] < world["floor_steps_per_s"]
    bar = 0.175 if find_spec("numba") else 0.05
    assert world["world_fraction_of_floor"] > bar
    camera = measure_camera(turns=5)
    assert 1.0 < camera["camera_overhead"] < 3.0


def test_json_has_the_names_that_others_read(capsys, parse, monkeypatch):
    """All is measured but the batch, which takes a minute to compile."""
    batch = ("batch", "batched_steps_per_s", "batched_grad_steps_per_s")
    monkeypatch.setattr(batched, "measure_batched", lambda *_: dict.fromkeys(batch, 1.0))
    assert command.run(parse(command, "--json", "--quick")) == 0
    output = capsys.readouterr().out
    assert output.count("\n") == 1
    assert names(json.loads(output)) == names(dict.fromkeys(FIELDS))


@pytest.mark.slow
def test_json_is_one_object_with_every_figure(capsys, tmp_path, parse):
    options = parse(command, "--json", "--quick", "--out", tmp_path / "bench")
    assert command.run(options) == 0
    result = json.loads(capsys.readouterr().out)
    assert names(result) == names(dict.fromkeys(FIELDS))
    for key in (
        "world_steps_per_s", "floor_steps_per_s", "world_fraction_of_floor",
        "batched_steps_per_s", "batched_grad_steps_per_s", "camera_overhead",
    ):  # fmt: skip
        assert result[key] > 0, key
    assert json.loads((tmp_path / "bench/sim.json").read_text())["cost"] == {}


@pytest.mark.slow
def test_the_batch_hovers_and_has_a_gradient():
    torch = pytest.importorskip("torch")
    from liquid_control.bench.batched import Batch

    batch = Batch(32)
    with torch.no_grad():
        flight = batch.fly(batch.start, 500)
    error = (flight.state.pos_world - batch.start.state.pos_world).norm(dim=0)
    assert error.max() < 1.0
    gradient = batch.gradient(5)
    assert torch.isfinite(gradient).all()
    # pushed up, the vehicle ends higher: d(z²)/dv = 2 z t
    torch.testing.assert_close(
        gradient[2], torch.full((32,), 2 * 1.0 * 5 / 500), rtol=0.1, atol=0.0
    )
