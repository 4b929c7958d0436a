"""A registry of models: telling apart, adding, taking away, errors and schema."""

from typing import Annotated, Literal

import jsonschema
import pytest

from liquid_control.config import ConfigError, StrictModel, parse
from liquid_control.kinds import Kinds

ANIMALS = Kinds("kind")


@ANIMALS.register
class Cat(StrictModel):
    kind: Literal["cat", "kitten"]
    lives: int


@ANIMALS.register
class Dog(StrictModel):
    kind: Literal["dog"]


class Zoo(StrictModel):
    animals: tuple[Annotated[StrictModel, ANIMALS], ...]


def test_kinds_are_told_apart_and_dumped_whole():
    data = {"animals": ({"kind": "cat", "lives": 9}, {"kind": "dog"})}
    zoo = parse(data, Zoo, "zoo")
    assert [type(animal) for animal in zoo.animals] == [Cat, Dog]
    assert zoo.model_dump() == data
    assert Zoo.model_validate_json(zoo.model_dump_json()) == zoo == Zoo(animals=zoo.animals)


@pytest.mark.parametrize(
    ("animal", "message"),
    [
        ({"kind": "cow"}, r"animals\.0\.kind: expected one of 'cat', 'kitten', 'dog', got 'cow'"),
        ({"kind": 3}, r"animals\.0\.kind: expected one of .*, got '3'"),
        ({}, r"animals\.0\.kind: missing key"),
        ({"kind": "cat"}, r"animals\.0\.lives: missing key"),
        ({"kind": "cat", "lives": "many"}, r"animals\.0\.lives: .* got 'many'"),
        ({"kind": "dog", "lives": 1}, r"animals\.0\.lives: unknown key"),
        (5, r"animals\.0: expected a mapping, got 5"),
    ],
)
def test_a_mistake_in_a_kind_is_named(animal, message):
    with pytest.raises(ConfigError, match=message):
        parse({"animals": [animal]}, Zoo, "zoo")


def test_a_kind_is_added_after_the_model_that_holds_it_and_taken_away():
    class Cow(StrictModel):
        kind: Literal["cow"]

    data = {"animals": [{"kind": "cow"}]}
    ANIMALS.register(Cow)
    try:
        assert parse(data, Zoo, "zoo").animals == (Cow(kind="cow"),)
        schema = Zoo.model_json_schema()
        jsonschema.validate(data, schema)
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({"animals": [{"kind": "pig"}]}, schema)
        with pytest.raises(ValueError, match="Cow: kind 'cow' is that of Cow"):
            ANIMALS.register(Cow)
    finally:
        ANIMALS.unregister(Cow)
    with pytest.raises(ConfigError, match="got 'cow'"):
        parse(data, Zoo, "zoo")
    with pytest.raises(ValueError, match=r"Zoo\.kind: expected a Literal"):
        ANIMALS.register(Zoo)


def test_a_file_may_name_the_class(tmp_path, monkeypatch):
    (tmp_path / "birds.py").write_text(
        "from typing import Literal\n"
        "from liquid_control.config import StrictModel\n"
        "class Gull(StrictModel):\n"
        "    kind: Literal['gull']\n"
        "    span: float\n"
        "class Bare(StrictModel):\n"
        "    span: float\n"
    )
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        zoo = parse({"animals": [{"kind": "birds.py:Gull", "span": 1.2}]}, Zoo, "zoo")
        assert zoo.model_dump() == {"animals": ({"kind": "gull", "span": 1.2},)}
    assert parse({"animals": [{"kind": "gull", "span": 1.0}]}, Zoo, "zoo").animals[0].span == 1
    for name, reason in (
        ("birds.py:Bare", "is no class with a 'kind' of its own"),
        ("birds.py:Hawk", "birds.py has no Hawk"),
        ("bats.py:Bat", "no such file"),
    ):
        with pytest.raises(ConfigError, match=reason):
            parse({"animals": [{"kind": name, "span": 1.0}]}, Zoo, "zoo")
    ANIMALS.unregister(type(zoo.animals[0]))
