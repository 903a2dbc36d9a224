"""Interest group routing: which of a user's clicks form a group, and which belong to none (MTIN algorithm 1)."""

from __future__ import annotations

import math

import numba
import numpy as np


@numba.njit(nogil=True, cache=True, error_model="numpy")
def route(score, length, rounds, base, threshold, group, discount):
    """Assign the clicks of every user to groups, one click after the other in the order of time.

    In each round, click j compares its matching scores with the present members of each group:

        xi_g = log_b(b + max(avg(E_g) - p_{g<-j}, 0)),    p^d_{g<-j} = p_{g<-j} / xi_g,    g* = argmax_g p^d_{g<-j}

    and moves to g* if p^d_{g*<-j} > epsilon. avg(E_g) is the mean score of the members for their group, j included if it is one
    of them. An empty group has xi = 1. A click that never exceeds epsilon stays in no group, which is the filter for false
    clicks; a click that was assigned once is only moved, never taken out. Of equal scores the first group's counts.

    Args:
        score: (b, L, s) matching scores p, at least 0.
        length: (b,) number of clicks per user.
        rounds: Number of rounds.
        base: b > 1, base of the logarithm.
        threshold: epsilon.
        group: (b, L), receives each click's group, -1 for none.
        discount: (b, L), receives xi of the click's group when the click was last visited; 1 for none.
    """
    groups = score.shape[2]
    total, members = np.zeros(groups), np.zeros(groups, np.int64)
    log_base = math.log(base)
    for row in range(len(score)):
        total[:] = 0.0
        members[:] = 0
        group[row] = -1
        discount[row] = 1.0
        for _ in range(rounds):
            for j in range(length[row]):
                best, best_score, best_discount = -1, -np.inf, 1.0
                own_discount = 1.0
                for g in range(groups):
                    p, xi = score[row, j, g], 1.0
                    if members[g]:
                        xi = math.log(base + max(total[g] / members[g] - p, 0.0)) / log_base
                    if g == group[row, j]:
                        own_discount = xi
                    if p / xi > best_score:
                        best, best_score, best_discount = g, p / xi, xi
                here = group[row, j]
                if best != here and best_score > threshold:
                    if here >= 0:
                        total[here] -= score[row, j, here]
                        members[here] -= 1
                    total[best] += score[row, j, best]
                    members[best] += 1
                    group[row, j] = best
                    discount[row, j] = best_discount
                elif here >= 0:
                    discount[row, j] = own_discount


def route_groups(
    score: np.ndarray, length: np.ndarray, *, rounds: int = 3, base: float = 2.0, threshold: float = 0.1
) -> tuple[np.ndarray, np.ndarray]:
    """Return each click's group and discount; see `route`.

    Args:
        score: (b, L, s) matching scores, at least 0.
        length: (b,) number of clicks per user; later ones are padding.
        rounds: Number of rounds. The paper prints no value for this and for the next two.
        base: b, above 1.
        threshold: epsilon.

    Returns:
        (b, L) int64 groups, -1 for none, and (b, L) float64 discounts.

    Example:
        >>> scores = np.array([[[0.9, 0.1], [0.2, 0.8], [0.05, 0.02]]])
        >>> route_groups(scores, np.array([3]))[0].tolist()
        [[0, 1, -1]]
    """
    group, discount = np.empty(score.shape[:2], np.int64), np.empty(score.shape[:2])
    route(np.ascontiguousarray(score, np.float64), length, rounds, base, threshold, group, discount)
    return group, discount
