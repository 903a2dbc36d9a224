"""Thinning of many continuations at once in compiled code, which counts the new events and stores none of them.

LANES continuations run side by side: each step makes a few proposals in every lane, and then evaluates the network once, for
the lanes whose proposal was accepted. A lane whose continuation has ended takes the next one. A continuation's random numbers
come from a counter and a key of its own, so that its events depend neither on the other lanes nor on the thread.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from models.hawkes.compiled_math import exp_64, fused, inlined, soft_64
from models.hawkes.compiled_network import LANES, NetworkWeights, advance

RAN, NOT_FINITE, ABOVE_BOUND = range(3)  # how a continuation ended
SWEEPS = 3  # proposals per lane before the network is evaluated for the lanes that have accepted one
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
        jump: (k, k, j), what an event of the type in the first dimension adds to the amplitudes.
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
def _uniform(key, draw):
    """Return uniform random number `draw` in [0, 1) of the stream `key` (SplitMix64 with an increment per stream)."""
    increment = _mixed(key ^ np.uint64(0xD1B54A32D192ED03)) | np.uint64(1)
    return float(_mixed(key + np.uint64(draw + 1) * increment) >> np.uint64(11)) * 2.0**-53


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
    now, last, total, ceiling, wait, gap = np.zeros((6, LANES))
    job, draw, passed, grown, kind = np.zeros((5, LANES), np.int64)
    tally = np.zeros((LANES, counted.shape[0]), np.int64)
    active, pending, moved = np.zeros((3, LANES), np.bool_)
    following = first
    while True:
        going = 0
        for w in range(LANES):
            while not active[w] and following < end:  # the next continuation that has time to run
                row = following // each
                if histories.until[row, -1] > histories.start[row]:
                    active[w], job[w] = True, following
                    now[w], last[w] = histories.start[row], histories.last[row]
                    draw[w], passed[w], grown[w] = 0, 0, 0
                    tally[w] = 0
                    since = now[w] - last[w]
                    for k in range(types_count):
                        own = intensity.rate[k if intensity.rate.shape[0] > 1 else 0]
                        base[k, w] = histories.base[row, k] + intensity.slope[k] * since
                        for j in range(depth):
                            amplitude[k, j, w] = histories.amplitude[row, k, j] * math.exp(-since * own[j])
                    for s in range(n):
                        for i in range(d):
                            states[s, i, w] = histories.states[row, s, i]
                following += 1
            going += active[w]
        if going == 0:
            return
        _intensities(intensity, base, amplitude, rates, total)
        pending[:], moved[:] = active, False
        for _ in range(SWEEPS):
            for w in range(LANES):
                wait[w] = 0.0
                if not pending[w]:
                    continue
                row = job[w] // each
                left = histories.until[row, -1] - now[w]
                ceiling[w], length = total[w], left
                if intensity.rising:
                    ceiling[w], length = _rising_bound(intensity, base, w, total[w], left)
                step = -math.log1p(-_uniform(keys[job[w]], 2 * draw[w])) / ceiling[w] if ceiling[w] > 0.0 else np.inf
                wait[w] = step if step <= length else length
                kind[w] = (
                    0 if step <= length else 1 if length < left else 2
                )  # a proposal; end of the interval; of the row
                now[w] = histories.until[row, -1] if kind[w] == 2 else now[w] + wait[w]
            _decay(intensity, wait, base, amplitude)
            _intensities(intensity, base, amplitude, rates, total)
            waiting = 0
            for w in range(LANES):
                if not pending[w]:
                    continue
                number = job[w]
                row = number // each
                times = histories.until[row]
                if not (math.isfinite(total[w]) and math.isfinite(ceiling[w])) or not total[w] <= ceiling[w] * (
                    1 + tolerance
                ):
                    ended[number] = ABOVE_BOUND if math.isfinite(total[w]) and math.isfinite(ceiling[w]) else NOT_FINITE
                    wrong[number, 0], wrong[number, 1], wrong[number, 2] = now[w], total[w], ceiling[w]
                    active[w] = pending[w] = False
                    continue
                if kind[w] == 2:
                    passed[w] = _pass(times, np.inf, tally[w], counts[number], passed[w])
                    active[w] = pending[w] = False
                    continue
                chosen = _uniform(keys[number], 2 * draw[w] + 1) * ceiling[w]
                draw[w] += 1
                if kind[w] == 1 or chosen >= total[w]:
                    waiting += 1
                    continue
                pending[w], moved[w] = False, True
                k, below = 0, rates[0, w]
                while below <= chosen and k < types_count - 1:  # given that it is below the total, `chosen` is uniform
                    k += 1
                    below += rates[k, w]
                kind[w] = k
                passed[w] = _pass(times, now[w], tally[w], counts[number], passed[w])
                grown[w] += 1
                if now[w] > histories.counted_from[row]:
                    for group in range(counted.shape[0]):
                        tally[w, group] += counted[group, k]
                if grown[w] == max_events:
                    capped[number] = True
                    passed[w] = _pass(times, np.inf, tally[w], counts[number], passed[w])
                    active[w] = False
            if waiting == 0:
                break
        if frozen:
            continue
        for w in range(LANES):
            kind[w] = kind[w] if moved[w] else 0
            gap[w] = (now[w] - last[w]) / intensity.scale if moved[w] else 0.0
            if moved[w]:
                last[w] = now[w]
                for k in range(types_count):
                    for j in range(depth):
                        amplitude[k, j, w] += intensity.jump[kind[w], k, j]
        if networked:
            advance(weights, states, kind, gap, moved, work, base)


def no_network(num_types: int) -> NetworkWeights:
    """Return weights of width 0, for a process without a network."""
    flat, square = np.zeros(0, np.float32), np.zeros((0, 0), np.float32)
    return NetworkWeights(0, 0, *[square] * 5, flat, flat, flat, flat, square, square, flat, square, flat)
