"""Thinning of many continuations at once in compiled code, which counts the new events and stores none of them.

LANES continuations run side by side: each step makes a few proposals in every lane, and then evaluates the network once, for
the lanes whose proposal was accepted. A lane whose continuation has ended takes the next one. A continuation's random numbers
come from a counter and a key of its own, so that its events depend neither on the other lanes nor on the thread.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from models.hawkes.compiled_math import exp_64, fused, inlined, log_64, soft_64
from models.hawkes.compiled_network import LANES, NetworkWeights, advance

RAN, NOT_FINITE, ABOVE_BOUND = range(3)  # how a continuation ended
PROPOSAL, MISSED = range(2)  # what a wait ends with: a proposal, or the end of the interval
SWEEPS = 2  # proposals per lane before the network is evaluated for the lanes that have accepted one
EXPECTED, FIRST_EXPECTED = (
    8.0,
    2.0,
)  # largest and first expected number of proposals in an interval with a rising intensity
FAINTEST = 1e-30


class Intensity(NamedTuple):
    """What determines the intensities between events, float64; times are in the unit of the events.

    Attributes:
        softness: (k,), beta of the link; 0 for the identity.
        scale: Unit of the scaled clock.
        rate: (1 or k, j), decay rates of the amplitudes.
        jump: (k, k, r), what an event of the type in the first dimension adds to r amplitudes of each type. These are all of
            them if all pairs have the same rates (`rate` has one row), and otherwise those from number `r * type` on.
        slope: (k,), change of the link's argument per unit of time.
        rising: Whether an intensity can grow between events.
    """

    softness: np.ndarray
    scale: float
    rate: np.ndarray
    jump: np.ndarray
    slope: np.ndarray
    rising: bool


class Histories(NamedTuple):
    """The observed histories of b rows.

    Attributes:
        base: (b, k) float64, the link's argument without amplitudes, at the last event.
        amplitude: (b, k, j) float64, at the last event.
        states: (b, n, d) float32, the network's states; (b, 0, 0) without a network.
        last: (b,) float64, time of the last event.
        start: (b,) float64, time at which the continuations start.
        until: (b, H) float64, ascending times until which events are counted.
        counted_from: (b,) float64, time up to which events are not counted.
    """

    base: np.ndarray
    amplitude: np.ndarray
    states: np.ndarray
    last: np.ndarray
    start: np.ndarray
    until: np.ndarray
    counted_from: np.ndarray


@inlined
def _mixed(value):
    """Return a hash of a 64-bit number (the finaliser of SplitMix64)."""
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))


@fused
def continuation_keys(seeds, keys):
    """Fill keys (b, c) uint64 with one key per continuation, from the rows' seeds (b,) uint64."""
    for row in range(keys.shape[0]):
        for number in range(keys.shape[1]):
            keys[row, number] = _mixed(_mixed(seeds[row]) + np.uint64(number + 1) * np.uint64(0x9E3779B97F4A7C15))


@inlined
def _increment(key):
    """Return the odd increment of the stream `key`."""
    return _mixed(key ^ np.uint64(0xD1B54A32D192ED03)) | np.uint64(1)


@inlined
def _uniform(key, increment, draw):
    """Return uniform random number `draw` in (0, 1) of the stream `key` (SplitMix64 with an increment per stream)."""
    bits = _mixed(key + np.uint64(draw + 1) * increment) >> np.uint64(12)
    # The bits become the mantissa of a number from 1 to 2.
    return np.uint64(bits | np.uint64(0x3FF0000000000000)).view(np.float64) - (1.0 - 2.0**-53)


@fused
def _intensities(intensity, base, amplitude, rates, total):
    """Fill rates (k, LANES) with each type's intensity and total (LANES,) with their sum."""
    total[:] = 0.0
    for k in range(base.shape[0]):
        own = rates[k]
        own[:] = base[k]
        for j in range(amplitude.shape[1]):
            for w in range(LANES):
                own[w] += amplitude[k, j, w]
        beta = intensity.softness[k]
        if beta > 0.0:
            factor = beta / intensity.scale
            for w in range(LANES):
                own[w] = factor * soft_64(own[w] / beta)
        for w in range(LANES):
            total[w] += own[w]


@fused
def _decay(intensity, wait, base, amplitude):
    """Move all lanes on by wait (LANES,) without an event."""
    for k in range(base.shape[0]):
        rates = intensity.rate[k if intensity.rate.shape[0] > 1 else 0]
        for j in range(amplitude.shape[1]):
            for w in range(LANES):
                amplitude[k, j, w] *= exp_64(-wait[w] * rates[j])
        if intensity.slope[k] != 0.0:
            for w in range(LANES):
                base[k, w] += intensity.slope[k] * wait[w]


@fused
def _rising_bound(intensity, base, w, total, left):
    """Return a bound of lane w's intensity over the next interval, and the interval's length; see `thinning._bound`."""
    length = min(FIRST_EXPECTED / max(total, FAINTEST), left)
    while True:
        bound = 0.0
        for k in range(base.shape[0]):
            beta = intensity.softness[k]
            highest = max(base[k, w], base[k, w] + intensity.slope[k] * length) / beta
            bound += beta / intensity.scale * (max(highest, 0.0) + math.log1p(math.exp(-abs(highest))))
        if bound * length <= EXPECTED:
            return bound, length
        length /= 4.0


@fused
def _pass(times, now, tally, counts, passed):
    """Write tally (T,) to the counts (H, T) of all times before `now`; return the number of times that are written now."""
    while passed < len(times) and times[passed] < now:
        counts[passed] = tally
        passed += 1
    return passed


@fused
def continue_rows(
    intensity, weights, networked, histories, counted, keys, each, first, end, frozen, max_events, tolerance,
    counts, capped, ended, wrong,
):  # fmt: skip
    """Simulate the continuations `first` to `end` - 1 and count their events.

    Args:
        intensity: An `Intensity`.
        weights: The `NetworkWeights`; not used without a network.
        networked: Whether there is a network.
        histories: The `Histories` of b rows.
        counted: (T, k) bool, the types of each group.
        keys: (b c,) uint64, one per continuation; number i continues row i // c.
        each: Number c of continuations per row.
        first: Number of the first continuation.
        end: Number after the last continuation.
        frozen: Whether new events change no intensity.
        max_events: Largest number of new events per continuation.
        tolerance: By how much, relative, an intensity may exceed its bound.
        counts: (b c, H, T) int64, zeros, receives the counts.
        capped: (b c,) bool, receives whether a continuation stopped at max_events.
        ended: (b c,) int64, receives RAN, NOT_FINITE or ABOVE_BOUND.
        wrong: (b c, 3) float64, receives the time, the intensity and the bound of a continuation that did not run.
    """
    types_count, depth = histories.base.shape[1], histories.amplitude.shape[2]
    n, d = histories.states.shape[1], histories.states.shape[2]
    base, rates = np.zeros((types_count, LANES)), np.zeros((types_count, LANES))
    amplitude, states = np.zeros((types_count, depth, LANES)), np.zeros((n, d, LANES), np.float32)
    work = np.zeros((7 * d + 2 * n + 6 + types_count + 1, LANES), np.float32)
    now, last, until, total, ceiling, span, wait, gap = np.zeros((8, LANES))
    job, row, draw, passed, grown, kind, happened = np.zeros((7, LANES), np.int64)
    decays = intensity.jump.shape[2]
    key, increment = np.zeros((2, LANES), np.uint64)
    tally = np.zeros((LANES, counted.shape[0]), np.int64)
    active, pending, moved = np.zeros((3, LANES), np.bool_)
    following = first
    while True:
        going = 0
        for w in range(LANES):
            while not active[w] and following < end:  # the next continuation that has time to run
                of = following // each
                if histories.until[of, -1] > histories.start[of]:
                    active[w], job[w], row[w], key[w] = True, following, of, keys[following]
                    increment[w] = _increment(key[w])
                    now[w], last[w], until[w] = histories.start[of], histories.last[of], histories.until[of, -1]
                    draw[w], passed[w], grown[w] = 0, 0, 0
                    tally[w] = 0
                    since = now[w] - last[w]
                    for k in range(types_count):
                        own = intensity.rate[k if intensity.rate.shape[0] > 1 else 0]
                        base[k, w] = histories.base[of, k] + intensity.slope[k] * since
                        for j in range(depth):
                            amplitude[k, j, w] = histories.amplitude[of, k, j] * math.exp(-since * own[j])
                    for s in range(n):
                        for i in range(d):
                            states[s, i, w] = histories.states[of, s, i]
                following += 1
            going += active[w]
        if going == 0:
            return
        _intensities(intensity, base, amplitude, rates, total)
        pending[:], moved[:] = active, False
        for _ in range(SWEEPS):
            for w in range(LANES):
                ceiling[w], span[w] = total[w], until[w] - now[w]
            if intensity.rising:
                for w in range(LANES):
                    if pending[w]:
                        ceiling[w], span[w] = _rising_bound(intensity, base, w, total[w], span[w])
            for w in range(LANES):
                # A ceiling of 0 makes the wait infinite.
                step = -log_64(_uniform(key[w], increment[w], 2 * draw[w])) / ceiling[w]
                kind[w] = PROPOSAL if step <= span[w] else MISSED
                wait[w] = (step if step <= span[w] else span[w]) if pending[w] else 0.0
            for w in range(LANES):
                if pending[w]:
                    at_end = kind[w] == MISSED and span[w] == until[w] - now[w]
                    now[w] = until[w] if at_end else now[w] + wait[w]
            _decay(intensity, wait, base, amplitude)
            _intensities(intensity, base, amplitude, rates, total)
            waiting = 0
            for w in range(LANES):
                if not pending[w]:
                    continue
                number = job[w]
                if not total[w] <= ceiling[w] * (1 + tolerance) or not math.isfinite(total[w]):  # NaN fails too
                    finite = math.isfinite(total[w]) and math.isfinite(ceiling[w])
                    ended[number] = ABOVE_BOUND if finite else NOT_FINITE
                    wrong[number, 0], wrong[number, 1], wrong[number, 2] = now[w], total[w], ceiling[w]
                    active[w] = pending[w] = False
                    continue
                if now[w] >= until[w] and kind[w] == MISSED:
                    _pass(histories.until[row[w]], np.inf, tally[w], counts[number], passed[w])
                    active[w] = pending[w] = False
                    continue
                chosen = _uniform(key[w], increment[w], 2 * draw[w] + 1) * ceiling[w]
                draw[w] += 1
                if kind[w] == MISSED or chosen >= total[w]:
                    waiting += 1
                    continue
                pending[w], moved[w] = False, True
                k, below = 0, rates[0, w]
                while below <= chosen and k < types_count - 1:  # given that it is below the total, `chosen` is uniform
                    k += 1
                    below += rates[k, w]
                happened[w] = k
                passed[w] = _pass(histories.until[row[w]], now[w], tally[w], counts[number], passed[w])
                grown[w] += 1
                if now[w] > histories.counted_from[row[w]]:
                    for group in range(counted.shape[0]):
                        tally[w, group] += counted[group, k]
                if grown[w] == max_events:
                    capped[number] = True
                    _pass(histories.until[row[w]], np.inf, tally[w], counts[number], passed[w])
                    active[w] = False
            if waiting == 0:
                break
        if frozen:
            continue
        for w in range(LANES):
            gap[w] = 0.0
            if moved[w]:
                gap[w] = (now[w] - last[w]) / intensity.scale
                last[w] = now[w]
                first_changed = 0 if intensity.rate.shape[0] == 1 else happened[w] * decays
                for k in range(types_count):
                    for j in range(decays):
                        amplitude[k, first_changed + j, w] += intensity.jump[happened[w], k, j]
        if networked:
            advance(weights, states, happened, gap, moved, work, base)


def no_network() -> NetworkWeights:
    """Return weights of width 0, for a process without a network."""
    flat, square = np.zeros(0, np.float32), np.zeros((0, 0), np.float32)
    return NetworkWeights(0, 0, *[square] * 3, flat, flat, flat, flat, square, square, flat, square, flat)
