"""Growth of a count after its window, on a logarithmic scale, as a label that is learnt in place of the count.

What was counted already is known exactly. A regression of the final count spends part of its capacity on learning it again.
"""

from __future__ import annotations

import numpy as np

from models import targets
from models.predictors.samples import Samples


def grows(samples: Samples) -> bool:
    """Return whether growth can be learnt: what was counted is known, and the targets have a logarithmic scale."""
    return samples.counted is not None and samples.scale != "raw"


def growth_of(target: np.ndarray, samples: Samples) -> np.ndarray:
    """Return log2(1 + growth), where growth is the target's count minus what was counted by the end of the window.

    Args:
        target: (n, T) on the scale of the targets; NaN stays NaN.
        samples: n windows; an unknown count is taken as 0.

    Example:
        >>> from types import SimpleNamespace
        >>> windows = SimpleNamespace(counted=np.array([[4.0]]), scale="log2p1")
        >>> growth_of(np.array([[3.0]]), windows).tolist(), count_of(np.array([[2.0]]), windows).tolist()
        ([[2.0]], [[3.0]])
    """
    grown = targets.inverse(target, samples.scale) - np.nan_to_num(samples.counted)
    return np.log2(1.0 + np.maximum(grown, 0.0))


def count_of(growth: np.ndarray, samples: Samples) -> np.ndarray:
    """Return the targets (n, T) of forecasts of log2(1 + growth); the inverse of `growth_of`."""
    count = np.nan_to_num(samples.counted) + np.exp2(np.maximum(growth, 0.0)) - 1.0
    return targets.forward(np.maximum(count, targets.smallest_count(samples.scale)), samples.scale)
