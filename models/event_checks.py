"""A compiled pass over the arrays of an event batch that checks them and fills their padding."""

from __future__ import annotations

import math

import numba

RIGHT, LENGTH, START, END, TIME, ORDER, TYPE = range(7)  # results of `place`


@numba.njit(nogil=True, cache=True)
def place(times, types, lengths, t_start, t_end, placed, kinds):
    """Check an event batch, and copy times and types to `placed` and `kinds` with t_end and 0 in the padding.

    `placed` and `kinds` may be `times` and `types` themselves.

    Args:
        times: (b, l) float64.
        types: (b, l) int64.
        lengths: (b,) int64, real events per row.
        t_start: (b,) float64, start of each window.
        t_end: (b,) float64, end of each window.
        placed: (b, l) float64, receives the times.
        kinds: (b, l) int64, receives the types.

    Returns:
        The first fault, its row, its event, and the highest type so far. The fault is RIGHT (none); LENGTH (outside
        [0, l]); START (not finite); END (not finite or before t_start); ORDER (an event earlier than the previous one);
        TIME (not finite or outside [t_start, t_end]); or TYPE (negative).
    """
    highest = -1
    for row in range(len(times)):
        length, start, end = lengths[row], t_start[row], t_end[row]
        if length < 0 or length > times.shape[1]:
            return LENGTH, row, 0, highest
        if not math.isfinite(start):
            return START, row, 0, highest
        if not (end >= start and math.isfinite(end)):
            return END, row, 0, highest
        for i in range(1, length):  # checked first: an unsorted row often leaves its window too
            if times[row, i] < times[row, i - 1]:
                return ORDER, row, i, highest
        for i in range(times.shape[1]):
            if i >= length:
                placed[row, i], kinds[row, i] = end, 0
                continue
            time, kind = times[row, i], types[row, i]
            if not start <= time <= end:  # written so that NaN is refused too
                return TIME, row, i, highest
            if kind < 0:
                return TYPE, row, i, highest
            placed[row, i], kinds[row, i] = time, kind
            highest = max(highest, kind)
    return RIGHT, 0, 0, highest
