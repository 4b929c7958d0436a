"""Reading what is configured: the share folder and strict YAML.

A physical number may carry its unit and source, see `quantity`:

    mass: {value: 0.027, unit: kg, source: "Crazyflie 2.1 data sheet, Bitcraze"}

An unknown key, a missing key, a wrong unit or a value out of range raises `ConfigError`, which
names the file, the key, the value and what was expected.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Hashable, Iterable
from copy import deepcopy
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, TypeVar

import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from liquid_control.mistakes import error_details
from liquid_control.spelling import did_you_mean


class ConfigError(ValueError):
    """A file, parameter or flag that can't be used; the message says which, why and what would.

    Attributes:
        details: each mistake as (dotted key, reason), where there are several.
    """

    def __init__(self, message: str, details: Iterable[tuple[str, str]] = ()):
        super().__init__(message)
        self.details = tuple(details)


class MissingPackages(ConfigError):
    """What is asked for needs packages that are not installed; the message says which."""


class StrictModel(BaseModel):
    """Base of every configuration: frozen, unknown keys refused, no NaN or infinity."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @model_validator(mode="wrap")
    @classmethod
    def _no_number_from_yes(cls, data: Any, read: Callable[[Any], Any]) -> Any:
        """YAML's yes and no are no numbers, though Python takes them for 1 and 0."""
        model = read(data)
        if isinstance(data, dict):
            for key, value in data.items():
                if isinstance(value, bool) and type(getattr(model, key, value)) in (int, float):
                    raise ValueError(f"{key}: expected a number, got {str(value).lower()}")
        return model


Config = TypeVar("Config", bound=BaseModel)


def share_dir() -> Path:
    """The folder that holds ``config/``, ``sim_worlds/``, ``launch/`` and ``package.xml``.

    The repository itself for an editable install, ``<prefix>/share/liquid_control`` for a colcon
    or pip install.
    """
    for parent in Path(__file__).resolve().parents:
        for candidate in (parent, parent / "share" / "liquid_control"):
            if (candidate / "package.xml").is_file() and (candidate / "sim_worlds").is_dir():
                return candidate
    raise ConfigError(
        f"no share folder of liquid_control above {Path(__file__).parent}: expected package.xml "
        "and sim_worlds/ there or in share/liquid_control; install the package again"
    )


_SUFFIXES = (".yaml", ".onnx")  # of files that are found by their stem


def shipped(folder: str) -> list[str]:
    """Names of the files in a folder of the share folder, e.g. ``sim_worlds``, in order."""
    return sorted(p.stem for p in (share_dir() / folder).glob("*") if p.suffix in _SUFFIXES)


def find_file(
    name: str | Path, folder: str, *, also: Iterable[str] = (), beside: Path | None = None
) -> Path:
    """A file by path, or by its path or stem below ``folder`` of the share folder.

    ``find_file("hover_gusts", "sim_worlds")`` and ``find_file("sim_worlds/hover_gusts.yaml",
    "sim_worlds")`` name the same file. A file that stands ``beside`` the one that names it comes
    before all others. Raises `ConfigError` that lists what there is, and what is ``also`` accepted
    in its place.
    """
    path = Path(name)
    share = share_dir()
    if path.is_absolute() and path.is_file():
        return path
    if beside is not None and (found := _find_beside(path, beside)):
        return found
    for candidate in (
        *(path, share / path, share / folder / path),
        *(share / folder / f"{name}{end}" for end in _SUFFIXES),
    ):
        # a name that is that of the file itself is that of a shipped one
        if candidate.is_file() and not (beside and candidate.samefile(beside)):
            return candidate
    known = [*also, *shipped(folder)]
    meant = did_you_mean(path.stem, known)
    raise ConfigError(
        f"no such file: {name!s}; {meant}expected a path or one of {', '.join(known)}"
    )


def _find_beside(name: Path, beside: Path) -> Path | None:
    """A file by its path or stem from where another one stands; not that one itself."""
    path = beside.parent / name
    for candidate in (path, *(path.with_name(f"{path.name}{end}") for end in _SUFFIXES)):
        if name.name and candidate.is_file() and not candidate.samefile(beside):
            return candidate
    return None


def parse(
    data: Any, model: type[Config], source: str | Path, *, path: Path | None = None
) -> Config:
    """Validate ``data`` as ``model``; ``source`` names its origin in the error.

    ``path`` is that of its file, where parts of it may name others beside it.
    """
    try:
        return model.model_validate(data, context={"path": path})
    except ValidationError as error:
        details = error_details(error, data, model)
        text = "; ".join(": ".join(filter(None, detail)) for detail in details)
        raise ConfigError(f"{source}: {text}", details) from None
    except OverflowError as error:  # a whole number beyond all floats, which no file can hold
        raise ConfigError(f"{source}: a number is too large: {error}") from None


class _UniqueKeyLoader(yaml.SafeLoader):
    """SafeLoader that refuses a key given twice, and what no key or number can be."""

    def construct_yaml_int(self, node):
        try:
            value = super().construct_yaml_int(node)
            float(value)
        except (OverflowError, ValueError) as error:
            raise yaml.constructor.ConstructorError(
                None, None, f"no number that can be used: {error}", node.start_mark
            ) from None
        return value

    def construct_mapping(self, node, deep=False):
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=deep)
            if not isinstance(key, Hashable):
                raise yaml.constructor.ConstructorError(
                    None, None, "a key must be a name, not a list or mapping", key_node.start_mark
                )
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"key {key!r} stands twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep=deep)


_UniqueKeyLoader.add_constructor("tag:yaml.org,2002:int", _UniqueKeyLoader.construct_yaml_int)


@lru_cache(maxsize=128)  # a suite reads the same few files for each of its flights
def _parse(text: str) -> Any:
    return yaml.load(text, Loader=_UniqueKeyLoader)


def read_yaml(path: str | Path) -> Any:
    """The content of a YAML file; `ConfigError` names file and line if it can't be read."""
    try:
        return deepcopy(_parse(Path(path).read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: can't be read: {error}") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None
    except (ValueError, TypeError, RecursionError) as error:  # a date of month 13, endless nesting
        raise ConfigError(f"{path}: not valid YAML: {error}") from None


def merge(base: Any, changes: Any, *, whole: Container[str] = ()) -> Any:
    """``base`` with ``changes``; the one rule for worlds, suites, training files and sensors.

    Mappings are merged key by key, everything else is replaced. A mapping that says ``extends``
    begins from what it names and so replaces; and where ``base`` only names a part and ``changes``
    gives keys of it, the part is extended: ``mocap`` with ``{delay: 0.04}`` is ``{extends: mocap,
    delay: 0.04}``.

    Args:
        whole: keys of the outermost mapping whose value is replaced even if it is a mapping.
    """
    if not isinstance(changes, dict) or "extends" in changes:
        return changes
    if isinstance(base, str):
        return {"extends": base, **changes}
    if not isinstance(base, dict):
        return changes
    merged = dict(base)
    for key, value in changes.items():
        merged[key] = value if key in whole else merge(base.get(key), value)
    return merged


def load_yaml(path: str | Path, model: type[Config]) -> Config:
    """Read and validate a YAML file."""
    return parse(read_yaml(path), model, path)


def quantity(unit: str):
    """A validator for ``{value, unit, source}`` that checks the unit and keeps the value."""

    def unwrap(data: Any) -> Any:
        if not isinstance(data, dict):
            raise ValueError(f"expected {{value, unit: {unit}, source}}")
        if set(data) != {"value", "unit", "source"}:
            raise ValueError(f"expected the keys value, unit, source, got {sorted(data)}")
        if data["unit"] != unit:
            raise ValueError(f"expected unit {unit!r}, got {data['unit']!r}")
        if not isinstance(data["source"], str) or not data["source"].strip():
            raise ValueError("source must name where the value is from")
        return data["value"]

    return BeforeValidator(unwrap)


MAX_SEED = 2**31 - 1  # fits a ROS parameter and every generator
Seed = Annotated[int, Field(ge=0, le=MAX_SEED)]
Triple = tuple[float, float, float]
PositiveFloat = Annotated[float, Field(gt=0)]
NonNegativeFloat = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
ProperShare = Annotated[float, Field(ge=0, lt=1)]  # something is left
PositiveTriple = tuple[PositiveFloat, PositiveFloat, PositiveFloat]
NonNegativeTriple = tuple[NonNegativeFloat, NonNegativeFloat, NonNegativeFloat]


def missing_packages(extra: str, packages: Iterable[str]) -> ConfigError:
    """The error for an optional part whose packages are not installed."""
    package = f"'liquid_control[{extra}]'" if extra else "liquid_control"
    return MissingPackages(f"this needs {', '.join(packages)}: pip install {package}")
