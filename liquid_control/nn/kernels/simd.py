"""Vectors of LANES numbers as a type inside numba kernels: one sample of the batch a lane.

A kernel that is written with them holds its sums in registers and computes on whole registers,
which LLVM's loop vectoriser does not manage for short loops over arrays that might overlap. LLVM
splits a vector into as many registers as the processor needs for it (AVX-512: two for float32).

``load`` and ``store`` move a vector from and to ``array[index]``, index being a tuple that ends
with the first lane; ``+ - * /`` take vectors and numbers; ``exp``, ``sigmoid``, ``tanh``, ``size``
(absolute value), ``sign``, ``positive_part``, ``total`` (sum of the lanes) and ``select`` do what
they say. NaN goes through all of them and infinities saturate.
"""

import operator

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic, models, overload, register_model

from liquid_control.nn.kernels.calls import LANES
from liquid_control.nn.kernels.compile import inlined
from liquid_control.nn.kernels.functions import exp, positive_part, sigmoid, sign, size, tanh

# nnan and ninf are left out, so that NaN and infinity keep their meaning
FLAGS = ("reassoc", "contract", "arcp", "nsz")


class Vector(types.Type):
    """Type of LANES numbers that are computed at once."""

    def __init__(self, dtype: types.Float) -> None:
        self.dtype = dtype
        super().__init__(f"Vector({dtype})")


def _llvm(vector: Vector) -> ir.VectorType:
    element = {types.float32: ir.FloatType(), types.float64: ir.DoubleType()}[vector.dtype]
    return ir.VectorType(element, LANES)


@register_model(Vector)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager, vector) -> None:
        super().__init__(manager, vector, _llvm(vector))


def _splat(builder, scalar, vector: Vector):
    llvm = _llvm(vector)
    first = builder.insert_element(ir.Constant(llvm, ir.Undefined), scalar, ir.IntType(32)(0))
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), LANES), None)
    return builder.shuffle_vector(first, ir.Constant(llvm, ir.Undefined), zeros)


def as_vector(context, builder, value, kind: types.Type, vector: Vector):
    """The value as a vector; a scalar is repeated in every lane."""
    if isinstance(kind, Vector):
        return value
    return _splat(builder, context.cast(builder, value, kind, vector.dtype), vector)


def _call(builder, name: str, vector: Vector, x):
    llvm = _llvm(vector)
    kind = ir.FunctionType(llvm, [llvm])
    name = f"llvm.{name}.v{LANES}f{vector.dtype.bitwidth}"
    function = cgutils.get_or_insert_function(builder.module, kind, name)
    return builder.call(function, [x], fastmath=FLAGS)


def _define_binary(operation, build_operation) -> None:
    @intrinsic
    def apply(typing_context, a, b):
        vector = a if isinstance(a, Vector) else b

        def build(context, builder, signature, arguments):
            pair = (
                as_vector(context, builder, value, kind, vector)
                for value, kind in zip(arguments, signature.args)
            )
            return build_operation(builder, *pair)

        return vector(a, b), build

    @overload(operation, jit_options={"forceinline": True})
    def typed(a, b):
        if isinstance(a, Vector) or isinstance(b, Vector):
            return lambda a, b: apply(a, b)


def smaller(a, b):
    """The smaller of two numbers, lane by lane; NaN in ``a`` stays."""


def larger(a, b):
    """The larger of two numbers, lane by lane; NaN in ``a`` stays."""


def _compare_and_pick(comparison: str):
    def build(builder, a, b):
        return builder.select(builder.fcmp_ordered(comparison, b, a), b, a)

    return build


for _operation, _build in (
    (operator.add, lambda builder, a, b: builder.fadd(a, b, flags=FLAGS)),
    (operator.sub, lambda builder, a, b: builder.fsub(a, b, flags=FLAGS)),
    (operator.mul, lambda builder, a, b: builder.fmul(a, b, flags=FLAGS)),
    (operator.truediv, lambda builder, a, b: builder.fdiv(a, b, flags=FLAGS)),
    (smaller, _compare_and_pick("<")),
    (larger, _compare_and_pick(">")),
):
    _define_binary(_operation, _build)


def place(context, builder, index_type, index, *more: int) -> list:
    """The numbers of an index tuple, and further ones behind them."""
    items = [
        context.cast(builder, item, kind, types.intp)
        for item, kind in zip(cgutils.unpack_tuple(builder, index), index_type)
    ]
    return items + [context.get_constant(types.intp, number) for number in more]


def pointer_to(context, builder, array_type, array, items, element):
    """Pointer to what begins at array[items], which is an ``element`` of LLVM."""
    proxy = context.make_array(array_type)(context, builder, array)
    pointer = cgutils.get_item_pointer(context, builder, array_type, proxy, items)
    return builder.bitcast(pointer, element.as_pointer())


def build_load(context, builder, array_type, array, items):
    """The vector that begins at array[items]."""
    llvm = _llvm(Vector(array_type.dtype))
    value = builder.load(pointer_to(context, builder, array_type, array, items, llvm))
    value.align = array_type.dtype.bitwidth // 8
    return value


def build_store(context, builder, value, kind, array_type, array, items) -> None:
    """Put a vector, or a number in every lane, to array[items]."""
    vector = Vector(array_type.dtype)
    given = as_vector(context, builder, value, kind, vector)
    pointer = pointer_to(context, builder, array_type, array, items, _llvm(vector))
    builder.store(given, pointer).align = array_type.dtype.bitwidth // 8


@intrinsic
def load(typing_context, array, index):
    """The vector that an array holds at an index of its outer axes."""

    def build(context, builder, signature, arguments):
        items = place(context, builder, index, arguments[1])
        return build_load(context, builder, array, arguments[0], items)

    return Vector(array.dtype)(array, index), build


@intrinsic
def store(typing_context, value, array, index):
    """Write a vector into an array, at an index of its outer axes."""

    def build(context, builder, signature, arguments):
        given, target, where = arguments
        items = place(context, builder, index, where)
        build_store(context, builder, given, value, array, target, items)
        return context.get_dummy_value()

    return types.none(value, array, index), build


@intrinsic
def splat(typing_context, x):
    """The number ``x`` in every lane."""
    vector = Vector(x)
    return vector(x), lambda context, builder, _, arguments: _splat(builder, *arguments, vector)


@intrinsic
def zeros(typing_context, array):
    """A vector of zeros of the array's dtype."""
    vector = Vector(array.dtype)
    return vector(array), lambda context, builder, signature, arguments: _llvm(vector)(None)


@intrinsic
def select(typing_context, mask, index, a, b):
    """``a`` where the bool array ``mask`` is set, from ``index`` on, and ``b`` elsewhere."""
    vector = a if isinstance(a, Vector) else b

    def build(context, builder, signature, arguments):
        bytes_type = ir.VectorType(ir.IntType(8), LANES)
        items = place(context, builder, index, arguments[1])
        pointer = pointer_to(context, builder, mask, arguments[0], items, bytes_type)
        value = builder.load(pointer)
        value.align = 1
        is_set = builder.icmp_unsigned("!=", value, bytes_type(None))
        pair = (
            as_vector(context, builder, value, kind, vector)
            for value, kind in zip(arguments[2:], signature.args[2:])
        )
        return builder.select(is_set, *pair)

    return vector(mask, index, a, b), build


@intrinsic
def total(typing_context, x):
    """Sum of the lanes."""

    def build(context, builder, signature, arguments):
        llvm = _llvm(x)
        kind = ir.FunctionType(llvm.element, [llvm.element, llvm])
        name = f"llvm.vector.reduce.fadd.v{LANES}f{x.dtype.bitwidth}"
        function = cgutils.get_or_insert_function(builder.module, kind, name)
        return builder.call(function, [llvm.element(-0.0), *arguments], fastmath=FLAGS)

    return x.dtype(x), build


@intrinsic
def _size(typing_context, x):
    return x(x), lambda context, builder, _, arguments: _call(builder, "fabs", x, *arguments)


@intrinsic
def _sign(typing_context, x):
    def build(context, builder, signature, arguments):
        zero = _llvm(x)(None)
        one, minus = (_splat(builder, zero.type.element(value), x) for value in (1.0, -1.0))
        negative = builder.select(builder.fcmp_ordered("<", arguments[0], zero), minus, zero)
        return builder.select(builder.fcmp_ordered(">", arguments[0], zero), one, negative)

    return x(x), build


@intrinsic
def _floor(typing_context, x):
    return x(x), lambda context, builder, _, arguments: _call(builder, "floor", x, *arguments)


@intrinsic
def _library_exp(typing_context, x):
    return x(x), lambda context, builder, _, arguments: _call(builder, "exp", x, *arguments)


@intrinsic
def _scaled(typing_context, p, n, x):
    """p * 2**n of float32 with whole n; x where x is NaN."""

    def build(context, builder, signature, arguments):
        p_value, n_value, x_value = arguments
        integers = ir.VectorType(ir.IntType(32), LANES)
        exponent = builder.fptosi(n_value, integers)
        exponent = builder.shl(
            builder.add(exponent, integers([127] * LANES)), integers([23] * LANES)
        )
        scaled = builder.fmul(p_value, builder.bitcast(exponent, _llvm(p)), flags=FLAGS)
        return builder.select(builder.fcmp_unordered("uno", x_value, x_value), x_value, scaled)

    return p(p, n, x), build


@inlined
def _exp_float32(x):
    """A polynomial: relative error below 2e-7."""
    clamped = smaller(larger(x, -87.0), 88.0)
    n = _floor(clamped * 1.44269504 + 0.5)
    r = clamped - n * 0.693359375 - n * -2.12194440e-4  # |r| <= ln(2)/2
    p = ((((r * (1 / 720) + 1 / 120) * r + 1 / 24) * r + 1 / 6) * r + 0.5) * r + 1.0
    return _scaled(p * r + 1.0, n, x)


def _exp(x):
    if x.dtype == types.float32:
        return lambda x: _exp_float32(x)
    return lambda x: _library_exp(x)  # serves gradient checks


def _sigmoid(x):
    return lambda x: 1.0 / (1.0 + exp(0.0 - x))


def _tanh(x):
    return lambda x: 1.0 - 2.0 / (1.0 + exp(x + x))


def _define_function(function, of_vector) -> None:
    @overload(function, jit_options={"forceinline": True})
    def typed(x):
        return of_vector(x) if isinstance(x, Vector) else None


for _function, _of_vector in (
    (exp, _exp),
    (sigmoid, _sigmoid),
    (tanh, _tanh),
    (size, lambda x: lambda x: _size(x)),
    (sign, lambda x: lambda x: _sign(x)),
    (positive_part, lambda x: lambda x: larger(x, 0.0)),
):
    _define_function(_function, _of_vector)
