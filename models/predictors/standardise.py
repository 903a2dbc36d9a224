"""Scaling of the frozen features and of the target, fitted on the training split and kept with the model's weights."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from models.predictors.features import PackedRows, Rows


class Standardiser(nn.Module):
    """(x - mean) / standard deviation, channel by channel; the statistics are buffers. Identity until it is fitted."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("scale", torch.ones(width))

    def fit(self, values: np.ndarray) -> None:
        """values: (m, width), finite. A channel without spread keeps scale 1, so that it stays at its mean of 0."""
        mean, scale = values.mean(0, dtype=np.float64), values.std(0, dtype=np.float64)
        self._set(mean, scale)

    def fit_rows(self, rows: Rows | PackedRows, *, name: str, chunk: int = 1024) -> None:
        """Fits on the rows that are there, chunk by chunk: they may lie on disk and be larger than memory.

        Raises ValueError where one is not finite, naming `name` and the video.
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
            # Chan's update: sums of squares of large values with a small spread would cancel.
            part_mean, total = values.mean(0), number + len(values)
            squares += ((values - part_mean) ** 2).sum(0) + (part_mean - mean) ** 2 * number * len(values) / total
            mean += (part_mean - mean) * len(values) / total
            number = total
        if number:
            self._set(mean, np.sqrt(squares / number))

    def forward(self, x: Tensor) -> Tensor:
        """x: (..., width)."""
        return (x - self.mean) / self.scale

    def inverse(self, x: Tensor) -> Tensor:
        """x: (..., width), standardised."""
        return x * self.scale + self.mean

    def _set(self, mean: np.ndarray, scale: np.ndarray) -> None:
        scale = np.where(scale > 1e-6 * np.maximum(np.abs(mean), 1e-30), scale, 1.0)
        self.mean.copy_(torch.from_numpy(mean))
        self.scale.copy_(torch.from_numpy(scale))
