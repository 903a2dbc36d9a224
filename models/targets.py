"""The scale of the target: a count of feedback events, transformed for the loss.

The papers disagree on the scale. MMRA trains on log2(count); MUFM and M3TR report errors on raw counts. So each transform has
a forward and an inverse map, and every evaluation reports both scales.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike

Transform = Literal["log2p1", "log2", "raw"]
TRANSFORMS: tuple[Transform, ...] = get_args(Transform)


def forward(count: ArrayLike, transform: Transform = "log2p1") -> np.ndarray:
    """Return the target of each count.

    Args:
        count: Numbers of any shape, at least 0 (at least 1 for `log2`).
        transform: `log2p1` is log2(1 + count), `log2` is log2(count) (MMRA), `raw` is the count.

    Returns:
        float64 of the same shape.

    Raises:
        ValueError: The transform is unknown, or a count is outside its domain; the message names the first.

    Example:
        >>> forward([0, 3]).tolist()
        [0.0, 2.0]
    """
    count = np.asarray(count, dtype=np.float64)
    lowest = smallest_count(transform)
    outside = np.flatnonzero(~(np.isfinite(count) & (count >= lowest)))
    if outside.size:
        first = int(outside[0])
        raise ValueError(f"transform {transform!r} takes counts >= {lowest}, row {first} is {count.flat[first]}")
    if transform == "log2p1":
        return np.log2(1.0 + count)
    if transform == "log2":
        return np.log2(count)
    return count.copy()


def inverse(target: ArrayLike, transform: Transform = "log2p1") -> np.ndarray:
    """Return the count of each target.

    Args:
        target: Numbers of any shape on the scale of the transform.
        transform: As for `forward`.

    Returns:
        float64 of the same shape. Counts below the smallest allowed count (0, or 1 for `log2`) are raised to it, because a
        prediction can lie below every possible target.
    """
    target = np.asarray(target, dtype=np.float64)
    lowest = smallest_count(transform)
    if transform == "log2p1":
        count = np.exp2(target) - 1.0
    elif transform == "log2":
        count = np.exp2(target)
    else:
        count = target
    return np.maximum(count, lowest)


def smallest_count(transform: Transform) -> float:
    """Return the smallest count in the domain of `transform`.

    Raises:
        ValueError: The transform is unknown.
    """
    if transform not in TRANSFORMS:
        raise ValueError(f"unknown transform {transform!r}; allowed: {', '.join(TRANSFORMS)}")
    return 1.0 if transform == "log2" else 0.0
