"""Loops over the events of a classical process, compiled: what a likelihood, its gradient and a simulation spend their time in.

All work on plain float64 and int64 arrays, hold no Python object and release the interpreter's lock, so that threads can
share the rows. A state (c, k r) is the sums of decayed events of each type, as in `Excitation`: one row for all excited types
where the decay rates are common to them, otherwise one for each, brought up to date only when an event of its type asks for it.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numba
import numpy as np
import torch

compiled = numba.njit(nogil=True, cache=True)
inlined = numba.njit(nogil=True, cache=True, forceinline=True)  # a call costs more than what these do
ROWS_AT_ONCE = (
    64  # what a thread takes, and what a gradient is summed over first: its digits do not hang on the threads
)

GOES_ON, DONE, SILENT, ABOVE_BOUND = range(4)  # how a row of `thin` ended


def chunks_of(rows: int) -> int:
    return -(-rows // ROWS_AT_ONCE)


def share_rows(rows: int, work: Callable[[slice], object]) -> None:
    """Call `work` with whole chunks of `rows`, on as many threads as PyTorch uses."""
    chunks = chunks_of(rows)
    threads = min(torch.get_num_threads(), chunks)
    if threads <= 1:
        work(slice(0, rows))
        return
    ends = [ROWS_AT_ONCE * (chunks * part // threads) for part in range(threads + 1)]
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, (slice(begin, min(end, rows)) for begin, end in itertools.pairwise(ends))))


@inlined
def _decay(state, lag, gap, rate):
    """Let `gap` pass for one row of the state, (k r,), and of its lag, which may have no length; rate (r,) or (k r,)."""
    for q in range(len(rate)):
        kept = math.exp(-gap * rate[q])
        for m in range(q, len(state), len(rate)):  # all types, where the rates are common to them
            if len(lag):
                lag[m] = kept * (lag[m] + gap * state[m])
            state[m] *= kept


@inlined
def _catch_up(times, types, seen, at, now, decays, rate, state, lag):
    """Bring one row of the state, of just before `at`, to just before `now`; returns the first event that it does not hold.

    state (k r,); lag (k r,): the sum of the same terms times their age, minus the derivative of state by the rate; of no
    length where nobody asks for it.
    """
    while seen < len(times) and times[seen] == at:
        first = types[seen] * decays
        for q in range(decays):
            state[first + q] += 1.0
        seen += 1
    _decay(state, lag, now - at, rate)
    while times[seen] < now:
        first, age = types[seen] * decays, now - times[seen]
        of = first if len(rate) > decays else 0
        for q in range(decays):
            kept = math.exp(-age * rate[of + q])
            state[first + q] += kept
            if len(lag):
                lag[first + q] += age * kept
        seen += 1
    return seen


@compiled
def own_rates(times, types, lengths, decays, baseline, jump, rate, own):
    """own (b, l): baseline and excitation of each event's own type by the events strictly before it.

    times, types (b, l), lengths (b,), baseline (k,), jump (k, k r), rate (1, r) common to all pairs or (k, k r).
    """
    rows, width = len(rate), jump.shape[1]
    state, no_lag = np.zeros((rows, width)), np.zeros(0)
    seen, at = np.zeros(rows, np.int64), np.zeros(rows)
    for row in range(len(times)):
        state[:] = 0.0
        seen[:] = 0
        at[:] = 0.0
        when, what = times[row, : lengths[row]], types[row, : lengths[row]]
        for i in range(lengths[row]):
            k, now = what[i], when[i]
            c = k if rows > 1 else 0
            if now > at[c]:
                seen[c] = _catch_up(when, what, seen[c], at[c], now, decays, rate[c], state[c], no_lag)
                at[c] = now
            value = baseline[k]
            for m in range(width):
                value += jump[k, m] * state[c, m]
            own[row, i] = value


@compiled
def own_rates_gradient(times, types, lengths, decays, jump, rate, upstream, by_baseline, by_jump, by_rate):
    """Add upstream (b, l) times the derivatives of `own_rates` to by_baseline (c, k), by_jump and by_rate (c, k, k r), a chunk
    of ROWS_AT_ONCE rows each."""
    rows, width = len(rate), jump.shape[1]
    state, lag = np.zeros((rows, width)), np.zeros((rows, width))
    seen, at = np.zeros(rows, np.int64), np.zeros(rows)
    for row in range(len(times)):
        state[:] = 0.0
        lag[:] = 0.0
        seen[:] = 0
        at[:] = 0.0
        when, what, chunk = times[row, : lengths[row]], types[row, : lengths[row]], row // ROWS_AT_ONCE
        for i in range(lengths[row]):
            k, now, given = what[i], when[i], upstream[row, i]
            c = k if rows > 1 else 0
            if now > at[c]:
                seen[c] = _catch_up(when, what, seen[c], at[c], now, decays, rate[c], state[c], lag[c])
                at[c] = now
            by_baseline[chunk, k] += given
            for m in range(width):
                by_jump[chunk, k, m] += given * state[c, m]
                by_rate[chunk, k, m] -= given * jump[k, m] * lag[c, m]


@compiled
def completed(left, types, rate, done, lag):
    """Add up the share 1 - exp(-rate left) of its offspring that each event had time for, by its type, and the derivatives.

    left, types (b, l), rate (r,) common to all pairs -> done, lag (b, k, r), lag the derivative by the rate.
    """
    for row in range(len(left)):
        for i in range(left.shape[1]):
            time, m = left[row, i], types[row, i]
            for r in range(len(rate)):
                exponent = -time * rate[r]
                # expm1 is three times as slow, and of use only where the difference would cancel
                share = 1.0 - math.exp(exponent) if exponent < -1e-2 else -math.expm1(exponent)
                done[row, m, r] += share
                lag[row, m, r] += time * (1.0 - share)


@compiled
def thin(
    state,
    now,
    count,
    target,
    end,
    frozen,
    tolerance,
    decays,
    baseline,
    jump,
    rate,
    draws,
    used,
    times,
    types,
    found,
    ended,
):
    """Ogata's thinning of each row until it is done or its draws are used up; everything that it changes has a row each.

    state (b, c, k r) as of now (b,), with the events at it, c and rate as for `own_rates`; count, target (b,) events;
    end (b,); frozen: new events excite nothing. draws (b, n, 3) uniforms, used (b,) of them; times, types (b, n) and
    found (b,): the new events; ended (b,): GOES_ON as long as a row does, then why it stopped. A row whose intensity is above
    its bound by more than `tolerance`, relative, leaves both in times[row, :2].
    """
    rates, no_lag = np.empty(len(jump)), np.zeros(0)
    for row in range(len(now)):
        if ended[row] != GOES_ON:
            continue
        here = state[row]
        total = _rates(here, baseline, jump, rates)
        ended[row] = DONE
        while count[row] < target[row] and now[row] < end[row]:
            if used[row] == draws.shape[1]:
                ended[row] = GOES_ON
                break
            if total == 0 and math.isinf(end[row]):
                ended[row] = SILENT
                break
            wait, accept, choose = draws[row, used[row]]
            used[row] += 1
            ceiling, gap = total, end[row] - now[row]
            step = -math.log1p(-wait) / ceiling if ceiling > 0 else np.inf
            missed = not step <= gap
            if not missed:
                gap = step
            for c in range(len(here)):
                _decay(here[c], no_lag, gap, rate[c])
            now[row] = end[row] if missed else now[row] + gap
            total = _rates(here, baseline, jump, rates)
            if not total <= ceiling * (1 + tolerance):
                ended[row] = ABOVE_BOUND
                times[row, 0], times[row, 1] = total, ceiling
                break
            if missed or accept * ceiling >= total:
                continue
            k, below = 0, rates[0]
            while below < choose * total and k < len(rates) - 1:
                k += 1
                below += rates[k]
            times[row, found[row]], types[row, found[row]] = now[row], k
            found[row] += 1
            count[row] += 1
            if not frozen:
                for c in range(len(here)):
                    for q in range(k * decays, (k + 1) * decays):
                        here[c, q] += 1.0
                total = _rates(here, baseline, jump, rates)


@inlined
def _rates(state, baseline, jump, rates):
    """Fill rates (k,) with each type's intensity; returns their sum."""
    total = 0.0
    for k in range(len(rates)):
        c = k if len(state) > 1 else 0
        value = baseline[k]
        for m in range(jump.shape[1]):
            value += jump[k, m] * state[c, m]
        rates[k] = value
        total += value
    return total
