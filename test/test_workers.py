"""Processes that share work: what they know, and what happens when one dies."""

import os
import sys

import pytest

from liquid_control.config import ConfigError
from liquid_control.importing import import_object
from liquid_control.workers import worker_pool


def _die(task):
    os._exit(1)


def _fail(task):
    raise ConfigError(f"task {task} is bad")


def test_results_of_a_file_of_somebodys_own_travel(tmp_path):
    (tmp_path / "doubled.py").write_text(
        "class Twice:\n"
        "    def __init__(self, x): self.x = 2 * x\n"
        "    def again(self): return Twice(self.x)\n"
    )
    twice = import_object("doubled.py:Twice", tmp_path)
    with worker_pool(2, None, 3) as run:
        found = sorted(made.x for made in run(twice.again, [twice(k) for k in range(3)]))
    assert found == [0, 4, 8]
    del sys.modules[twice.__module__]


@pytest.mark.parametrize(("work", "reason"), [(_die, "worker processes died"), (_fail, "is bad")])
def test_a_worker_that_dies_or_fails_ends_the_work(work, reason):
    with pytest.raises(ConfigError, match=reason), worker_pool(2, None, 4) as run:
        list(run(work, range(4)))
