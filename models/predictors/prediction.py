"""Predictions of a fitted model."""

from __future__ import annotations

import numpy as np
import torch

from models.predictors.m3tr import M3TR
from models.predictors.samples import Bank, Samples, batches, minibatch


@torch.no_grad()
def predict(
    model: M3TR, samples: Samples, bank: Bank, *, batch_size: int = 64, device: torch.device | str = "cpu"
) -> np.ndarray:
    """(n,) float64 predictions on the scale of the targets. Items may lack neighbours, feedback and any modality.

    A model with a process inside makes the temporal rows of `samples.feedback`, and raises ValueError without it.
    Raises ValueError for neighbours as `Samples.check_against`.
    """
    samples.check_against(bank)
    joint = model.temporal_encoder is not None
    if joint and samples.feedback is None:
        raise ValueError("the model has a process inside: predictions need the feedback of the items")
    model.to(device).eval()
    predicted = np.empty(len(samples))
    for rows in batches(np.arange(len(samples)), batch_size):
        batch = minibatch(samples, bank, rows, with_feedback=joint, device=device)
        output = model(batch.target, batch.neighbours, batch.neighbourhood, completed=batch.completed)
        predicted[rows] = output.double().cpu().numpy()
    return predicted
