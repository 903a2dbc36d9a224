"""Compiled loops that compute the features of the classical likelihood for Fisher scoring."""

from __future__ import annotations

import numpy as np

from models.hawkes.compiled import ROWS_AT_ONCE, catch_up, compiled


@compiled
def own_states(times, types, lengths, first, offsets, wanted, decays, rate, states, lags):
    """Write the decayed sums that excite each event's own type just before the event.

    Args:
        times: (b, l).
        types: (b, l).
        lengths: (b,).
        first: Number of the first event of a row that is scored.
        offsets: (b,), position of a row's first wanted event in `states` and `lags`.
        wanted: (k,) bool, the types whose events are written.
        decays: Exponentials per pair.
        rate: (1, r) if common to all pairs, else (k, k r).
        states: (n, k r), receives the sums.
        lags: (n, k r), receives the sums of the same terms, each times its age. They are minus the derivatives of `states`
            by the rate. (n, 0) if they are not needed.
    """
    rows, width = len(rate), states.shape[1]
    state, lag = np.zeros((rows, width)), np.zeros((rows, lags.shape[1]))
    seen, at = np.zeros(rows, np.int64), np.zeros(rows)
    for row in range(len(times)):
        state[:] = 0.0
        lag[:] = 0.0
        seen[:] = 0
        when, what, place = times[row, : lengths[row]], types[row, : lengths[row]], offsets[row]
        at[:] = when[0] if len(when) else 0.0
        for i in range(first, lengths[row]):
            k, now = what[i], when[i]
            if not wanted[k]:
                continue
            c = k if rows > 1 else 0
            if now > at[c]:
                seen[c] = catch_up(when, what, seen[c], at[c], now, decays, rate[c], state[c], lag[c])
                at[c] = now
            states[place] = state[c]
            lags[place] = lag[c]
            place += 1


@compiled
def exposures(times, types, lengths, end, decays, wanted, rate, done, lag):
    """Sum by type the share of its offspring that each event had time for, and the derivative of that share by the rate.

    Args:
        times: (b, l).
        types: (b, l).
        lengths: (b,).
        end: (b,), end of each window, at or after the row's last event.
        decays: Exponentials per pair.
        wanted: (c,) bool, the rows of `rate` to compute.
        rate: (1, r) if common to all pairs, else (k, k r).
        done: (chunks, c, k r), receives the sums of 1 - exp(-rate (end - t)), ROWS_AT_ONCE rows per chunk.
        lag: (chunks, c, k r), receives the sums of (end - t) exp(-rate (end - t)).
    """
    for row in range(len(times)):
        chunk = row // ROWS_AT_ONCE
        for i in range(lengths[row]):
            left, m = end[row] - times[row, i], types[row, i]
            for c in range(len(rate)):
                if not wanted[c]:
                    continue
                for q in range(m * decays, (m + 1) * decays):
                    share = -np.expm1(-left * rate[c, q % rate.shape[1]])
                    done[chunk, c, q] += share
                    lag[chunk, c, q] += left * (1.0 - share)
