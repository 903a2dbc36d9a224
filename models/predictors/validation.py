"""Validation of a predictor over whole and cut windows: the checks of its targets, and the score that stops its fit."""

from __future__ import annotations

import numpy as np

from models.predictors.samples import Samples


def check_targets(samples: Samples, dev: Samples | None) -> None:
    """Check that a predictor can be fitted to the targets.

    Raises:
        ValueError: There are no targets, a training item has none, or the known targets of the training items are equal.
    """
    for name, part in (("training", samples), ("validation", dev)):
        if part is not None and (part.target is None or not len(part)):
            raise ValueError(
                f"the {name} items need targets, given {len(part)} items {'without' if part.target is None else 'with'} targets"
            )
    for row in np.flatnonzero(np.isnan(samples.target).all(1))[:1]:
        raise ValueError(f"training item {samples.items[row]} has no known target")
    low, high = np.fmin.reduce(samples.target), np.fmax.reduce(samples.target)
    if len(np.unique(samples.items)) < 2 or not (high > low).any():
        raise ValueError(
            f"training needs two videos and two different targets, given {len(np.unique(samples.items))} videos with "
            f"targets from {low.min()} to {high.max()}"
        )


def mean_nmse(dev: Samples, predicted: np.ndarray, *, scale: np.ndarray) -> float:
    """Return the nMSE of the known labels, weighted by `dev.weights_of`, averaged over the targets that have any.

    Args:
        dev: Windows with n targets.
        predicted: (n, T) predictions.
        scale: (T,) deviation of the training targets. Their variance replaces that of equal validation targets, whose
            nMSE is undefined; it still ranks the epochs of a training.
    """
    scores = []
    for column, deviation in enumerate(scale):
        known = ~np.isnan(dev.target[:, column])
        if not known.any():
            continue
        target, weights = dev.target[known, column].astype(np.float64), dev.weights_of(known)
        error = float(weights @ (predicted[known, column] - target) ** 2)
        if np.ptp(target) > 0:
            scores.append(error / float(weights @ (target - weights @ target) ** 2))
        else:
            scores.append(error / float(deviation**2))
    return float(np.mean(scores)) if scores else 0.0
