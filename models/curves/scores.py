"""Scores of forecast quantiles of counts: pinball loss, CRPS, coverage and width of intervals, and the PIT.

A count y is whole, and a quantile is not. As Machado and Santos Silva (2005) do, y stands for the cell [y, y + 1), over which
its probability is spread evenly. The whole part of a quantile is then the quantile of the count. An interval covers the share
of the cell that lies inside it. So an 80 % interval can cover 80 % at small counts too, where an interval of whole counts that
includes both its ends covers more.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

INTERVALS = {50: (0.25, 0.75), 80: (0.1, 0.9), 90: (0.05, 0.95)}  # per cent -> levels of the ends
Z95 = 1.959963984540054


def pinball(quantiles: np.ndarray, levels: Sequence[float] | np.ndarray, observed: np.ndarray) -> np.ndarray:
    """Return the pinball loss of each quantile: (level - [y < q]) (y - q).

    Args:
        quantiles: (..., Q) forecasts.
        levels: (Q,) levels.
        observed: (...) observations on the same scale.

    Returns:
        (..., Q).

    Example:
        >>> pinball(np.array([[1.0, 4.0]]), [0.1, 0.9], np.array([3.0])).round(2).tolist()
        [[0.2, 0.1]]
    """
    levels = np.asarray(levels)
    error = np.asarray(observed)[..., None] - quantiles
    return np.maximum(levels * error, (levels - 1.0) * error)


def crps(quantiles: np.ndarray, levels: Sequence[float] | np.ndarray, observed: np.ndarray) -> np.ndarray:
    """Return the continuous ranked probability score from quantiles: twice the integral of the pinball loss over the levels.

    The integral is a sum over the levels. A level stands for the levels that are nearer to it than to another one, so the
    outermost levels also stand for the tails, and the weights sum to 1. With one level, 0.5, the score is the absolute error.

    Args:
        quantiles: (..., Q) forecasts, ascending.
        levels: (Q,) levels, ascending.
        observed: (...) observations on the same scale.

    Returns:
        (...), on the scale of the observations.

    Example:
        >>> crps(np.array([[2.0]]), [0.5], np.array([5.0])).tolist()
        [3.0]
    """
    levels = np.asarray(levels, dtype=np.float64)
    ends = np.concatenate([[0.0], (levels[1:] + levels[:-1]) / 2, [1.0]])
    return 2.0 * (pinball(quantiles, levels, observed) * np.diff(ends)).sum(-1)


def pit_cells(quantiles: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return which share of a count's cell [y, y + 1) lies below, between and above the quantiles.

    Their mean over forecasts is the histogram of the randomised probability integral transform (Czado et al. 2009), without
    random numbers. With calibrated forecasts it is the difference between neighbouring levels.

    Args:
        quantiles: (..., Q) forecasts of the count, ascending.
        counts: (...) whole numbers.

    Returns:
        (..., Q + 1), sums to 1.

    Example:
        >>> pit_cells(np.array([[2.0, 3.5]]), np.array([3])).tolist()
        [[0.0, 0.5, 0.5]]
    """
    below = np.clip(quantiles - np.asarray(counts)[..., None], 0.0, 1.0)
    ends = [np.zeros((*below.shape[:-1], 1)), below, np.ones((*below.shape[:-1], 1))]
    return np.diff(np.concatenate(ends, axis=-1), axis=-1)


def coverage(low: np.ndarray, high: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return which share of each count's cell an interval covers.

    Args:
        low: (...) lower ends of the intervals.
        high: (...) upper ends.
        counts: (...) whole numbers.

    Example:
        >>> coverage(np.array([2.0, 2.5]), np.array([9.0, 9.0]), np.array([2, 2])).tolist()
        [1.0, 0.5]
    """
    return pit_cells(np.stack([low, high], axis=-1), counts)[..., 1]


def curve_scores(quantiles: np.ndarray, levels: Sequence[float], counts: np.ndarray) -> dict[str, float]:
    """Return the scores of n forecasts of one target at one horizon.

    Losses and widths are on the scale log2(1 + count), where a count is the middle of its cell, y + 1/2. On raw counts a few
    popular videos would decide.

    Args:
        quantiles: (n, Q) forecasts of the count.
        levels: (Q,) levels, those of `INTERVALS` among them.
        counts: (n,) whole numbers.

    Returns:
        `crps`, `pinball` (mean over the levels), and per interval of `INTERVALS`, for example 80 %: `coverage_80`, `width_80`,
        and `count_width_80`, its median width in counts.
    """
    scaled, observed = np.log2(1.0 + quantiles), np.log2(1.5 + counts)
    scores = {
        "crps": float(crps(scaled, levels, observed).mean()),
        "pinball": float(pinball(scaled, levels, observed).mean()),
    }
    for name, ends in INTERVALS.items():
        low, high = (list(levels).index(end) for end in ends)
        scores[f"coverage_{name}"] = float(coverage(quantiles[:, low], quantiles[:, high], counts).mean())
        scores[f"width_{name}"] = float((scaled[:, high] - scaled[:, low]).mean())
        scores[f"count_width_{name}"] = float(np.median(quantiles[:, high] - quantiles[:, low]))
    return scores


def coverage_by_decile(quantiles: np.ndarray, levels: Sequence[float], counts: np.ndarray) -> list[float]:
    """Return the coverage of the 80 % interval within each tenth of the forecasts, by their median, lowest first.

    Args:
        quantiles: (n, Q) forecasts of the count, n >= 10.
        levels: (Q,) levels, those of the interval and 0.5 among them.
        counts: (n,) whole numbers.
    """
    low, middle, high = (list(levels).index(level) for level in (INTERVALS[80][0], 0.5, INTERVALS[80][1]))
    covered = coverage(quantiles[:, low], quantiles[:, high], counts)
    order = np.argsort(quantiles[:, middle], kind="stable")
    return [float(part.mean()) for part in np.array_split(covered[order], 10)]


def share_interval(share: float, size: int) -> tuple[float, float]:
    """Return the 95 % interval of a share of independent trials (Wilson 1927).

    Args:
        share: Share that was seen.
        size: Number of trials.

    Example:
        >>> [round(end, 3) for end in share_interval(0.8, 100)]
        [0.711, 0.867]
    """
    spread = Z95**2 / size
    centre = (share + spread / 2) / (1 + spread)
    half = Z95 / (1 + spread) * np.sqrt(share * (1 - share) / size + spread / (4 * size))
    return float(centre - half), float(centre + half)
