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
    """Return a fitted model's predictions.

    Items may lack neighbours, feedback and any modality.

    Args:
        model: The fitted model; it is moved to `device`.
        samples: n windows. A model with a process inside makes their temporal rows from `samples.feedback`.
        bank: The videos that the neighbours are taken from.
        batch_size: Windows per forward pass; it changes memory and speed only.
        device: Device to compute on.

    Returns:
        (n,) float64, on the scale of the targets.

    Raises:
        ValueError: The model has a process inside and the samples have no feedback, or `Samples.check_against` fails.
    """
    samples.check_against(bank)
    joint = model.temporal_encoder is not None
    if joint and samples.feedback is None:
        raise ValueError("the model has a process inside, so it needs `samples.feedback`, given None")
    model.to(device).eval()
    predicted = np.empty(len(samples))
    for rows in batches(np.arange(len(samples)), batch_size):
        batch = minibatch(samples, bank, rows, with_feedback=joint, device=device)
        output = model(batch.target, batch.neighbours, batch.neighbourhood, completed=batch.completed)
        predicted[rows] = output.double().cpu().numpy()
    return predicted
