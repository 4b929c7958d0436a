"""Samples that are missing inside a sequence, as the compiled loops see them."""

from liquid_control.nn.kernels.compile import inlined


@inlined
def goes_on(missing_TB, reset_TB, step, sample):
    """Whether the time of a step adds to that of the one before, whose sample is missing."""
    return (
        missing_TB.size > 0
        and step > 0
        and missing_TB[step - 1, sample]
        and not (reset_TB.size > 0 and reset_TB[step, sample])
    )
