"""Predictions of a fitted network."""

from __future__ import annotations

import numpy as np
import torch

from models.predictors.network import PredictorNetwork
from models.predictors.samples import Bank, Samples, batches

WINDOWS = 256  # per forward pass: a neighbour that many windows share is encoded once


@torch.no_grad()
def predict(
    network: PredictorNetwork,
    samples: Samples,
    bank: Bank,
    *,
    batch_size: int = WINDOWS,
    device: torch.device | str = "cpu",
) -> np.ndarray:
    """Return a fitted network's predictions.

    Items may lack neighbours, feedback and any modality.

    Args:
        network: The fitted network; it is moved to `device`.
        samples: n windows. A network with a process inside makes their temporal rows from `samples.feedback`.
        bank: The videos that the neighbours are taken from.
        batch_size: Windows per forward pass; it changes memory and speed only.
        device: Device to compute on.

    Returns:
        (n, T) float64, on the scale of the targets.

    Raises:
        ValueError: The network has a process inside and the samples have no feedback, or `Samples.check_against` fails.
    """
    samples.check_against(bank)
    if network.reads_feedback and samples.feedback is None:
        raise ValueError("the model has a process inside, so it needs `samples.feedback`, given None")
    network.to(device).eval()
    predicted = np.empty((len(samples), len(network.standardise_target.mean)))
    for rows in batches(np.arange(len(samples)), batch_size):
        batch = network.minibatch(samples, bank, rows, device=device)
        predicted[rows] = network.forecast(batch).double().cpu().numpy()
    return predicted
