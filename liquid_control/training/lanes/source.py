"""C++ of a trace: one function over blocks of LANES environments, all of it in vectors.

The vectors are those of GCC and Clang (``vector_size``), which the compiler splits into as many
registers as the processor needs. exp, sin and cos are the polynomials of Cephes in single precision
(Moshier, https://www.netlib.org/cephes/), for the angles of a
step (below 8192 rad). NaN goes through all functions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from liquid_control.training.lanes.adjoint import ancestors
from liquid_control.training.lanes.symbols import Operand, Symbol

LANES = 16

PREAMBLE = """
#include <cstdint>
enum { LANES = %d };
typedef float V __attribute__((vector_size(4 * LANES)));
typedef float Row __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef int32_t I __attribute__((vector_size(4 * LANES)));
#define EACH for (int k = 0; k < LANES; ++k)
static inline V sqrt_(V x) { V r; EACH r[k] = __builtin_sqrtf(x[k]); return r; }
static inline V ceil_(V x) { V r; EACH r[k] = __builtin_ceilf(x[k]); return r; }
static inline V floor_(V x) { V r; EACH r[k] = __builtin_floorf(x[k]); return r; }
static inline V abs_(V x) { V r; EACH r[k] = __builtin_fabsf(x[k]); return r; }
static inline V max_(V a, V b) { return a < b ? b : a; }
static inline V min_(V a, V b) { return b < a ? b : a; }
static inline V all(float x) { V r; EACH r[k] = x; return r; }
static inline V exp_(V x) {
  V c = x < all(-87.f) ? all(-87.f) : x;
  c = c > all(88.f) ? all(88.f) : c;
  V n = floor_(c * 1.44269504f + 0.5f);
  V r = c - n * 0.693359375f;
  r = r + n * 2.12194440e-4f;
  V p = all(1.9875691500e-4f);
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.f;
  I e = (__builtin_convertvector(n, I) + 127) << 23;
  V s;
  __builtin_memcpy(&s, &e, sizeof s);
  return x != x ? x : p * s;
}
static inline V sigmoid_(V x) { return 1.f / (1.f + exp_(-x)); }
static inline V tanh_(V x) {
  V z = x * x;
  V p = all(-5.70498872745e-3f);
  p = p * z + 2.06390887954e-2f;
  p = p * z - 5.37397155531e-2f;
  p = p * z + 1.33314422036e-1f;
  p = p * z - 3.33332819422e-1f;
  V far = 1.f - 2.f / (1.f + exp_(x + x));
  return abs_(x) < all(0.625f) ? p * z * x + x : far;
}
static inline V expm1_(V x) {
  V p = all(1.f / 5040.f);
  p = p * x + 1.f / 720.f;
  p = p * x + 1.f / 120.f;
  p = p * x + 1.f / 24.f;
  p = p * x + 1.f / 6.f;
  p = p * x + 0.5f;
  return abs_(x) < all(0.3f) ? p * x * x + x : exp_(x) - 1.f;
}
static inline V wave_(V x, int32_t quarter) {
  V n = floor_(x * 0.636619772f + 0.5f);
  V r = x - n * 1.5703125f;
  r = r - n * 4.837512969970703125e-4f;
  r = r - n * 7.549789948768648e-8f;
  V z = r * r;
  V s = ((all(-1.9515295891e-4f) * z + 8.3321608736e-3f) * z - 1.6666654611e-1f) * z * r + r;
  V c = ((all(2.443315711809948e-5f) * z - 1.388731625493765e-3f) * z + 4.166664568298827e-2f)
    * z * z - 0.5f * z + 1.f;
  I q = __builtin_convertvector(n, I) + quarter;
  V w = (q & 1) == 1 ? c : s;
  return (q & 2) == 2 ? -w : w;
}
typedef const int32_t* Indices;
static void sums_(int n, Indices start, Indices source, Indices weight,
                  const float* __restrict weights, const V* __restrict z, V* __restrict y) {
  for (int i = 0; i < n; ++i) {
    V a = all(0.f), b = all(0.f);
    int s = start[i];
    for (; s + 1 < start[i + 1]; s += 2) {
      a += weights[weight[s]] * z[source[s]];
      b += weights[weight[s + 1]] * z[source[s + 1]];
    }
    if (s < start[i + 1]) a += weights[weight[s]] * z[source[s]];
    y[i] = a + b;
  }
}
static void sums_back_(int n, Indices start, Indices source, Indices weight,
                       const float* __restrict weights, const V* __restrict z,
                       const V* __restrict d, V* __restrict d_z, float* __restrict d_weights) {
  for (int i = 0; i < n; ++i) {
    V g = d[i];
    for (int s = start[i]; s < start[i + 1]; ++s) {
      d_z[source[s]] += weights[weight[s]] * g;
      *(Row*)(d_weights + LANES * weight[s]) += z[source[s]] * g;
    }
  }
}
static inline V sin_(V x) { return wave_(x, 0); }
static inline V cos_(V x) { return wave_(x, 1); }
""".replace("%d", str(LANES))

_CURVES = ("tanh", "sigmoid", "expm1")
_FORMS = {
    "add": "{} + {}",
    "sub": "{} - {}",
    "mul": "{} * {}",
    "div": "{} / {}",
    "neg": "-{}",
    "max": "max_({}, {})",
    "min": "min_({}, {})",
    "lt": "{} < {} ? all(1.f) : all(0.f)",
    "le": "{} <= {} ? all(1.f) : all(0.f)",
    "where": "{} != all(0.f) ? {} : {}",
    **{name: f"{name}_({{}})" for name in ("sqrt", "exp", "sin", "cos", "abs", "ceil", *_CURVES)},
}


class Output(NamedTuple):
    """A row that a function writes, or adds to."""

    group: str
    row: int
    value: Operand
    added: bool = False
    summed: bool = (
        False  # over all blocks; the row is of LANES numbers, which are still to be summed
    )


class Function(NamedTuple):
    """What is computed of which groups."""

    groups: tuple[str, ...]  # arguments, in order
    outputs: Sequence[Output]


def function_source(name: str, function: Function) -> str:
    """C++ of ``name(lanes, groups...)``.

    Each group is a pointer to its row 0; row k lies ``k * lanes`` numbers behind it, ``lanes``
    being a multiple of LANES. No group that is written may be one that is read.
    """
    outputs = function.outputs
    symbols = sorted(ancestors([output.value for output in outputs]), key=lambda s: s.number)
    written: dict[Operand, list[str]] = {}  # as soon as it is known, so that a register is free
    for output in outputs:
        place = _place(output.group, output.row, output.summed)
        sign = "+=" if output.added or output.summed else "="
        line = f"  {place} {sign} {_vector(output.value)};"
        written.setdefault(output.value, []).append(line)
    lines = []
    for symbol in symbols:
        lines += [*_statement(symbol), *written.pop(symbol, ())]
    lines += [line for rest in written.values() for line in rest]  # numbers
    pointers = ", ".join(f"float* {group}" for group in function.groups)
    body = "\n".join(lines)
    return (
        f'extern "C" void {name}(int64_t lanes, {pointers}) {{\n'
        f"for (int64_t b = 0; b < lanes; b += {LANES}) {{\n{body}\n}}\n}}\n"
    )


def _place(group: str, row: int, summed: bool = False) -> str:
    if summed:
        return f"*(Row*)({group} + {row * LANES})"
    return f"*(Row*)({group} + ({row} * lanes + b))"


def _vector(value: Operand) -> str:
    return f"v{value.number}" if isinstance(value, Symbol) else f"all({float(value)!r}f)"


def _statement(symbol: Symbol) -> list[str]:
    if symbol.op == "linear":
        return _linear(symbol)
    if symbol.op == "linear_back":
        return _linear_back(symbol)
    return [f"  V v{symbol.number} = {_expression(symbol)};"]


def _expression(symbol: Symbol) -> str:
    if symbol.op == "read":
        return _place(*symbol.args)
    if symbol.op == "weight":
        group, index = symbol.args
        return f"all({group}[{index}])"
    if symbol.op == "item":
        whole, index = symbol.args
        return f"v{whole.number}[{index}]"
    return _FORMS[symbol.op].format(*(_vector(operand) for operand in symbol.args))


def _array(name: str, values: Sequence[Operand]) -> str:
    return f"  V {name}[] = {{{', '.join(map(_vector, values))}}};"


def _linear(symbol: Symbol) -> list[str]:
    synapses, *sources = symbol.args
    k = symbol.number
    tables = {"start": synapses.start, "source": synapses.source, "weight": synapses.weight}
    return [
        *(
            f"  static const int32_t {name}{k}[] = {{{', '.join(map(str, values))}, 0}};"
            for name, values in tables.items()
        ),
        _array(f"z{k}", sources),
        f"  V v{k}[{len(synapses.start) - 1}];",
        f"  sums_({len(synapses.start) - 1}, start{k}, source{k}, weight{k}, weights, z{k}, v{k});",
    ]


def _linear_back(symbol: Symbol) -> list[str]:
    linear, *given = symbol.args
    (synapses, *sources), k, b = linear.args, linear.number, symbol.number
    return [
        _array(f"d{b}", given),
        f"  V v{b}[{len(sources)}];",
        f"  for (V& d : v{b}) d = all(0.f);",
        f"  sums_back_({len(synapses.start) - 1}, start{k}, source{k}, weight{k}, weights, z{k}, "
        f"d{b}, v{b}, d_weights);",
    ]
