import pytest

from liquid_control.evaluation import words
from liquid_control.evaluation.suite import words as suite_words
from liquid_control.evaluation.suite.statistics import Interval
from liquid_control.structs import RATES_THRUST, Slot


@pytest.mark.parametrize(
    ("unit", "text", "name", "change"),
    [
        ("m/s^2", "m/s²", "mps2", "m/s^3"),
        ("rad/s", "rad/s", "radps", "rad/s^2"),
        ("rad", "rad", "rad", "rad/s"),
        ("1", "", "", "1/s"),
    ],
)
def test_units(unit, text, name, change):
    assert words.unit_text(unit) == text
    assert words.unit_name(unit) == name
    assert words.per_second(unit) == change


def test_slots_and_their_values():
    thrust, rates = RATES_THRUST.layout.slots
    assert words.titled(words.slot_words(RATES_THRUST, thrust).title, thrust.unit) == (
        "thrust / mass, m/s²"
    )
    assert words.component_words(rates) == ("roll", "pitch", "yaw")
    assert words.component_words(Slot("vel", 3, "m/s", "body")) == ("x", "y", "z")
    assert words.component_words(Slot("front_steer", 1, "rad", "body")) == ("front steer",)


def test_actuators_are_grouped_by_their_unit():
    names = ("wheel0 rad/s", "wheel1 rad/s", "steer rad", "valve")
    groups = words.actuator_groups(names)
    assert [group.title for group in groups] == ["wheels, rad/s", "steer, rad", "valve"]
    assert [group.columns for group in groups] == [(0, 1), (2,), (3,)]
    assert groups[0].names == ("wheel0", "wheel1")
    assert words.actuator_groups(()) == []


def test_an_interval_that_knows_nothing_has_no_end():
    form = "{:.1f}".format
    assert suite_words.interval_text(Interval(2.0, 1.0, 4.0), form) == "2.0 [1.0, 4.0]"
    assert suite_words.interval_text(Interval(2.0, 0.0, 2e9), form) == "2.0 [0.0, ∞]"
    assert suite_words.interval_text(Interval(0.0, 0.0, 7.0), form) == "0.0 [0.0, 7.0]"
    assert suite_words.interval_text(Interval(2.0, None, None), form, bold=True) == "**2.0**"
