"""The functions that a mode's kernel may call besides ``+ - * /``, and what they compute.

Called from Python they take NumPy arrays, so that a mode's kernel functions can be tried as they
are. Inside a compiled kernel :mod:`liquid_control.nn.kernels.simd` puts vectors in their place.
This module needs no numba, so that a mode can be described where none is installed.
"""

import numpy as np


def exp(x):
    """e to the x."""
    return np.exp(x)


def sigmoid(x):
    """The logistic function, 1/(1 + exp(-x))."""
    return 1.0 / (1.0 + np.exp(-x))


def tanh(x):
    """Hyperbolic tangent of x."""
    return np.tanh(x)


def size(x):
    """Absolute value of x."""
    return np.abs(x)


def sign(x):
    """1, 0 or -1."""
    return np.sign(x)


def positive_part(x):
    """x where it is above 0, else 0."""
    return np.maximum(x, 0.0)
