"""One pass over the arrays of an event batch: what is wrong with them, and copies with a clean padding."""

from __future__ import annotations

import math

import numba

RIGHT, LENGTH, END, TIME, ORDER, TYPE = range(6)  # what `place` found


@numba.njit(nogil=True, cache=True)
def place(times, types, lengths, t_end, placed, kinds):
    """Copy times and types (b, l) to placed and kinds, or to themselves, with t_end and 0 in the padding.

    Returns what is wrong first, its row and event, and the highest type: RIGHT; LENGTH outside [0, l]; END negative or not
    finite; TIME outside [0, t_end]; ORDER: an event before the one ahead of it; TYPE negative.
    """
    highest = -1
    for row in range(len(times)):
        length, end = lengths[row], t_end[row]
        if length < 0 or length > times.shape[1]:
            return LENGTH, row, 0, highest
        if not (end >= 0 and math.isfinite(end)):
            return END, row, 0, highest
        for i in range(times.shape[1]):
            if i >= length:
                placed[row, i], kinds[row, i] = end, 0
                continue
            time, kind = times[row, i], types[row, i]
            if not 0 <= time <= end:  # nor is NaN
                return TIME, row, i, highest
            if i and time < times[row, i - 1]:
                return ORDER, row, i, highest
            if kind < 0:
                return TYPE, row, i, highest
            placed[row, i], kinds[row, i] = time, kind
            highest = max(highest, kind)
    return RIGHT, 0, 0, highest
