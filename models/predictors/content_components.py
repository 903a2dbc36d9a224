"""Content of a video as numbers: each modality's mean row, and its principal components."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models.predictors.features import PackedRows, Rows, VideoFeatures
from models.predictors.table import Table

MODALITIES = ("visual", "acoustic", "text")
COMPONENTS = 12  # per modality
CHUNK = 1024  # videos read at once


@dataclass(frozen=True)
class ContentComponents:
    """Principal components of the training videos' mean rows.

    Attributes:
        means: Modality -> (d,) mean.
        axes: Modality -> (d, k) orthonormal axes, those of the largest variance first. A modality without a row among the
            training videos is left out of both.
    """

    means: dict[str, np.ndarray]
    axes: dict[str, np.ndarray]

    @classmethod
    def fit(
        cls,
        features: VideoFeatures,
        *,
        modalities: Sequence[str] = MODALITIES,
        components: int = COMPONENTS,
        centred: bool = True,
    ) -> ContentComponents:
        """Fit to the training videos, each given once.

        Args:
            features: Their features.
            modalities: Modalities to reduce.
            components: Largest number of components per modality.
            centred: Whether to subtract the mean first. Without, this is the truncated singular value decomposition, and the
                means are zero.
        """
        means, axes = {}, {}
        for name in modalities:
            rows = mean_rows(getattr(features, name))
            rows = rows[~np.isnan(rows[:, 0])]
            if not len(rows):
                continue
            means[name] = rows.mean(0) if centred else np.zeros(rows.shape[1])
            rows = rows - means[name]
            variance, vectors = np.linalg.eigh(rows.T @ rows / len(rows))  # ascending
            count = int(min(components, len(rows) - 1, (variance > 1e-9 * max(variance[-1], 1e-30)).sum()))
            chosen = vectors[:, ::-1][:, :count]
            # An axis and its opposite are equally right; the largest entry is made positive.
            largest = np.abs(chosen).argmax(0)
            axes[name] = chosen * np.sign(chosen[largest, np.arange(count)])
        return cls(means, axes)

    def table(self, features: VideoFeatures) -> Table:
        """Return the components of each video, NaN where it lacks the modality."""
        parts = [(mean_rows(getattr(features, name)) - self.means[name]) @ self.axes[name] for name in self.axes]
        names = [f"{name} {number}" for name, axes in self.axes.items() for number in range(1, axes.shape[1] + 1)]
        return Table(np.concatenate([np.empty((len(features), 0)), *parts], axis=1), tuple(names))

    def save(self, file: Path) -> None:
        """Write the components to a file with the suffix `.npz`."""
        parts = {"mean": self.means, "axes": self.axes}
        np.savez(file, **{f"{part} {name}": array for part, named in parts.items() for name, array in named.items()})

    @classmethod
    def load(cls, file: Path) -> ContentComponents:
        """Read what `save` wrote."""
        with np.load(file) as stored:
            means, axes = (
                {key.split()[1]: stored[key] for key in stored if key.startswith(part)} for part in ("mean ", "axes ")
            )
        return cls(means, axes)


def mean_rows(rows: Rows | PackedRows, *, dtype: type[np.floating] = np.float64) -> np.ndarray:
    """Return each video's mean row.

    Args:
        rows: Rows of n videos of one modality; they are read in chunks, so they may be larger than memory.
        dtype: Type of the means. Sums are float64 in any case.

    Returns:
        (n, d), NaN for a video without rows.
    """
    means = np.full((len(rows), rows.width), np.nan, dtype)
    for start in range(0, len(rows), CHUNK):
        values, mask = rows.read(np.arange(start, min(start + CHUNK, len(rows))))
        count = mask.sum(1)
        has = count > 0
        means[start : start + len(values)][has] = values[has].sum(1, dtype=np.float64) / count[has, None]
    return means


def content_rows(items: np.ndarray, features: VideoFeatures) -> np.ndarray:
    """Return the mean rows of all modalities side by side, (n, d); NaN where a modality is missing.

    Args:
        items: (n,) id of each window's video; windows of a video share its content.
        features: Features of each window's video.
    """
    _, first, video = np.unique(items, return_index=True, return_inverse=True)
    own = features.take(first)
    return np.concatenate([mean_rows(getattr(own, name)) for name in MODALITIES], axis=1)[video]


def has_content(features: VideoFeatures) -> bool:
    """Return whether any video has a frame, a sound or a word."""
    return any(not np.isnan(mean_rows(getattr(features, name))).all() for name in MODALITIES)
