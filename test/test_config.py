from liquid_control.config import merge


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


def test_merge_reads_a_named_part_before_its_keys_change():
    files = {"mocap": {"delay": 0.0, "noise": 1.0}}
    merged = merge({"odometry": "mocap"}, {"odometry": {"delay": 0.02}}, read=files.get)
    assert merged == {"odometry": {"delay": 0.02, "noise": 1.0}}
    assert merge({"odometry": "mocap"}, {"odometry": "gps"}, read=files.get) == {"odometry": "gps"}
