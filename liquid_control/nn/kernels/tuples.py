"""Named tuples of vectors inside numba kernels: heads, constants and saved values by their names.

``kind`` is the class of a named tuple. Its value k lies at ``array[*index, k, first lane]``. Where
a value is ``None`` nothing is added, and zeros are stored. Every loop over the names is unrolled
when the kernel is compiled, so that the vectors stay in registers.
"""

from numba.core import cgutils, types
from numba.core.errors import TypingError
from numba.extending import intrinsic

from liquid_control.nn.kernels.simd import (
    FLAGS,
    Vector,
    as_vector,
    build_load,
    build_store,
    place,
    pointer_to,
)


def _tuple_of(element: types.Type, kind: types.NamedTupleClass) -> types.BaseTuple:
    cls = kind.instance_class
    return types.BaseTuple.from_types((element,) * len(cls._fields), pyclass=cls)


def _elements(builder, value, kind: types.BaseTuple) -> list:
    """(k, value, type) of each that is not None."""
    values = [builder.extract_value(value, k) for k in range(len(kind))]
    return [(k, v, t) for k, (v, t) in enumerate(zip(values, kind)) if t != types.none]


def _number(context, builder, array_type, array, items):
    """The number array[items]."""
    element = context.get_data_type(array_type.dtype)
    return builder.load(pointer_to(context, builder, array_type, array, items, element))


def _multiply_add(builder, a, b, c):
    return builder.fadd(c, builder.fmul(a, b, flags=FLAGS), flags=FLAGS)


@intrinsic
def named(typing_context, kind, values):
    """A plain tuple with the names of ``kind``; an error where the number of values is another."""
    fields = kind.instance_class._fields
    if not isinstance(values, types.BaseTuple) or len(values) != len(fields):
        raise TypingError(f"a mode's kernel function gives {values}, expected {fields}")
    result = types.BaseTuple.from_types(tuple(values), pyclass=kind.instance_class)

    def build(context, builder, signature, arguments):
        items = cgutils.unpack_tuple(builder, arguments[1], len(values))
        return context.make_tuple(builder, result, items)

    return result(kind, values), build


@intrinsic
def zeros_each(typing_context, kind, array):
    """A vector of zeros, of the array's dtype, by each name."""
    result = _tuple_of(Vector(array.dtype), kind)

    def build(context, builder, signature, arguments):
        zeros = [context.get_value_type(vector)(None) for vector in result]
        return context.make_tuple(builder, result, zeros)

    return result(kind, array), build


@intrinsic
def load_each(typing_context, kind, array, index):
    """The vectors at array[*index, k]."""
    result = _tuple_of(Vector(array.dtype), kind)

    def build(context, builder, signature, arguments):
        values = [
            build_load(
                context, builder, array, arguments[1],
                place(context, builder, index, arguments[2], k, 0),
            )
            for k in range(len(result))
        ]  # fmt: skip
        return context.make_tuple(builder, result, values)

    return result(kind, array, index), build


@intrinsic
def numbers_each(typing_context, kind, array, column):
    """The numbers array[k, column]."""
    result = _tuple_of(array.dtype, kind)

    def build(context, builder, signature, arguments):
        at = context.cast(builder, arguments[2], column, types.intp)
        values = [
            _number(
                context, builder, array, arguments[1], [context.get_constant(types.intp, k), at]
            )
            for k in range(len(result))
        ]
        return context.make_tuple(builder, result, values)

    return result(kind, array, column), build


@intrinsic
def store_each(typing_context, values, array, index):
    """Put the vectors to array[*index, k]."""

    def build(context, builder, signature, arguments):
        given = {k: pair for k, *pair in _elements(builder, arguments[0], values)}
        for k in range(len(values)):
            value, kind = given.get(k) or (context.get_constant(array.dtype, 0), array.dtype)
            items = place(context, builder, index, arguments[2], k, 0)
            build_store(context, builder, value, kind, array, arguments[1], items)
        return context.get_dummy_value()

    return types.none(values, array, index), build


def _build_add(context, builder, value, kind, array_type, array, items) -> None:
    vector = Vector(array_type.dtype)
    given = as_vector(context, builder, value, kind, vector)
    before = build_load(context, builder, array_type, array, items)
    after = builder.fadd(before, given, flags=FLAGS)
    build_store(context, builder, after, vector, array_type, array, items)


@intrinsic
def add_each(typing_context, values, array, index):
    """Add the vectors to those at array[*index, k]."""

    def build(context, builder, signature, arguments):
        for k, value, kind in _elements(builder, arguments[0], values):
            items = place(context, builder, index, arguments[2], k, 0)
            _build_add(context, builder, value, kind, array, arguments[1], items)
        return context.get_dummy_value()

    return types.none(values, array, index), build


@intrinsic
def add_to(typing_context, value, array, index):
    """Add one vector to that at array[index]."""

    def build(context, builder, signature, arguments):
        if value != types.none:
            items = place(context, builder, index, arguments[2])
            _build_add(context, builder, arguments[0], value, array, arguments[1], items)
        return context.get_dummy_value()

    return types.none(value, array, index), build


@intrinsic
def load_rows(typing_context, kind, array, row, lane):
    """The vectors at array[row + k, lane]."""
    result = _tuple_of(Vector(array.dtype), kind)

    def build(context, builder, signature, arguments):
        values = [
            build_load(context, builder, array, arguments[1], items)
            for items in _rows(context, builder, (row, lane), arguments[2:], len(result))
        ]
        return context.make_tuple(builder, result, values)

    return result(kind, array, row, lane), build


@intrinsic
def store_rows(typing_context, values, array, row, lane):
    """Put the vectors to array[row + k, lane]."""

    def build(context, builder, signature, arguments):
        given = {k: pair for k, *pair in _elements(builder, arguments[0], values)}
        rows = _rows(context, builder, (row, lane), arguments[2:], len(values))
        for k, items in enumerate(rows):
            value, kind = given.get(k) or (context.get_constant(array.dtype, 0), array.dtype)
            build_store(context, builder, value, kind, array, arguments[1], items)
        return context.get_dummy_value()

    return types.none(values, array, row, lane), build


def _rows(context, builder, index_types, index, count: int) -> list[list]:
    """Indices (row + k, lane)."""
    first, lane = (
        context.cast(builder, item, kind, types.intp) for item, kind in zip(index, index_types)
    )
    return [[builder.add(first, context.get_constant(types.intp, k)), lane] for k in range(count)]


@intrinsic
def add_weighted(typing_context, sums, weights, row, value):
    """sums + weights[row, k]*value, by each name."""

    def build(context, builder, signature, arguments):
        at = context.cast(builder, arguments[2], row, types.intp)
        results = []
        for k, total, vector in _elements(builder, arguments[0], sums):
            items = [at, context.get_constant(types.intp, k)]
            weight = _number(context, builder, weights, arguments[1], items)
            weight = as_vector(context, builder, weight, weights.dtype, vector)
            results.append(_multiply_add(builder, weight, arguments[3], total))
        return context.make_tuple(builder, sums, results)

    return sums(sums, weights, row, value), build


@intrinsic
def weighted_total(typing_context, values, weights, row):
    """Sum of weights[row, k]*value over the names."""
    vector = Vector(weights.dtype)

    def build(context, builder, signature, arguments):
        at = context.cast(builder, arguments[2], row, types.intp)
        total = context.get_value_type(vector)(None)
        for k, value, kind in _elements(builder, arguments[0], values):
            items = [at, context.get_constant(types.intp, k)]
            weight = _number(context, builder, weights, arguments[1], items)
            weight = as_vector(context, builder, weight, weights.dtype, vector)
            value = as_vector(context, builder, value, kind, vector)
            total = _multiply_add(builder, weight, value, total)
        return total

    return vector(values, weights, row), build
