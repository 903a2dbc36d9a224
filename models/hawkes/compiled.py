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

# of numpy's errors: a baseline of 0 gives a logarithm of -inf, not an exception
compiled = numba.njit(nogil=True, cache=True, error_model="numpy")
inlined = numba.njit(nogil=True, cache=True, forceinline=True)  # a call costs more than what these do
# what a thread takes, and what a gradient is summed over first: its digits do not hang on the threads
ROWS_AT_ONCE = 64

GOES_ON, DONE, SILENT, ABOVE_BOUND, NOT_FINITE = range(5)  # how a row of `thin` ended


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
def catch_up(times, types, seen, at, now, decays, rate, state, lag):
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
def log_rates(times, types, lengths, first, each, decays, baseline, jump, rate, logs):
    """Add to logs the logarithm of each event's own intensity, by the events strictly before it: from event `first` on.

    times, types (b, l), lengths (b,), baseline (k,), jump (k, k r), rate (1, r) common to all pairs or (k, k r); logs (b, l)
    with each = 1, (b, 1) for a row's sum with each = 0.
    """
    rows, width = len(rate), jump.shape[1]
    state, no_lag = np.zeros((rows, width)), np.zeros(0)
    seen, at = np.zeros(rows, np.int64), np.zeros(rows)
    for row in range(len(times)):
        state[:] = 0.0
        seen[:] = 0
        when, what = times[row, : lengths[row]], types[row, : lengths[row]]
        at[:] = when[0] if len(when) else 0.0
        for i in range(first, lengths[row]):
            k, now = what[i], when[i]
            c = k if rows > 1 else 0
            if now > at[c]:
                seen[c] = catch_up(when, what, seen[c], at[c], now, decays, rate[c], state[c], no_lag)
                at[c] = now
            logs[row, i * each] += math.log(_rate(state[c], baseline[k], jump[k]))


@compiled
def log_rates_gradient(
    times, types, lengths, first, each, decays, baseline, jump, rate, upstream, by_baseline, by_jump, by_rate
):
    """Add upstream, shaped as logs, times the derivatives of `log_rates` to by_baseline (c, k), by_jump and by_rate
    (c, k, k r), a chunk of ROWS_AT_ONCE rows each."""
    rows, width = len(rate), jump.shape[1]
    state, lag = np.zeros((rows, width)), np.zeros((rows, width))
    seen, at = np.zeros(rows, np.int64), np.zeros(rows)
    for row in range(len(times)):
        state[:] = 0.0
        lag[:] = 0.0
        seen[:] = 0
        when, what, chunk = times[row, : lengths[row]], types[row, : lengths[row]], row // ROWS_AT_ONCE
        at[:] = when[0] if len(when) else 0.0
        for i in range(first, lengths[row]):
            if upstream[row, i * each] == 0:  # its intensity may be 0 too, and 0 / 0 would spoil everyone's gradient
                continue
            k, now = what[i], when[i]
            c = k if rows > 1 else 0
            if now > at[c]:
                seen[c] = catch_up(when, what, seen[c], at[c], now, decays, rate[c], state[c], lag[c])
                at[c] = now
            given = upstream[row, i * each] / _rate(state[c], baseline[k], jump[k])
            by_baseline[chunk, k] += given
            for m in range(width):
                by_jump[chunk, k, m] += given * state[c, m]
                by_rate[chunk, k, m] -= given * jump[k, m] * lag[c, m]


@inlined
def _rate(state, baseline, jump):
    """One type's intensity: state and jump (k r,)."""
    value = baseline
    for m in range(len(state)):
        value += jump[m] * state[m]
    return value


@compiled
def offspring(times, types, lengths, end, decays, branching, rate, caused, done, lag):
    """Add up what each event caused until the window's end: its expected offspring times the share that had time to come.

    times, types (b, l), lengths, end (b,), branching (k, k r), rate (1, r) common to all pairs or (k, k r) -> caused (b, k).
    done (b, 1 or k, k r): the shares 1 - exp(-rate (end - t)), summed by the event's type; lag: their derivatives by the rate.
    """
    for row in range(len(times)):
        for i in range(lengths[row]):
            left, m = end[row] - times[row, i], types[row, i]
            for c in range(len(rate)):
                for q in range(m * decays, (m + 1) * decays):
                    exponent = -left * rate[c, q % rate.shape[1]]
                    # expm1 is three times as slow, and of use only where the difference would cancel
                    share = 1.0 - math.exp(exponent) if exponent < -1e-2 else -math.expm1(exponent)
                    done[row, c, q] += share
                    lag[row, c, q] += left * (1.0 - share)
        for k in range(len(branching)):
            caused[row, k] = _rate(done[row, k if len(rate) > 1 else 0], 0.0, branching[k])


@compiled
def offspring_gradient(upstream, branching, done, lag, by_branching, by_rate):
    """Add upstream (b, k) times the derivatives of `offspring`, as it left done and lag, to by_branching and by_rate
    (c, k, k r), a chunk of ROWS_AT_ONCE rows each."""
    for row in range(len(upstream)):
        chunk = row // ROWS_AT_ONCE
        for k in range(len(branching)):
            given, c = upstream[row, k], k if done.shape[1] > 1 else 0
            for m in range(branching.shape[1]):
                by_branching[chunk, k, m] += given * done[row, c, m]
                by_rate[chunk, k, m] += given * branching[k, m] * lag[row, c, m]


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
            if not math.isfinite(total):
                ended[row] = NOT_FINITE
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
        rates[k] = _rate(state[c], baseline[k], jump[k])
        total += rates[k]
    return total
