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


class Results(NamedTuple):
    """Results of b c continuations.

    Attributes:
        counts: (b c, H, T) int64, the counts; zeros before.
        capped: (b c,) bool, whether a continuation stopped at the largest number of events.
        ended: (b c,) int64, RAN, NOT_FINITE or ABOVE_BOUND.
        wrong: (b c, 3) float64, the time, the intensity and the bound of a continuation that did not run.
    """

    counts: np.ndarray
    capped: np.ndarray
    ended: np.ndarray
    wrong: np.ndarray


class Lanes(NamedTuple):
    """The continuations that run side by side, one per lane.

    Attributes:
        base: (k, LANES) float64, the link's argument without amplitudes.
        amplitude: (k, j, LANES) float64.
        rates: (k, LANES) float64, each type's intensity.
        states: (n, d, LANES) float32, the network's states.
        work: (6 d + 2 n + 6 + k, LANES) float32, scratch of the network.
        clock: (9, LANES) float64: the time now, of the last event, and of the end; the intensity now; the bound, the length of
            its interval, the wait and the uniform number of the latest proposal; the scaled gap before the latest event.
        numbers: (7, LANES) int64: number of the continuation, its row, random numbers used, times passed, events so far,
            whether the latest proposal was missed, type of the latest event.
        stream: (2, LANES) uint64, key and increment of the random numbers.
        tally: (LANES, T) int64, counted events so far.
        marks: (3, LANES) bool: whether the lane runs, waits for a proposal that is accepted, has accepted one.
    """

    base: np.ndarray
    amplitude: np.ndarray
    rates: np.ndarray
    states: np.ndarray
    work: np.ndarray
    clock: np.ndarray
    numbers: np.ndarray
    stream: np.ndarray
    tally: np.ndarray
    marks: np.ndarray


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
def _intensities(intensity, lanes):
    """Compute each type's intensity and their sum in all lanes."""
    total = lanes.clock[3]
    for w in range(LANES):
        total[w] = 0.0
    for k in range(lanes.base.shape[0]):
        own = lanes.rates[k]
        for w in range(LANES):
            own[w] = lanes.base[k, w]
        for j in range(lanes.amplitude.shape[1]):
            for w in range(LANES):
                own[w] += lanes.amplitude[k, j, w]
        beta = intensity.softness[k]
        if beta > 0.0:
            factor = beta / intensity.scale
            for w in range(LANES):
                own[w] = factor * soft_64(own[w] / beta)
        for w in range(LANES):
            total[w] += own[w]


@fused
def _wait(intensity, lanes):
    """Move all lanes on by their waits, without an event."""
    wait, kept = lanes.clock[6], lanes.clock[8]  # the gap is written later
    shared = intensity.rate.shape[0] == 1
    for j in range(lanes.amplitude.shape[1]):
        for k in range(lanes.base.shape[0]):
            if k == 0 or not shared:
                for w in range(LANES):
                    kept[w] = exp_64(-wait[w] * intensity.rate[k, j])
            for w in range(LANES):
                lanes.amplitude[k, j, w] *= kept[w]
    for k in range(lanes.base.shape[0]):
        if intensity.slope[k] != 0.0:
            for w in range(LANES):
                lanes.base[k, w] += intensity.slope[k] * wait[w]


@fused
def _rising_bound(intensity, lanes, w):
    """Return a bound of lane w's intensity over the next interval, and the interval's length; see `thinning._bound`."""
    length = min(FIRST_EXPECTED / max(lanes.clock[3, w], FAINTEST), lanes.clock[2, w] - lanes.clock[0, w])
    while True:
        bound = 0.0
        for k in range(lanes.base.shape[0]):
            beta = intensity.softness[k]
            highest = max(lanes.base[k, w], lanes.base[k, w] + intensity.slope[k] * length) / beta
            bound += beta / intensity.scale * (max(highest, 0.0) + math.log1p(math.exp(-abs(highest))))
        if not bound * length > EXPECTED:  # a bound that is not a number ends the search too
            return bound, length
        length /= 4.0


@fused
def _start(intensity, histories, keys, each, number, lanes, w):
    """Start continuation `number` in lane w, if it has time to run."""
    row = number // each
    start, last, until = histories.start[row], histories.last[row], histories.until[row, -1]
    if until <= start:
        return
    lanes.marks[0, w] = True
    for number_of in range(2, len(lanes.numbers)):
        lanes.numbers[number_of, w] = 0
    lanes.numbers[0, w], lanes.numbers[1, w] = number, row
    lanes.stream[0, w], lanes.stream[1, w] = keys[number], _increment(keys[number])
    lanes.clock[0, w], lanes.clock[1, w], lanes.clock[2, w] = start, last, until
    for group in range(lanes.tally.shape[1]):
        lanes.tally[w, group] = 0
    for k in range(lanes.base.shape[0]):
        rate = intensity.rate[k if intensity.rate.shape[0] > 1 else 0]
        lanes.base[k, w] = histories.base[row, k] + intensity.slope[k] * (start - last)
        for j in range(lanes.amplitude.shape[1]):
            lanes.amplitude[k, j, w] = histories.amplitude[row, k, j] * math.exp(-(start - last) * rate[j])
    for s in range(lanes.states.shape[0]):
        for i in range(lanes.states.shape[1]):
            lanes.states[s, i, w] = histories.states[row, s, i]


@fused
def _propose(intensity, lanes):
    """Draw the next proposal of every lane that waits for one, and move to it or to the end of its interval."""
    clock = lanes.clock
    now, until, total, ceiling, span, wait, uniform = (
        clock[0],
        clock[2],
        clock[3],
        clock[4],
        clock[5],
        clock[6],
        clock[7],
    )
    key, increment = lanes.stream[0], lanes.stream[1]
    draw, missed, waiting = lanes.numbers[2], lanes.numbers[5], lanes.marks[1]
    for w in range(LANES):
        ceiling[w], span[w] = total[w], until[w] - now[w]
    if intensity.rising:
        for w in range(LANES):
            if waiting[w]:
                ceiling[w], span[w] = _rising_bound(intensity, lanes, w)
    for w in range(LANES):
        step = -log_64(_uniform(key[w], increment[w], draw[w])) / ceiling[w]  # infinite if the ceiling is 0
        uniform[w] = _uniform(key[w], increment[w], draw[w] + 1)
        missed[w] = 0 if step <= span[w] else 1
        wait[w] = (step if step <= span[w] else span[w]) if waiting[w] else 0.0
    for w in range(LANES):
        if waiting[w]:
            draw[w] += 2
            now[w] = until[w] if missed[w] and span[w] == until[w] - now[w] else now[w] + wait[w]
    _wait(intensity, lanes)
    _intensities(intensity, lanes)


@fused
def _decide(histories, counted, max_events, tolerance, lanes, results):
    """Accept or reject the proposals, and return how many lanes still wait for one."""
    clock, numbers = lanes.clock, lanes.numbers
    now, until, total, ceiling, uniform = clock[0], clock[2], clock[3], clock[4], clock[7]
    number, row, passed, grown, missed, happened = (
        numbers[0], numbers[1], numbers[3], numbers[4], numbers[5], numbers[6],
    )  # fmt: skip
    running, waiting, moved = lanes.marks[0], lanes.marks[1], lanes.marks[2]
    still = 0
    for w in range(LANES):
        if not waiting[w]:
            continue
        times, counts = histories.until[row[w]], results.counts[number[w]]
        if not total[w] <= ceiling[w] * (1 + tolerance) or not math.isfinite(total[w]):  # NaN fails too
            finite = math.isfinite(total[w]) and math.isfinite(ceiling[w])
            results.ended[number[w]] = ABOVE_BOUND if finite else NOT_FINITE
            results.wrong[number[w], 0], results.wrong[number[w], 1] = now[w], total[w]
            results.wrong[number[w], 2] = ceiling[w]
            running[w] = waiting[w] = False
        elif missed[w] and now[w] == until[w]:
            _pass(times, np.inf, lanes.tally[w], counts, passed[w])
            running[w] = waiting[w] = False
        elif missed[w] or uniform[w] * ceiling[w] >= total[w]:
            still += 1
        else:
            # Given that the proposal is accepted, `chosen` is uniform below the total, and picks the type.
            k, chosen, below = 0, uniform[w] * ceiling[w], lanes.rates[0, w]
            while below <= chosen and k < len(lanes.rates) - 1:
                k += 1
                below += lanes.rates[k, w]
            happened[w], waiting[w], moved[w] = k, False, True
            passed[w] = _pass(times, now[w], lanes.tally[w], counts, passed[w])
            grown[w] += 1
            if now[w] > histories.counted_from[row[w]]:
                for group in range(len(counted)):
                    lanes.tally[w, group] += counted[group, k]
            if grown[w] == max_events:
                results.capped[number[w]] = True
                _pass(times, np.inf, lanes.tally[w], counts, passed[w])
                running[w] = False
    return still


@inlined
def _pass(times, now, tally, counts, passed):
    """Write tally (T,) to the counts (H, T) of all times before `now`; return the number of times that are written now."""
    while passed < len(times) and times[passed] < now:
        for group in range(len(tally)):
            counts[passed, group] = tally[group]
        passed += 1
    return passed


@fused
def _excite(intensity, lanes):
    """Add the new events to the amplitudes, and compute the scaled gaps before them; 0 in lanes without a new event."""
    now, last, gap = lanes.clock[0], lanes.clock[1], lanes.clock[8]
    happened, moved, decays = lanes.numbers[6], lanes.marks[2], intensity.jump.shape[2]
    for w in range(LANES):
        gap[w] = 0.0
        if moved[w]:
            gap[w] = (now[w] - last[w]) / intensity.scale
            last[w] = now[w]
            first = 0 if intensity.rate.shape[0] == 1 else happened[w] * decays
            for k in range(lanes.base.shape[0]):
                for j in range(decays):
                    lanes.amplitude[k, first + j, w] += intensity.jump[happened[w], k, j]


@fused
def continue_rows(
    intensity, weights, networked, histories, counted, keys, each, first, end, frozen, max_events, tolerance, results
):
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
        results: The `Results` to fill.
    """
    k, j = histories.amplitude.shape[1], histories.amplitude.shape[2]
    n, d = histories.states.shape[1], histories.states.shape[2]
    lanes = Lanes(
        np.zeros((k, LANES)), np.zeros((k, j, LANES)), np.zeros((k, LANES)), np.zeros((n, d, LANES), np.float32),
        np.zeros((6 * d + 2 * n + 6 + k, LANES), np.float32), np.zeros((9, LANES)), np.zeros((7, LANES), np.int64),
        np.zeros((2, LANES), np.uint64), np.zeros((LANES, len(counted)), np.int64), np.zeros((3, LANES), np.bool_),
    )  # fmt: skip
    following, running = first, lanes.marks[0]
    while True:
        going = 0
        for w in range(LANES):
            while not running[w] and following < end:
                _start(intensity, histories, keys, each, following, lanes, w)
                following += 1
            lanes.marks[1, w], lanes.marks[2, w] = running[w], False
            going += running[w]
        if going == 0:
            return
        _intensities(intensity, lanes)
        for _ in range(SWEEPS):
            _propose(intensity, lanes)
            if _decide(histories, counted, max_events, tolerance, lanes, results) == 0:
                break
        if not frozen:
            _excite(intensity, lanes)
            if networked:
                advance(weights, lanes.states, lanes.numbers[6], lanes.clock[8], lanes.marks[2], lanes.work, lanes.base)


def no_network() -> NetworkWeights:
    """Return weights of width 0, for a process without a network."""
    flat, square = np.zeros(0, np.float32), np.zeros((0, 0), np.float32)
    return NetworkWeights(0, 0, *[square] * 3, flat, flat, flat, flat, square, square, flat, square, flat)
