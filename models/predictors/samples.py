"""The videos of one split with what was retrieved for each, and the bank that it was retrieved from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from models.predictors.features import NeighbourBatch, Neighbourhood, VideoBatch, VideoFeatures
from models.predictors.feedback import Completed, Feedback


@dataclass(frozen=True)
class Bank:
    """The memory bank's videos: items (m,) their ids, features of the m videos, as they were when it was built."""

    items: np.ndarray
    features: VideoFeatures

    def __post_init__(self) -> None:
        if len(self.items) != len(self.features):
            raise ValueError(f"the bank has {len(self.items)} items but features of {len(self.features)} videos")


@dataclass(frozen=True)
class Samples:
    """n videos: items (n,) ids, features, neighbourhood (into a bank), and where they are known target and feedback.

    target: (n,) transformed labels, or None; feedback: of the n videos, or None where no process learns along.
    Raises ValueError where the numbers of videos differ, or a target is not finite.
    """

    items: np.ndarray
    features: VideoFeatures
    neighbourhood: Neighbourhood
    target: np.ndarray | None = None
    feedback: Feedback | None = None

    def __post_init__(self) -> None:
        numbers = {
            name: len(part)
            for name in ("items", "features", "neighbourhood", "target", "feedback")
            if (part := getattr(self, name)) is not None
        }
        if len(set(numbers.values())) > 1:
            raise ValueError(f"every part must be of the same videos, given {numbers}")
        if self.target is not None and not np.isfinite(self.target).all():
            bad = np.flatnonzero(~np.isfinite(self.target))[0]
            raise ValueError(f"target of item {self.items[bad]} is {self.target[bad]}, must be finite")

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
        for i, rank in np.argwhere(mask):
            if bank.items[index[i, rank]] == self.items[i]:
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
    """The videos at `rows` (b,) of `samples`; with_feedback: whether the process makes their temporal rows."""
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
