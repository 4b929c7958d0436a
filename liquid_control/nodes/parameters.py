"""ROS parameters of a node from the one table, and back to the validated model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    ParameterType,
    SetParametersResult,
)
from rclpy.exceptions import ParameterException
from rclpy.node import Node
from rclpy.parameter import Parameter as RosParameter

from liquid_control.config import ConfigError, parse
from liquid_control.parameters import Parameter, parameter_table

Model = TypeVar("Model", bound=BaseModel)

_TYPES = {
    bool: ParameterType.PARAMETER_BOOL,
    int: ParameterType.PARAMETER_INTEGER,
    float: ParameterType.PARAMETER_DOUBLE,
    str: ParameterType.PARAMETER_STRING,
}
# Parameters that every node has
_BUILT_IN = ("use_sim_time", "start_type_description_service", "qos_overrides")


def _descriptor(row: Parameter) -> ParameterDescriptor:
    descriptor = ParameterDescriptor(
        name=row.name,
        type=_TYPES[row.type],
        description=row.description,
        additional_constraints=", ".join(
            note for note in (f"unit {row.unit}" if row.unit else "", row.range) if note
        ),
        read_only=row.read_only,
    )
    if row.low is not None and row.type is float:
        descriptor.floating_point_range = [
            FloatingPointRange(from_value=float(row.low), to_value=float(row.high))
        ]
    elif row.low is not None:
        descriptor.integer_range = [
            IntegerRange(from_value=int(row.low), to_value=int(row.high), step=1)
        ]
    return descriptor


def _is_whole(row: Parameter, value: Any) -> bool:
    """Whether ROS would refuse the value for its type, though it is a number as good as any."""
    return row.type is float and type(value) is int


def given(node: Node, name: str, default: str) -> str:
    """A parameter as it was given to the node, before any is declared."""
    parameter = node.get_parameters_by_prefix("").get(name)
    return default if parameter is None else str(parameter.value)


def declare_parameters(node: Node, model: type[Model]) -> Model:
    """Declare every parameter of the table and give their validated values.

    The node must be made with ``automatically_declare_parameters_from_overrides=True``: only so
    is a name that the table does not know (a typing error in a YAML file) seen at all.

    Raises:
        ConfigError: for an unknown name, a wrong type, a value out of range.
    """
    rows = {row.name: row for row in parameter_table(model)}
    given = {
        name: parameter.value
        for name, parameter in node.get_parameters_by_prefix("").items()
        if not name.startswith(_BUILT_IN)
    }
    unknown = sorted(set(given) - set(rows))
    if unknown:
        raise ConfigError(
            f"unknown parameter {', '.join(unknown)}; expected some of {', '.join(rows)}"
        )
    for name in given:
        node.undeclare_parameter(name)
    for row in rows.values():
        whole = _is_whole(row, given.get(row.name))
        value = float(given[row.name]) if whole else row.default
        try:
            node.declare_parameter(row.name, value, _descriptor(row), ignore_override=whole)
        except ParameterException as error:
            kind = f"{row.type.__name__} {row.range}".strip()
            raise ConfigError(f"parameter {row.name}: {error}; expected {kind}") from None
    values = {name: node.get_parameter(name).value for name in rows}
    return parse(_nested(values), model, f"parameters of {node.get_name()}")


def on_parameters(node: Node, model: type[Model], apply: Callable[[Model], None]) -> None:
    """Check every later change as a whole: a bad value is refused with the reason and nothing
    changes; a good one is handed to ``apply`` as a new model. ``20`` is taken for ``20.0``."""
    rows = {row.name: row for row in parameter_table(model)}
    names = list(rows)

    def converted(changes: list[RosParameter]) -> list[RosParameter]:
        return [
            RosParameter(p.name, value=float(p.value))
            if p.name in rows and _is_whole(rows[p.name], p.value)
            else p
            for p in changes
        ]

    def validated(changes: list[RosParameter]) -> Model | None:
        new = {p.name: p.value for p in changes if p.name in names}
        if not new:
            return None
        values = {name: node.get_parameter(name).value for name in names} | new
        return model.model_validate(_nested(values))

    def check(changes: list[RosParameter]) -> SetParametersResult:
        try:
            validated(changes)
        except ValidationError as error:
            reasons = "; ".join(
                f"{'.'.join(map(str, e['loc']))}: {e['msg']}, got {e['input']!r}"
                for e in error.errors()
            )
            return SetParametersResult(successful=False, reason=reasons)
        return SetParametersResult(successful=True)

    def changed(changes: list[RosParameter]) -> None:
        new = validated(changes)
        if new is not None:
            apply(new)

    node.add_pre_set_parameters_callback(converted)
    node.add_on_set_parameters_callback(check)
    node.add_post_set_parameters_callback(changed)


def _nested(values: dict[str, Any]) -> dict[str, Any]:
    nested: dict[str, Any] = {}
    for name, value in values.items():
        *parents, leaf = name.split(".")
        branch = nested
        for parent in parents:
            branch = branch.setdefault(parent, {})
        branch[leaf] = value
    return nested
