"""Scores of forecasts of all events until a horizon: T-mAP and OTD (HoTPP: Karpukhin et al., arXiv 2406.14341)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.hawkes.compiled import compiled


@dataclass(frozen=True)
class ScoredEvents:
    """Forecast events of one sequence: guesses, of which each has a score.

    Attributes:
        times: (p,) times since the start of the forecast.
        types: (p,) int64.
        scores: (p,) a higher score is a surer guess. Scores are compared between all sequences, type by type.
    """

    times: np.ndarray
    types: np.ndarray
    scores: np.ndarray


def for_every_type(guesses: ScoredEvents, num_types: int) -> ScoredEvents:
    """Return guesses that count for every type, as HoTPP scores its models.

    A guess has a score for each type there. Those of the other types are 1,000 lower, so that they come after all others.

    Args:
        guesses: The guesses, whose scores are probabilities.
        num_types: Number k of types.

    Returns:
        k guesses per guess; the scores are logarithms.
    """
    logs = np.log(np.maximum(guesses.scores, np.exp(-100.0)))
    scores = np.where(np.arange(num_types) == guesses.types[:, None], logs[:, None], logs[:, None] - 1000.0)
    kinds = np.tile(np.arange(num_types), len(logs))
    return ScoredEvents(guesses.times.repeat(num_types), kinds, scores.ravel())


@dataclass(frozen=True)
class TemporalMap:
    """T-mAP of a set of sequences.

    Attributes:
        value: The mean of `by_type`.
        weighted: The mean of `by_type`, weighted by the numbers of target events.
        by_type: (k,) average precision of each type; 0 for a type without a target event.
    """

    value: float
    weighted: float
    by_type: np.ndarray


def temporal_map(
    targets: Sequence[tuple[np.ndarray, np.ndarray]],
    forecasts: Sequence[ScoredEvents],
    *,
    num_types: int,
    horizon: float,
    tolerance: float,
) -> TemporalMap:
    """Return the temporal mean average precision (T-mAP), which is higher for better forecasts.

    For each type and each threshold of the score, the true positives are the largest number of pairs of a target event and a
    guess with at least that score, of the same sequence and at most `tolerance` apart, in which no event and no guess occurs
    twice. The average precision of the type is the sum over its thresholds, from the highest, of
    precision * (recall - recall at the threshold before), with precision = true positives / guesses and
    recall = true positives / targets.

    One matching attains the largest number at every threshold: guesses are taken from the highest score, and a guess is
    matched if an augmenting path exists. The package hotpp-benchmark (0.7.0) finds it as an assignment of least cost. It
    differs in two cases: it scores a type of which every guess is right as 0, and takes guesses of equal score one by one.

    Args:
        targets: Times since the start of the forecast and int64 types of each sequence's events.
        forecasts: The forecast of each sequence.
        num_types: Number k of types.
        horizon: Events and guesses at or after this time since the start are left out.
        tolerance: Largest distance in time of an event and its guess.

    Returns:
        T-mAP, between 0 and 1.

    Raises:
        ValueError: The numbers of targets and forecasts differ.

    Example:
        >>> targets = [(np.array([1.0, 5.0]), np.array([0, 0]))]
        >>> guesses = ScoredEvents(np.array([1.5, 9.0]), np.array([0, 0]), np.array([0.9, 0.4]))
        >>> temporal_map(targets, [guesses], num_types=1, horizon=10.0, tolerance=1.0).value
        0.5
    """
    if len(targets) != len(forecasts):
        raise ValueError(f"one forecast per sequence is needed; given {len(forecasts)} for {len(targets)} sequences")
    totals = np.zeros(num_types)
    scores, hits = ([[] for _ in range(num_types)] for _ in range(2))
    for (when, what), guesses in zip(targets, forecasts):
        when, what = (part[when < horizon] for part in (when, what))
        totals += np.bincount(what, minlength=num_types)
        real = guesses.times < horizon
        for kind in np.unique(guesses.types[real]):
            chosen = np.flatnonzero(real & (guesses.types == kind))
            chosen = chosen[np.argsort(-guesses.scores[chosen], kind="stable")]
            scores[kind].append(guesses.scores[chosen])
            hits[kind].append(_matched(np.sort(when[what == kind]), guesses.times[chosen], tolerance))
    by_type = np.zeros(num_types)
    for kind in range(num_types):
        if totals[kind] and scores[kind]:
            by_type[kind] = _average_precision(np.concatenate(scores[kind]), np.concatenate(hits[kind]), totals[kind])
    weighted = float(by_type @ totals / totals.sum()) if totals.sum() else 0.0
    return TemporalMap(float(by_type.mean()), weighted, by_type)


def _average_precision(scores: np.ndarray, hits: np.ndarray, total: float) -> float:
    """Return the average precision of guesses, with one threshold per distinct score."""
    order = np.argsort(-scores, kind="stable")
    scores, right = scores[order], np.cumsum(hits[order])
    last = np.flatnonzero(np.append(scores[1:] != scores[:-1], True))  # the last guess at each threshold
    right = right[last]
    return float((np.diff(right, prepend=0) / total * right / (last + 1)).sum())


@compiled
def _matched(targets, guesses, tolerance):
    """Return which guesses, in order of falling score, are in the matching that is largest at every threshold.

    Args:
        targets: (t,) ascending.
        guesses: (p,).
        tolerance: Largest distance of a pair.
    """
    matched = np.zeros(len(guesses), np.bool_)
    partner = np.full(len(targets), -1, np.int64)  # of each target, its guess
    came_from = np.empty(len(targets), np.int64)  # the guess that reached each target during a search
    before = np.empty(len(guesses), np.int64)  # of a matched guess, its target
    queue = np.empty(len(guesses), np.int64)
    for guess in range(len(guesses)):
        for target in range(len(targets)):
            came_from[target] = -1
        queue[0], head, tail, free = guess, 0, 1, -1
        while head < tail and free < 0:  # breadth-first search for an augmenting path
            here = queue[head]
            head += 1
            first = np.searchsorted(targets, guesses[here] - tolerance)
            for target in range(first, len(targets)):
                if targets[target] > guesses[here] + tolerance:
                    break
                if came_from[target] >= 0:
                    continue
                came_from[target] = here
                if partner[target] < 0:
                    free = target
                    break
                queue[tail] = partner[target]
                tail += 1
        matched[guess] = free >= 0
        while free >= 0:
            here = came_from[free]
            following = before[here] if here != guess else -1
            partner[free], before[here] = here, free
            free = following
    return matched


def optimal_transport_distance(
    targets: Sequence[tuple[np.ndarray, np.ndarray]],
    forecasts: Sequence[tuple[np.ndarray, np.ndarray]],
    *,
    insert_cost: float = 1.0,
    delete_cost: float = 1.0,
) -> float:
    """Return the mean optimal transport distance (OTD), which is lower for better forecasts (Mei et al. 2019; HoTPP).

    The distance of two sequences is the least cost of turning the forecast into the target: moving an event costs its
    distance in time, inserting or deleting an event costs a constant, and an event's type cannot change.

    Args:
        targets: Times and int64 types of each sequence's next events. HoTPP takes the next 10.
        forecasts: As many forecast events per sequence.
        insert_cost: Cost of an event that is missing in the forecast, in the unit of the times.
        delete_cost: Cost of a forecast event that did not happen.

    Returns:
        The mean over sequences, in the unit of the times.

    Raises:
        ValueError: The numbers of targets and forecasts differ.

    Example:
        >>> targets = [(np.array([1.0, 2.0]), np.array([0, 1]))]
        >>> optimal_transport_distance(targets, [(np.array([1.5, 2.0]), np.array([0, 0]))])  # move one, replace the other
        2.5
    """
    from scipy.optimize import linear_sum_assignment  # takes a quarter of a second to import

    if len(targets) != len(forecasts):
        raise ValueError(f"one forecast per sequence is needed; given {len(forecasts)} for {len(targets)} sequences")
    total = 0.0
    for (when, what), (guessed, kinds) in zip(targets, forecasts):
        # The matrix is filled up with events that are inserted or deleted, so that any number of pairs is possible.
        n, p = len(when), len(guessed)
        cost = np.zeros((n + p, n + p))
        pairs = np.abs(when[:, None] - guessed)
        cost[:n, :p] = np.where(what[:, None] == kinds, pairs, insert_cost + delete_cost)
        cost[:n, p:], cost[n:, :p] = insert_cost, delete_cost
        total += float(cost[linear_sum_assignment(cost)].sum())
    return total / max(len(targets), 1)
