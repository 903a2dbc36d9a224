"""Compiled loops over the events of a classical process, for its likelihood, the gradient and simulation.

All of them work on plain float64 and int64 arrays and release the interpreter's lock, so that threads can share the rows.

A state (c, k r) holds the sums of decayed events of each type, as in `Excitation`. If the decay rates are common to all
pairs, c = 1. Otherwise c = k, one row per excited type, and a row is updated only when an event of its type needs it.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numba
import numpy as np
import torch

# numpy's error model: a baseline of 0 gives a logarithm of -inf instead of an exception
compiled = numba.njit(nogil=True, cache=True, error_model="numpy")
inlined = numba.njit(
    nogil=True, cache=True, forceinline=True
)  # a call would cost more than the body of these functions
# Rows per chunk. Gradients are summed per chunk first, so that their digits do not depend on the number of threads.
ROWS_AT_ONCE = 64

GOES_ON, DONE, SILENT, ABOVE_BOUND, NOT_FINITE = range(5)  # why `thin` stopped at a row


def chunks_of(rows: int) -> int:
    """Return the number of chunks of ROWS_AT_ONCE that hold `rows` rows."""
    return -(-rows // ROWS_AT_ONCE)


def share_rows(rows: int, work: Callable[[slice], object]) -> None:
    """Call `work` with slices of whole chunks of `rows` rows, on as many threads as PyTorch uses."""
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
    """Decay one row of the state (k r,) and of its lag (k r,) or (0,) by `gap`; rate is (r,) or (k r,)."""
    for q in range(len(rate)):
        kept = math.exp(-gap * rate[q])
        for m in range(q, len(state), len(rate)):  # all types, if they share the rates
            if len(lag):
                lag[m] = kept * (lag[m] + gap * state[m])
            state[m] *= kept


@inlined
def catch_up(times, types, seen, at, now, decays, rate, state, lag):
    """Advance one row of the state from just before `at` to just before `now`, in place.

    Args:
        times: (n,), the sequence's times.
        types: (n,), the sequence's types.
        seen: Number of the first event that the state does not include.
        at: Time of the state.
        now: Time to advance to.
        decays: Exponentials per pair.
        rate: (r,) or (k r,).
        state: (k r,), updated.
        lag: (k r,), updated: the sum of the state's terms, each times its age. It is minus the derivative of the state by
            the rate. (0,) if it is not needed.

    Returns:
        The number of the first event that the state does not include now.
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
    """Add the log-intensity of each event's own type to `logs`, given the events strictly before it.

    Args:
        times: (b, l).
        types: (b, l).
        lengths: (b,).
        first: Number of the first event that is scored.
        each: 1 for one number per event, 0 for the sum over each row.
        decays: Exponentials per pair.
        baseline: (k,).
        jump: (k, k r).
        rate: (1, r) if common to all pairs, else (k, k r).
        logs: (b, l) if each is 1, else (b, 1); updated.
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
    """Add the gradient of `log_rates` to by_baseline (chunks, k), by_jump and by_rate (chunks, k, k r).

    A chunk has ROWS_AT_ONCE rows. `upstream` has the shape of `logs`; the other arguments are those of `log_rates`.
    """
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
            if upstream[row, i * each] == 0:  # the intensity may be 0 too, and 0 / 0 would make the whole gradient NaN
                continue
            k, now = what[i], when[i]
            c = k if rows > 1 else 0
            if now > at[c]:
                seen[c] = catch_up(when, what, seen[c], at[c], now, decays, rate[c], state[c], lag[c])
                at[c] = now
            weight = upstream[row, i * each] / _rate(state[c], baseline[k], jump[k])
            by_baseline[chunk, k] += weight
            for m in range(width):
                by_jump[chunk, k, m] += weight * state[c, m]
                by_rate[chunk, k, m] -= weight * jump[k, m] * lag[c, m]


@inlined
def _rate(state, baseline, jump):
    """Return one type's intensity; state and jump are (k r,)."""
    value = baseline
    for m in range(len(state)):
        value += jump[m] * state[m]
    return value


@compiled
def offspring(times, types, lengths, end, decays, branching, rate, caused, done, lag):
    """Write the expected offspring of all events until the end of the window to `caused`.

    Args:
        times: (b, l).
        types: (b, l).
        lengths: (b,).
        end: (b,), at or after each row's last event.
        decays: Exponentials per pair.
        branching: (k, k r).
        rate: (1, r) if common to all pairs, else (k, k r).
        caused: (b, k), receives the expected offspring by type.
        done: (b, 1 or k, k r), zeros; receives the shares 1 - exp(-rate (end - t)), summed by the event's type.
        lag: (b, 1 or k, k r), zeros; receives the derivatives of `done` by the rate.
    """
    for row in range(len(times)):
        for i in range(lengths[row]):
            left, m = end[row] - times[row, i], types[row, i]
            for c in range(len(rate)):
                for q in range(m * decays, (m + 1) * decays):
                    exponent = -left * rate[c, q % rate.shape[1]]
                    # expm1 is three times as slow, and matters only where the difference would cancel
                    share = 1.0 - math.exp(exponent) if exponent < -1e-2 else -math.expm1(exponent)
                    done[row, c, q] += share
                    lag[row, c, q] += left * (1.0 - share)
        for k in range(len(branching)):
            caused[row, k] = _rate(done[row, k if len(rate) > 1 else 0], 0.0, branching[k])


@compiled
def offspring_gradient(upstream, branching, done, lag, by_branching, by_rate):
    """Add the gradient of `offspring` to by_branching and by_rate (chunks, k, k r).

    A chunk has ROWS_AT_ONCE rows. `upstream` is (b, k); `done` and `lag` are as `offspring` filled them.
    """
    for row in range(len(upstream)):
        chunk = row // ROWS_AT_ONCE
        for k in range(len(branching)):
            weight, c = upstream[row, k], k if done.shape[1] > 1 else 0
            for m in range(branching.shape[1]):
                by_branching[chunk, k, m] += weight * done[row, c, m]
                by_rate[chunk, k, m] += weight * branching[k, m] * lag[row, c, m]


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
    """Simulate each row by Ogata's thinning until it ends or its random numbers are used up.

    Args:
        state: (b, c, k r), the state at `now` including the events at that time; updated.
        now: (b,), the current time; updated.
        count: (b,), events so far; updated.
        target: (b,), number of events at which a row ends.
        end: (b,), time at which a row ends; may be infinite.
        frozen: Whether new events excite nothing.
        tolerance: By how much, relative, an intensity may exceed its bound.
        decays: Exponentials per pair.
        baseline: (k,).
        jump: (k, k r).
        rate: (1, r) if common to all pairs, else (k, k r).
        draws: (b, n, 3), uniform random numbers: waiting time, acceptance and type of each proposal.
        used: (b,), how many of the n proposals are used; updated.
        times: (b, n), receives the new events' times. For ABOVE_BOUND, times[row, :2] holds the intensity and its bound.
        types: (b, n), receives the new events' types.
        found: (b,), number of new events; updated.
        ended: (b,), GOES_ON for rows that need more random numbers; otherwise why the row stopped. Updated.
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
    """Fill rates (k,) with each type's intensity and return their sum."""
    total = 0.0
    for k in range(len(rates)):
        c = k if len(state) > 1 else 0
        rates[k] = _rate(state[c], baseline[k], jump[k])
        total += rates[k]
    return total
