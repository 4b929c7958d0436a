"""Random streams by name: pinned for good, and nobody draws from another's."""

import numpy as np

from liquid_control.sim.streams import CHILDREN, SENSORS, Streams


def first(generator):
    return generator.bit_generator.state["state"]["state"]


def test_each_name_is_bound_to_its_child_for_good():
    """Another number would be another flight of every seed."""
    names = ("start", "wind", "imu", "odometry", "vehicle", "camera")
    assert {**dict(zip(names, range(6))), "faults": 7, "scene": 8} == CHILDREN
    assert SENSORS == 6
    spawned = [np.random.default_rng(s) for s in np.random.SeedSequence(11).spawn(9)]
    streams = Streams(11)
    for name, child in CHILDREN.items():
        assert first(getattr(streams, name)) == first(spawned[child]), name


def test_no_two_names_share_a_stream():
    for seed in (0, 1, 2**31 - 1):
        streams = Streams(seed)
        generators = [getattr(streams, name) for name in CHILDREN]
        generators += [streams.sensor(name) for name in ("sonar", "sonar_2", "", *CHILDREN)]
        states = {first(generator) for generator in generators}
        assert len(states) == len(generators) == 3 + 2 * len(CHILDREN)
    assert first(Streams(0).wind) != first(Streams(1).wind)


def test_drawing_from_one_leaves_the_others_alone():
    streams, fresh = Streams(3), Streams(3)
    streams.wind.random(100)
    streams.sensor("sonar").random(100)
    assert first(streams.imu) == first(fresh.imu)
    assert first(streams.sensor("sonar")) == first(fresh.sensor("sonar"))
    assert first(streams.wind) != first(fresh.wind)
