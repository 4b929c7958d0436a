"""Samples that are missing inside a sequence, as the compiled loops see them.

Their time waits for the next sample and their state is held. What a loop computes in their place is
thrown away, and its gradient is zero; zero times infinity would still be NaN. So that it is finite
whatever came in, it is a step of one nominal dt, from rest, without input.
"""

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


@inlined
def pass_time(missing_TB, reset_TB, step, lane, t_L, waited_L):
    """Add the time that waits to that of a step, in place; 1 where its sample is missing.

    waited_L: time since the last sample at the end of the step before, and then of this one.
    """
    for b in range(t_L.size):
        if goes_on(missing_TB, reset_TB, step, lane + b):
            t_L[b] += waited_L[b]
        waited_L[b] = t_L[b]
        if missing_TB[step, lane + b]:
            t_L[b] = 1
