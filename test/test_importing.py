"""Things by name: their files, the neighbours of these, and other processes that know them."""

import pickle
import subprocess
import sys

import pytest

from liquid_control.config import ConfigError
from liquid_control.importing import import_object, know, own_things


@pytest.fixture(autouse=True)
def forgotten():
    path, modules = list(sys.path), set(sys.modules)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        del sys.modules[name]


def test_a_file_hides_no_package_and_finds_its_neighbours(tmp_path):
    (tmp_path / "plotly.py").write_text("from besides_it import R\nclass P: pass\n")
    (tmp_path / "besides_it.py").write_text("R = 3\n")
    made = import_object("plotly.py:P", tmp_path)
    assert made.__module__ != "plotly"
    assert import_object("plotly.py:R", tmp_path) == 3
    assert import_object(f"{tmp_path}/plotly.py:P") is made
    assert str(tmp_path) not in sys.path[:-1]  # behind what is installed


def test_what_is_pickled_is_read_where_it_is_known(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text("class P:\n    x = 5\n")
    data = pickle.dumps(import_object(f"{file}:P")())
    things = [thing for thing in own_things() if thing.file == str(file)]
    code = (
        "import sys, pickle\nfrom liquid_control.importing import import_object, know\n"
        f"know(pickle.loads({pickle.dumps(things)!r}))\n"
        f"made = pickle.loads({data!r})\n"
        f"assert type(made) is import_object({f'{file}:P'!r})\nprint(made.x)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "5\n", done.stderr


def test_a_module_that_was_loaded_is_not_loaded_again(tmp_path, monkeypatch):
    (tmp_path / "loaded_before.py").write_text("class P: pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    import loaded_before

    assert import_object("loaded_before.py:P", tmp_path) is loaded_before.P
    things = [thing for thing in own_things() if thing.module == "loaded_before"]
    know(things)
    assert sys.modules["loaded_before"] is loaded_before


def test_what_is_not_there_is_one_clear_error(tmp_path):
    (tmp_path / "broken.py").write_text("1 / 0\n")
    for name, reason in (("none.py:P", "no such file"), ("broken.py:P", "ZeroDivisionError")):
        with pytest.raises(ConfigError, match=reason):
            import_object(name, tmp_path)
