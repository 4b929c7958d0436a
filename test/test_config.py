import pytest

from liquid_control.config import (
    ConfigError,
    merge,
    read_yaml,
    share_dir,
)
from liquid_control.extending import read_extended


def test_merge_goes_into_mappings_and_replaces_all_else():
    base = {"a": 1, "b": {"c": 2, "d": [1, 2]}, "e": {"f": 3}}
    merged = merge(base, {"b": {"d": [3]}, "e": 4, "g": {"h": 5}})
    assert merged == {"a": 1, "b": {"c": 2, "d": [3]}, "e": 4, "g": {"h": 5}}
    assert base == {"a": 1, "b": {"c": 2, "d": [1, 2]}, "e": {"f": 3}}


def test_merge_replaces_a_whole_mapping_at_the_top_only():
    base = {"whole": {"a": 1}, "part": {"whole": {"a": 1}}}
    changes = {"whole": {"b": 2}, "part": {"whole": {"b": 2}}}
    merged = merge(base, changes, whole=("whole",))
    assert merged == {"whole": {"b": 2}, "part": {"whole": {"a": 1, "b": 2}}}


def test_keys_of_a_named_part_extend_it():
    base = {"odometry": "mocap"}
    late = {"odometry": {"extends": "mocap", "delay": 0.04}}
    assert merge(base, {"odometry": {"delay": 0.04}}) == late
    assert merge(base, {"odometry": "gps"}) == {"odometry": "gps"}
    assert merge(late, {"odometry": {"dropout": 0.1}}) == {
        "odometry": {"extends": "mocap", "delay": 0.04, "dropout": 0.1}
    }
    other = {"odometry": {"extends": "gps", "drift": 0.0}}
    assert merge(late, other) == other  # begins from gps, and nothing of the other is left


def test_a_file_extends_the_one_beside_it(tmp_path):
    share = share_dir() / "sim_worlds"
    (tmp_path / "base.yaml").write_text("name: base\na: {b: 1, c: 2}\nd: [1, 2]\n")
    path = tmp_path / "mine.yaml"
    path.write_text("extends: base\na: {c: 3}\nd: [4]\n")
    assert read_extended(path, "sim_worlds", own=("name",)) == {"a": {"b": 1, "c": 3}, "d": [4]}
    assert read_extended(path, "sim_worlds", whole=("a",))["a"] == {"c": 3}
    # a world of one's own may have the name of the shipped one that it extends
    calm = tmp_path / "hover_calm.yaml"
    calm.write_text("extends: hover_calm\n")
    assert read_extended(calm, "sim_worlds") == read_yaml(share / "hover_calm.yaml")


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ({"a": "extends: b", "b": "extends: a"}, "extends itself by way of"),
        ({"a": "extends: [b]"}, r"a\.yaml: extends: expected the name of a file, got \['b'\]"),
        ({"a": "extends: nowhere"}, "no such file: nowhere"),
    ],
)
def test_a_broken_chain_is_named(tmp_path, texts, message):
    for name, text in texts.items():
        (tmp_path / f"{name}.yaml").write_text(text)
    with pytest.raises(ConfigError, match=message):
        read_extended(tmp_path / "a.yaml", "sim_worlds")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("? [1, 2]\n: 3\n", "a key must be a name"),
        (f"control_rate: 1{'0' * 400}\n", "no number that can be used"),
        (f"control_rate: 1{'0' * 5000}\n", "no number that can be used"),
        ("day: 2020-13-45\n", "month must be"),
        ("[" * 5000, "not valid YAML"),
        ("a: 1\na: 2\n", "key 'a' stands twice"),
    ],
)
def test_what_yaml_can_say_and_nobody_can_use_is_one_clear_error(tmp_path, text, reason):
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=rf"mine\.yaml: not valid YAML: .*{reason}|{reason}"):
        read_yaml(path)
