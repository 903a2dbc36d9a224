"""Standardisation of features and targets, fitted on the training split and saved with the model's weights."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from models.predictors.features import PackedRows, Rows


class Standardiser(nn.Module):
    """Layer that computes (x - mean) / standard deviation per channel.

    The statistics are buffers. Before `fit` or `fit_rows` the layer is the identity.
    """

    def __init__(self, width: int) -> None:
        """Build the layer for `width` channels."""
        super().__init__()
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("scale", torch.ones(width))

    def fit(self, values: np.ndarray) -> None:
        """Fit mean and deviation to values (m, width); NaN is ignored.

        A constant channel keeps scale 1, so that it becomes 0. A channel without a value keeps mean 0 and scale 1.
        """
        known = [values[~np.isnan(values[:, channel]), channel : channel + 1] for channel in range(values.shape[1])]
        mean = [column.mean(0, dtype=np.float64) if len(column) else np.zeros(1) for column in known]
        scale = [column.std(0, dtype=np.float64) if len(column) else np.ones(1) for column in known]
        self._set(np.concatenate(mean), np.concatenate(scale))

    def fit_rows(self, rows: Rows | PackedRows, *, name: str, chunk: int = 1024) -> None:
        """Fit mean and deviation to the rows that are not masked.

        Rows are read in chunks, so they may be larger than memory.

        Args:
            rows: The training videos' rows.
            name: Name of the modality, for the error.
            chunk: Videos to read at once.

        Raises:
            ValueError: A row is NaN or infinite; the message names the modality and the video.
        """
        number, mean = 0, np.zeros(rows.width)
        squares = np.zeros(rows.width)
        for start in range(0, len(rows), chunk):
            part, mask = rows.read(np.arange(start, min(start + chunk, len(rows))))
            values = part[mask].astype(np.float64)  # (m, d)
            if not np.isfinite(values).all():
                bad = np.flatnonzero((~np.isfinite(part).all(-1) & mask).any(-1))
                raise ValueError(f"the {name} features of training video {start + bad[0]} are not finite")
            if not len(values):
                continue
            # Chan's update. A plain sum of squares loses its digits by cancellation if the mean is large.
            part_mean, total = values.mean(0), number + len(values)
            squares += ((values - part_mean) ** 2).sum(0) + (part_mean - mean) ** 2 * number * len(values) / total
            mean += (part_mean - mean) * len(values) / total
            number = total
        if number:
            self._set(mean, np.sqrt(squares / number))

    def forward(self, x: Tensor) -> Tensor:
        """Return x (..., width), standardised."""
        return (x - self.mean) / self.scale

    def inverse(self, x: Tensor) -> Tensor:
        """Return standardised x (..., width) on the original scale."""
        return x * self.scale + self.mean

    def _set(self, mean: np.ndarray, scale: np.ndarray) -> None:
        scale = np.where(scale > 1e-6 * np.maximum(np.abs(mean), 1e-30), scale, 1.0)
        self.mean.copy_(torch.from_numpy(mean))
        self.scale.copy_(torch.from_numpy(scale))
