"""What the models predict: a count of comments (or another type of feedback) on the scale of the loss.

The papers disagree on the scale: MMRA trains on log2(count), MUFM and M3TR report errors on the counts themselves. So a
target is always a pair of a forward and an inverse map, and every evaluation reports both scales.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike

Transform = Literal["log2p1", "log2", "raw"]
TRANSFORMS: tuple[Transform, ...] = get_args(Transform)


def forward(count: ArrayLike, transform: Transform = "log2p1") -> np.ndarray:
    """The target of each count: `log2p1` log2(1 + count), `log2` log2(count) (MMRA), `raw` the count.

    count: any shape, of numbers >= 0 (>= 1 for `log2`). Returns float64 of the same shape.
    Raises ValueError for an unknown transform and for counts outside its domain, naming the first.
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
    """The count of each target; what lies below the transform's smallest count (0, or 1 for `log2`) is raised to it.

    target: any shape. Returns float64 of the same shape. A prediction may be below every true target, a count may not.
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
    """The least count that `transform` is defined for. Raises ValueError for an unknown transform."""
    if transform not in TRANSFORMS:
        raise ValueError(f"unknown transform {transform!r}; allowed: {', '.join(TRANSFORMS)}")
    return 1.0 if transform == "log2" else 0.0
