"""Forecasts of all events until a horizon: from simulated continuations, and two baselines without a model (HoTPP)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from models.hawkes.compiled import compiled
from models.long_horizon import ScoredEvents

LEAST_GAIN = 0.5  # continuations; a guess that is right in fewer is not made


def likely_events(
    continuations: Sequence[tuple[np.ndarray, np.ndarray]],
    *,
    num_types: int,
    horizon: float,
    tolerance: float,
    candidates: int = 40,
) -> ScoredEvents:
    """Return the guesses that match most events of simulated continuations, for T-mAP.

    For each type, guesses are made one after the other. Each is put where it raises the expected size of the largest matching
    with the events of a continuation most, and that gain is its score: the probability that the guess is right beside the
    guesses before it.

    Args:
        continuations: Times since the start of the forecast, ascending, and int64 types of each simulated continuation.
        num_types: Number of types.
        horizon: End of the forecast.
        tolerance: Largest distance in time at which a guess is right.
        candidates: Number of times that are tried, evenly spaced.

    Returns:
        The guesses.

    Example:
        >>> both = [(np.array([1.0, 6.0]), np.array([0, 0])), (np.array([1.2]), np.array([0]))]
        >>> guesses = likely_events(both, num_types=1, horizon=8.0, tolerance=1.0, candidates=8)
        >>> guesses.times.tolist(), guesses.scores.tolist()
        ([0.5, 5.5], [1.0, 0.5])
    """
    places = (np.arange(candidates) + 0.5) * horizon / candidates
    found: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    kinds = np.concatenate([types for _, types in continuations])
    rows = np.repeat(np.arange(len(continuations)), [len(types) for _, types in continuations])
    times = np.concatenate([when for when, _ in continuations])
    for kind in range(num_types):
        own = (kinds == kind) & (times < horizon)
        ends = np.cumsum(np.bincount(rows[own], minlength=len(continuations)))
        at, gains = _greedy(times[own], ends, places, tolerance, LEAST_GAIN)
        found.append((at, np.full(len(at), kind), gains / len(continuations)))
    return ScoredEvents(*(np.concatenate(part) for part in zip(*found)))


@compiled
def _greedy(times, ends, places, tolerance, least):
    """Return guesses and their gains, in continuations; times holds the events of all continuations, ends where each ends."""
    most, begin = 0, 0
    for row in range(len(ends)):
        most, begin = max(most, ends[row] - begin), ends[row]
    guesses, gains, sizes = np.empty(2 * most), np.empty(2 * most), np.zeros(len(ends), np.int64)
    made = 0
    while made < len(guesses):
        best, best_gain = -1, least
        for place in range(len(places)):
            position = _insert(guesses, made, places[place])
            gain, begin = 0, 0
            for row in range(len(ends)):
                gain += _largest(times[begin : ends[row]], guesses[: made + 1], tolerance) - sizes[row]
                begin = ends[row]
            for later in range(position, made):  # take it out again
                guesses[later] = guesses[later + 1]
            if gain > best_gain:
                best, best_gain = place, gain
        if best < 0:
            break
        position = _insert(guesses, made, places[best])
        for later in range(made, position, -1):
            gains[later] = gains[later - 1]
        gains[position] = best_gain
        made += 1
        begin = 0
        for row in range(len(ends)):
            sizes[row] = _largest(times[begin : ends[row]], guesses[:made], tolerance)
            begin = ends[row]
    return guesses[:made], gains[:made]


@compiled
def _insert(guesses, made, place):
    """Insert a place into the first `made` guesses, which ascend, and return its position."""
    position = made
    while position > 0 and guesses[position - 1] >= place:
        guesses[position] = guesses[position - 1]
        position -= 1
    guesses[position] = place
    return position


@compiled
def _largest(events, guesses, tolerance):
    """Return the size of the largest matching of two ascending arrays whose pairs are at most `tolerance` apart."""
    pairs, event, guess = 0, 0, 0
    while event < len(events) and guess < len(guesses):
        if events[event] < guesses[guess] - tolerance:
            event += 1
        elif events[event] > guesses[guess] + tolerance:
            guess += 1
        else:
            pairs, event, guess = pairs + 1, event + 1, guess + 1
    return pairs


def likely_sequence(
    continuations: Sequence[tuple[np.ndarray, np.ndarray]], *, num_types: int, length: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the `length` next events as one sequence, for OTD.

    The n-th event of a type is in the sequence if it is one of the `length` most frequent ones among the first `length` events
    of the continuations. Its time is the median over these continuations.

    Args:
        continuations: Times since the start of the forecast, ascending, and int64 types of each continuation. Together they
            have at least `length` different events.
        num_types: Number of types.
        length: Number of events.

    Returns:
        Times, ascending, and types.

    Example:
        >>> three = [(np.array([1.0, 2.0]), np.array([0, 1])), (np.array([2.0, 3.0]), np.array([0, 0]))] * 2
        >>> likely_sequence(three[:3], num_types=2, length=2)
        (array([1., 2.]), array([0, 1]))
    """
    when: dict[tuple[int, int], list[float]] = {}
    for times, types in continuations:
        seen = np.zeros(num_types, np.int64)
        for time, kind in zip(times[:length], types[:length]):
            when.setdefault((int(kind), int(seen[kind])), []).append(float(time))
            seen[kind] += 1
    chosen = sorted(when, key=lambda event: (-len(when[event]), event))[:length]
    medians = np.array([np.median(when[event]) for event in chosen])
    order = np.argsort(medians, kind="stable")
    return medians[order], np.array([kind for kind, _ in chosen])[order]


def history_density(
    times: np.ndarray, types: np.ndarray, *, num_types: int, horizon: float, intervals: int
) -> ScoredEvents:
    """Return HoTPP's baseline "history density": each type goes on at its mean rate so far.

    Each of `intervals` equal parts of the horizon has one guess per type, in its middle. The score is the expected number of
    events of the type in the part, at most 1.

    Args:
        times: The history's times, ascending; the forecast starts at the last of them.
        types: The history's int64 types.
        num_types: Number of types.
        horizon: End of the forecast, as a time since its start.
        intervals: Number of parts.

    Returns:
        The guesses; types that have not occurred have none.

    Example:
        >>> guesses = history_density(np.array([0.0, 2.0, 4.0]), np.array([0, 0, 1]), num_types=2, horizon=4.0, intervals=2)
        >>> guesses.times.tolist(), guesses.types.tolist(), guesses.scores.tolist()
        ([1.0, 3.0, 1.0, 3.0], [0, 0, 1, 1], [1.0, 1.0, 0.5, 0.5])
    """
    elapsed = max(float(times[-1] - times[0]), np.finfo(float).tiny)
    rates = np.bincount(types, minlength=num_types) / elapsed
    seen = np.flatnonzero(rates)
    middles = (np.arange(intervals) + 0.5) * horizon / intervals
    scores = np.minimum(rates[seen] * horizon / intervals, 1.0)
    return ScoredEvents(np.tile(middles, len(seen)), seen.repeat(intervals), scores.repeat(intervals))


def most_popular(times: np.ndarray, types: np.ndarray, *, num_types: int, length: int) -> ScoredEvents:
    """Return HoTPP's baseline "most popular": the history's most frequent type, at its mean gap, `length` times.

    Args:
        times: The history's times, ascending; the forecast starts at the last of them.
        types: The history's int64 types.
        num_types: Number of types.
        length: Number of guesses.

    Returns:
        The guesses, of equal score. HoTPP's mean counts a gap of 0 before the first event.

    Example:
        >>> most_popular(np.array([0.0, 2.0, 4.0]), np.array([1, 0, 1]), num_types=2, length=2).times.round(2).tolist()
        [1.33, 2.67]
    """
    gap = float(times[-1] - times[0]) / len(times)
    kind = int(np.bincount(types, minlength=num_types).argmax())
    return ScoredEvents(gap * np.arange(1, length + 1), np.full(length, kind), np.ones(length))
