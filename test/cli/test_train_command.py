"""Training by command: what can't be trained is known before the first run."""

import pickle

import pytest
import torch

from liquid_control.cli.exits import BAD_INPUT
from liquid_control.cli.program import main
from liquid_control.config import share_dir
from liquid_control.training.config import load_training
from liquid_control.training.run import GPU_PAYS_FROM, choose_device


def test_a_damaged_checkpoint_is_one_line(tmp_path, capsys):
    train = ["train", "hover_liquid", "--no-compile", "--out", str(tmp_path)]
    for damaged in (b"", b"PK no checkpoint", pickle.dumps({"config": 1})):
        (tmp_path / "checkpoint.pt").write_bytes(damaged)
        assert main([*train, "--set", "optimiser.environments=8"]) == BAD_INPUT
        error = capsys.readouterr().err
        assert error.count("\n") == 1
        assert "checkpoint.pt: damaged, or not a checkpoint; start anew with --restart" in error


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is one")
def test_a_device_that_is_not_there_is_named(capsys):
    assert main(["train", "hover_liquid", "--out", "x", "--device", "cuda"]) == BAD_INPUT
    error = capsys.readouterr().err
    assert error == "liquid-control: --device cuda: torch sees no such device here\n"


def test_a_gpu_is_taken_where_it_is_faster(monkeypatch):
    few = load_training("hover_liquid")
    many = load_training("hover_liquid", {"optimiser.environments": GPU_PAYS_FROM})
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert choose_device(None, few) == "cpu"
    assert choose_device(None, many) == "cuda"
    assert choose_device(None, load_training("hover_imitation")) == "cpu"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device(None, many) == "cpu"


def test_several_runs_are_checked_before_the_first(tmp_path, capsys):
    good = share_dir() / "config" / "training" / "hover_19.yaml"
    bad = tmp_path / "bad.yaml"
    bad.write_text("extends: hover_19\nnetwork: {kind: cfc, colour: red}\n")
    assert main(["train", str(good), str(bad), "--out", str(tmp_path / "out")]) == BAD_INPUT
    assert str(bad) in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
