"""The videos of one split with what was retrieved for each, and the bank that it was retrieved from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from models.predictors.features import NeighbourBatch, Neighbourhood, VideoBatch, VideoFeatures
from models.predictors.feedback import Completed, Feedback, FeedbackSource


@dataclass(frozen=True)
class Bank:
    """The memory bank's videos: items (m,) their ids, features of the m videos as the stages hold them now."""

    items: np.ndarray
    features: VideoFeatures

    def __post_init__(self) -> None:
        if len(self.items) != len(self.features):
            raise ValueError(f"the bank has {len(self.items)} items but features of {len(self.features)} videos")


@dataclass(frozen=True)
class Samples:
    """n windows of videos: what is known of each video at the end of one of its observation windows.

    A video may stand here several times, with windows of different lengths: the same content, other feedback and other
    neighbours.

    items: (n,) ids. features: of each window's video. neighbourhood: of each window, into a bank.
    target: (n,) transformed labels, or None.
    feedback: of the windows, or None where the stored temporal rows are used.
    share: (n,) > 0, how much each window counts among those of its video; None: all alike.
    Raises ValueError where the numbers of windows differ, a target is not finite or a share not positive.
    """

    items: np.ndarray
    features: VideoFeatures
    neighbourhood: Neighbourhood
    target: np.ndarray | None = None
    feedback: FeedbackSource | None = None
    share: np.ndarray | None = None

    def __post_init__(self) -> None:
        numbers = {
            name: len(part)
            for name in ("items", "features", "neighbourhood", "target", "feedback", "share")
            if (part := getattr(self, name)) is not None
        }
        if len(set(numbers.values())) > 1:
            raise ValueError(f"every part must be of the same videos, given {numbers}")
        if self.target is not None and not np.isfinite(self.target).all():
            bad = np.flatnonzero(~np.isfinite(self.target))[0]
            raise ValueError(f"target of item {self.items[bad]} is {self.target[bad]}, must be finite")
        if self.share is not None and not (self.share > 0).all():
            bad = np.flatnonzero(~(self.share > 0))[0]
            raise ValueError(f"share of item {self.items[bad]} is {self.share[bad]}, must be above 0")

    @property
    def weights(self) -> np.ndarray:
        """(n,) that sum to 1: every video alike, and within a video its windows by their shares."""
        share = np.ones(len(self)) if self.share is None else self.share
        _, video = np.unique(self.items, return_inverse=True)
        weights = share / np.bincount(video, weights=share)[video]
        return weights / weights.sum()

    def one_window_each(self, generator: np.random.Generator) -> np.ndarray:
        """Rows in random order, one per video: the window is drawn by its share."""
        _, video = np.unique(self.items, return_inverse=True)
        # The largest of log(uniform) / share is each window's with a probability proportional to its share.
        key = np.log(generator.random(len(self))) / self.weights
        order = np.lexsort((key, video))
        last = np.append(np.diff(video[order]) > 0, True)
        return generator.permutation(order[last])

    def __len__(self) -> int:
        return len(self.items)

    def check_against(self, bank: Bank) -> None:
        """Raises ValueError where a neighbour is not in the bank, or a video is its own neighbour, naming the item.

        A video that retrieves itself reads its own label: M3TR section 3.4 excludes it, and here nothing gets past.
        """
        index, mask = self.neighbourhood.index, self.neighbourhood.mask
        outside = np.argwhere(mask & ((index < 0) | (index >= len(bank.items))))
        if len(outside):
            i, rank = outside[0]
            raise ValueError(
                f"item {self.items[i]} has neighbour {index[i, rank]}, the bank has rows 0 to {len(bank.items) - 1}"
            )
        own = np.zeros_like(mask)
        own[mask] = bank.items[index[mask]] == np.broadcast_to(self.items[:, None], mask.shape)[mask]
        for i, rank in np.argwhere(own)[:1]:
            raise ValueError(f"item {self.items[i]} is its own neighbour (rank {rank}): its label would leak")


@dataclass(frozen=True)
class Minibatch:
    """b videos on their way through the model, and the u distinct videos retrieved for them."""

    target: VideoBatch
    neighbours: VideoBatch
    neighbourhood: NeighbourBatch
    label: Tensor | None  # (b,) float32
    feedback: Feedback | None

    @property
    def completed(self) -> Completed | None:
        return None if self.feedback is None else self.feedback.completed


def minibatch(
    samples: Samples, bank: Bank, rows: np.ndarray, *, with_feedback: bool, device: torch.device | str = "cpu"
) -> Minibatch:
    """Return the windows at `rows` (b,) of `samples`; with_feedback: whether the process makes their temporal rows."""
    distinct, neighbourhood = samples.neighbourhood.batch(rows, device=device)
    label = None if samples.target is None else torch.from_numpy(samples.target[rows].astype(np.float32)).to(device)
    return Minibatch(
        target=samples.features.batch(rows, device=device),
        neighbours=bank.features.batch(distinct, device=device),
        neighbourhood=neighbourhood,
        label=label,
        feedback=samples.feedback.take(torch.from_numpy(rows), device=device) if with_feedback else None,
    )


def batches(rows: np.ndarray, size: int) -> Iterator[np.ndarray]:
    """`rows` in pieces of `size`, the last one shorter."""
    for start in range(0, len(rows), size):
        yield rows[start : start + size]
