"""A run that is watched: event files, the picture, and a disk that takes no more."""

import io
import json
import resource
import shutil
import struct
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
import torch
import yaml
from PIL import Image

from liquid_control.config import share_dir
from liquid_control.evaluation.views.training_picture import draw_run
from liquid_control.training import files, watching
from liquid_control.training.config import load_training
from liquid_control.training.policy import Progress
from liquid_control.training.run import TrainingJob, train, train_all

CONFIG = share_dir() / "config" / "training" / "hover_liquid.yaml"
CHANGES = {
    **{"optimiser.updates": 12, "optimiser.environments": 4, "optimiser.window": 4},
    **{"optimiser.warmup": 1, "network.wiring.units": 12, "start.max_tilt": 0.2},
}
DRAWN = {"loss", "learning_rate", "env_steps_per_s", "rollbacks"}


@pytest.fixture(autouse=True)
def settings(monkeypatch):
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    monkeypatch.setattr(files, "LOG_EVERY", 2)
    yield
    torch.set_num_threads(threads)


def run(out, until=None, **keywords):
    """Train, or interrupt it after an update."""

    def stop(progress: Progress) -> None:
        if progress.update == until:
            raise KeyboardInterrupt

    arguments = {"changes": CHANGES, "compiled": False, "device": "cpu", **keywords}
    if until is None:
        return train(CONFIG, out, **arguments)
    with pytest.raises(KeyboardInterrupt):
        train(CONFIG, out, on_progress=stop, **arguments)
    return None


def events(folder) -> list:
    """All events of the folder, file by file, as any reader of TensorBoard's format finds them."""
    proto = pytest.importorskip("tensorboardX.proto.event_pb2")
    found = []
    for path in sorted(folder.glob("events.out.tfevents.*")):
        stream = io.BytesIO(path.read_bytes())
        while head := stream.read(12):
            (length,) = struct.unpack("<Q", head[:8])
            found.append(proto.Event.FromString(stream.read(length)))
            stream.read(4)
    return found


def scalars(folder) -> dict[str, dict[int, float]]:
    """Values by tag and step; as in TensorBoard, a start forgets all steps from its own on."""
    series: dict[str, dict[int, float]] = {}
    for event in events(folder):
        if event.HasField("session_log"):
            assert event.session_log.status == event.session_log.START
            for steps in series.values():
                for step in [step for step in steps if step >= event.step]:
                    del steps[step]
        for value in event.summary.value:
            if value.WhichOneof("value") == "simple_value":
                steps = series.setdefault(value.tag, {})
                assert event.step not in steps, f"{value.tag}: step {event.step} twice"
                steps[event.step] = value.simple_value
    return series


def rows(folder) -> list[dict]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def test_event_files_say_what_the_log_says(tmp_path):
    run(tmp_path)
    series, log = scalars(tmp_path), rows(tmp_path)
    assert set(series) >= DRAWN
    for tag, steps in series.items():
        told = {row["update"]: row[tag] for row in log if row[tag] is not None}
        assert steps == pytest.approx(told, rel=1e-6), tag
    assert list(series["loss"]) == [2, 4, 6, 8, 10, 12]
    for row in log:
        assert row["env_steps_per_s"] > 1
        assert 0 < row["learning_rate"] <= load_training(CONFIG).optimiser.learning_rate


def test_steps_per_second_are_those_between_two_rows(tmp_path):
    run(tmp_path)
    log = rows(tmp_path)
    for before, row in pairwise(log):
        spent = row["seconds"] - before["seconds"]
        assert row["env_steps_per_s"] * spent == pytest.approx(2 * 4 * 4, abs=0.02 * 32 / spent)


def test_event_files_carry_every_hyper_parameter(tmp_path):
    proto = pytest.importorskip("tensorboardX.proto.plugin_hparams_pb2")
    run(tmp_path, until=2)
    run(tmp_path)
    (content,) = (
        value.metadata.plugin_data.content
        for event in events(tmp_path)
        for value in event.summary.value
        if value.tag == "_hparams_/session_start_info"
    )
    told = proto.HParamsPluginData.FromString(content).session_start_info.hparams
    assert told["optimiser.environments"].number_value == 4
    assert told["network.kind"].string_value == "cfc"
    assert told["seed"].number_value == load_training(CONFIG).seed


def test_a_run_that_goes_on_from_an_earlier_checkpoint_draws_no_step_twice(tmp_path):
    out, kept = tmp_path / "out", tmp_path / "kept.pt"
    run(out, until=5)
    shutil.copy(out / "checkpoint.pt", kept)
    run(out, until=11)  # steps 6, 8 and 10 are written, and then lost
    lost = scalars(out)["loss"]
    shutil.copy(kept, out / "checkpoint.pt")
    run(out)
    series, log = scalars(out), rows(out)
    assert list(series["loss"]) == [2, 4, 6, 8, 10, 12]
    assert series["loss"] == pytest.approx({row["update"]: row["loss"] for row in log}, rel=1e-6)
    assert lost == pytest.approx({step: series["loss"][step] for step in lost}, rel=1e-6)
    assert len(list(out.glob("events.*"))) == 3


def test_a_run_without_event_files_has_all_rows_once_it_goes_on(tmp_path):
    run(tmp_path, until=5)
    for path in tmp_path.glob("events.*"):
        path.unlink()
    run(tmp_path)
    assert list(scalars(tmp_path)["loss"]) == [2, 4, 6, 8, 10, 12]


def test_a_restart_leaves_no_event_of_the_run_that_was_there(tmp_path):
    run(tmp_path, until=7)
    run(tmp_path, restart=True)
    assert list(scalars(tmp_path)["loss"]) == [2, 4, 6, 8, 10, 12]
    assert len(list(tmp_path.glob("events.*"))) == 1


def test_the_picture_is_drawn_while_it_trains_and_is_always_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "CHECKPOINT_EVERY", -1.0)
    monkeypatch.setattr(watching, "PICTURE_SHARE", 1e9)  # of the time: at each checkpoint
    seen = []

    def look(progress):
        path = tmp_path / "training.png"
        if path.is_file():
            with Image.open(path) as picture:
                picture.load()
                seen.append((progress.update, hash(picture.tobytes())))
        assert not list(tmp_path.glob("*.partial"))

    run(tmp_path, on_progress=look)
    updates, pictures = zip(*seen, strict=True)
    assert updates == tuple(range(2, 13)), "from the first row on"
    assert len(set(pictures)) >= 6, "one for each row"


def test_pictures_take_a_small_share_of_the_time(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "CHECKPOINT_EVERY", -1.0)
    drawn = []
    monkeypatch.setattr(watching, "draw_run", lambda rows, *_: drawn.append(len(rows)))
    clock = iter(range(1000))
    monkeypatch.setattr(watching.time, "monotonic", lambda: next(clock))
    watch = watching.Watch.__new__(watching.Watch)
    watch._out, watch._name, watch._broken = tmp_path, "", set()
    watch._events, watch._next_picture = None, 0
    for k in range(1, 120):
        watch.checkpoint([{}] * k)
    assert drawn[:2] == [1, 51]  # it takes a second, so one of fifty


def test_a_picture_that_cannot_be_written_leaves_the_one_before(tmp_path, monkeypatch):
    path = tmp_path / "training.png"
    log = [{"update": 10, "seconds": 1.0, "loss": 2.0, "rmse_m": None}]
    before = draw_run(log, path, "x").read_bytes()

    def half(file, content):
        with file.open("wb") as stream:
            stream.write(content[: len(content) // 2])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", half)
    with pytest.raises(OSError, match="No space"):
        draw_run(log, path, "x")
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("package", ["tensorboardX", "matplotlib"])
def test_a_package_that_is_not_there_costs_no_run(package, tmp_path, monkeypatch, caplog):
    for name in [name for name in sys.modules if name.split(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.setattr(files, "CHECKPOINT_EVERY", -1.0)
    assert run(tmp_path).is_file()
    (record,) = caplog.records
    extra = {"tensorboardX": "train", "matplotlib": "report"}[package]
    assert f"this needs {package}: pip install 'liquid_control[{extra}]'" in record.getMessage()
    assert "training goes on" in record.getMessage()


TOO_LARGE = "File too large; training goes on"
LIMITED = """
import resource, sys
from liquid_control.cli import main
from liquid_control.training import files
files.CHECKPOINT_EVERY, files.LOG_EVERY = -1.0, 2
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]),) * 2)
sys.exit(main(sys.argv[2:]))
"""


def _limited(most: int, out):
    """A training in a process whose files can't grow beyond ``most`` bytes."""
    changes = [f"--set={key}={value}" for key, value in CHANGES.items()]
    command = [str(CONFIG), "--no-compile", "--device=cpu", "--json", f"--out={out}", *changes]
    return subprocess.run(
        [sys.executable, "-c", LIMITED, str(most), "train", *command],
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_disk_that_takes_no_more_costs_no_run(tmp_path):
    """Checkpoint and picture are too large for it; log, events and policy are not."""
    whole = run(tmp_path / "whole")
    sizes = {path.name: path.stat().st_size for path in whole.parent.iterdir()}
    most = sizes["policy.onnx"] + 2000
    assert most < sizes["checkpoint.pt"]
    assert most < sizes["training.png"]
    done = _limited(most, tmp_path / "cut")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "cut" / "policy.onnx").is_file()
    complaints = done.stderr.splitlines()
    complaints = sorted(line for line in complaints if "pybullet build time" not in line)
    assert len(complaints) == 2, done.stderr
    cut = tmp_path / "cut"
    assert complaints[0] == f"{cut / 'checkpoint.pt'}: can't be written: {TOO_LARGE}"
    assert complaints[1] == f"{cut}: no training.png: {TOO_LARGE}"
    left = {path.name for path in (tmp_path / "cut").iterdir() if "tfevents" not in path.name}
    assert left == {"policy.onnx", "training.json", "log.jsonl"}
    assert len(rows(tmp_path / "cut")) == 6


def test_a_policy_that_cannot_be_written_is_one_line(tmp_path):
    done = _limited(2000, tmp_path)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 2000


@pytest.mark.slow
def test_each_run_of_several_processes_is_watched(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump({"extends": "hover_liquid", "observation": _observation()}))
    jobs = [
        TrainingJob(path, tmp_path / str(seed), {**CHANGES, "seed": seed}, "cpu", False)
        for seed in (1, 2)
    ]
    for result in train_all(jobs, jobs=2):
        assert list(scalars(result.parent)["loss"]) == [10, 12]
        assert (result.parent / "training.png").is_file()


def _observation() -> dict:
    return load_training(CONFIG).observation
