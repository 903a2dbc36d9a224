"""Samples of one split with their retrieved neighbours, and the memory bank that holds the neighbours."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from models.predictors.batch_part import WHOLE, BatchPart
from models.predictors.earlier_posts import EarlierPosts
from models.predictors.features import NeighbourBatch, Neighbourhood, VideoBatch, VideoFeatures, on_device
from models.predictors.feedback import Completed, Feedback, FeedbackSource
from models.predictors.table import Table
from models.targets import Transform

PARTS = ("items", "features", "neighbourhood", "target", "feedback", "age", "share", "table", "posts", "counted")


@dataclass(frozen=True)
class Bank:
    """Videos of the memory bank.

    Attributes:
        items: (m,) ids of the videos.
        features: Features of the m videos.
        table: Metadata and counts of the m videos, at the end of their own windows; None if there are none.

    Raises:
        ValueError: The numbers of ids and videos differ.
    """

    items: np.ndarray
    features: VideoFeatures
    table: Table | None = None

    def __post_init__(self) -> None:
        """Check the values."""
        if len(self.items) != len(self.features):
            raise ValueError(f"the bank has {len(self.items)} items but features of {len(self.features)} videos")
        if self.table is not None and len(self.items) != len(self.table):
            raise ValueError(f"the bank has {len(self.items)} items but a table of {len(self.table)} videos")


@dataclass(frozen=True)
class Samples:
    """n observation windows: the data known about a video at the end of each window.

    A video may have several windows of different lengths. They share its content features, and differ in feedback and
    neighbours.

    Attributes:
        items: (n,) id of each window's video.
        features: Features of each window's video.
        neighbourhood: Neighbours of each window, as rows of a `Bank`.
        target: (n, T) transformed labels, NaN where one is unknown; None for prediction.
        feedback: Feedback of the windows; None if the stored temporal rows are used.
        age: (n,) hours since t = 0 at the end of each window, NaN for an item's complete window; None if unknown.
        share: (n,) > 0, weight of each window among those of its video; None weights them equally.
        table: Metadata and counts known at the end of each window; None if there are none.
        posts: The posts up to each window's own; None if no predictor reads them.
        counted: (n, T) count of each target at the end of each window, NaN where unknown; None if unknown of all.
        scale: Scale of the targets.

    Raises:
        ValueError: The numbers of windows differ, the target is not (n, T), a target is infinite, or a share is not positive.
    """

    items: np.ndarray
    features: VideoFeatures
    neighbourhood: Neighbourhood
    target: np.ndarray | None = None
    feedback: FeedbackSource | None = None
    age: np.ndarray | None = None
    share: np.ndarray | None = None
    table: Table | None = None
    posts: EarlierPosts | None = None
    counted: np.ndarray | None = None
    scale: Transform = "log2p1"

    def __post_init__(self) -> None:
        """Check the values."""
        numbers = {name: len(part) for name in PARTS if (part := getattr(self, name)) is not None}
        if len(set(numbers.values())) > 1:
            raise ValueError(f"every part must have the same number of windows, given {numbers}")
        if self.target is not None:
            if self.target.ndim != 2:
                raise ValueError(f"target must be (windows, targets), given {self.target.shape}")
            for row, column in np.argwhere(np.isinf(self.target))[:1]:
                raise ValueError(f"target of item {self.items[row]} is {self.target[row, column]}, must be finite")
        if self.share is not None and not (self.share > 0).all():
            bad = np.flatnonzero(~(self.share > 0))[0]
            raise ValueError(f"share of item {self.items[bad]} is {self.share[bad]}, must be above 0")

    @property
    def weights(self) -> np.ndarray:
        """(n,) weights that sum to 1: equal per video, and split among a video's windows by their shares."""
        return self.weights_of(np.ones(len(self), bool))

    def weights_of(self, rows: np.ndarray) -> np.ndarray:
        """Return the weights of some windows alone, which sum to 1.

        Args:
            rows: (n,) bool; True for m windows.

        Returns:
            (m,) weights: equal per video, and split among a video's windows by their shares.
        """
        share = np.ones(len(self)) if self.share is None else self.share
        _, video = np.unique(self.items[rows], return_inverse=True)
        weights = share[rows] / np.bincount(video, weights=share[rows])[video]
        return weights / weights.sum()

    @property
    def first_windows(self) -> np.ndarray:
        """(v,) numbers of windows, ascending: the first of each of the v distinct videos."""
        return np.sort(np.unique(self.items, return_index=True)[1])

    def one_window_each(self, generator: np.random.Generator) -> np.ndarray:
        """Return one random window per video, with probability by share.

        Args:
            generator: Source of the random numbers.

        Returns:
            (v,) numbers of windows, in random order, for v distinct videos.
        """
        _, video = np.unique(self.items, return_inverse=True)
        # A window has the largest log(uniform) / share of its video with a probability proportional to its share.
        key = np.log(generator.random(len(self))) / self.weights
        order = np.lexsort((key, video))
        last = np.append(np.diff(video[order]) > 0, True)
        return generator.permutation(order[last])

    def __len__(self) -> int:
        """Return the number of windows."""
        return len(self.items)

    def take(self, rows: np.ndarray) -> Samples:
        """Return the windows at `rows` (m,) int64."""
        feedback = None if self.feedback is None else self.feedback.take(torch.from_numpy(rows))
        plain = {name: getattr(self, name) for name in ("items", "target", "age", "share", "counted")}
        nested = {name: getattr(self, name) for name in ("features", "neighbourhood", "table", "posts")}
        return Samples(
            feedback=feedback,
            scale=self.scale,
            **{name: part if part is None else part[rows] for name, part in plain.items()},
            **{name: part if part is None else part.take(rows) for name, part in nested.items()},
        )

    def check_against(self, bank: Bank) -> None:
        """Check the neighbours against the bank that they refer to.

        A video that retrieves itself would read its own label, so M3TR section 3.4 excludes it.

        Args:
            bank: The bank.

        Raises:
            ValueError: A neighbour is not in the bank, or a video is its own neighbour; the message names the item.
        """
        index, mask = self.neighbourhood.index, self.neighbourhood.mask
        outside = np.argwhere(mask & ((index < 0) | (index >= len(bank.items))))
        if len(outside):
            i, rank = outside[0]
            raise ValueError(
                f"item {self.items[i]} has neighbour {index[i, rank]}, but the bank has rows 0 to {len(bank.items) - 1}"
            )
        own = np.zeros_like(mask)
        own[mask] = bank.items[index[mask]] == np.broadcast_to(self.items[:, None], mask.shape)[mask]
        for i, rank in np.argwhere(own)[:1]:
            raise ValueError(f"item {self.items[i]} is its own neighbour (rank {rank}): its label would leak")


@dataclass(frozen=True)
class Minibatch:
    """The model's input for b windows, and the labels.

    Attributes:
        target: Features of the b windows' videos; None if the network reads no rows.
        neighbours: Features of the u distinct videos retrieved for them; None if the network reads no neighbours.
        neighbourhood: (b, S), which of the u videos each window has.
        label: (b, T) float32, NaN where unknown; or None.
        feedback: Feedback of the b windows, or None.
        tables: Tables of the b windows and of the u videos, or None; the second is None if the network reads no neighbours.
        posts: The posts up to those of the b windows, or None.
        part: Which part of a minibatch of several processes the b windows are.
    """

    target: VideoBatch | None
    neighbours: VideoBatch | None
    neighbourhood: NeighbourBatch
    label: Tensor | None
    feedback: Feedback | None
    tables: tuple[Table, Table | None] | None = None
    posts: EarlierPosts | None = None
    part: BatchPart = WHOLE

    @property
    def completed(self) -> Completed | None:
        """Feedback extended by simulation, or None."""
        return None if self.feedback is None else self.feedback.completed


def minibatch(
    samples: Samples,
    bank: Bank,
    rows: np.ndarray,
    *,
    with_feedback: bool,
    with_tables: bool = False,
    with_rows: bool = True,
    with_neighbours: bool = True,
    with_posts: bool = False,
    device: torch.device | str = "cpu",
) -> Minibatch:
    """Return some windows as input of the model.

    Args:
        samples: All windows.
        bank: The bank that the neighbours refer to.
        rows: (b,) numbers of the windows.
        with_feedback: Whether the process inside the model makes the temporal rows; `samples.feedback` is needed then.
        with_tables: Whether the model reads tables; `samples.table` and `bank.table` are needed then.
        with_rows: Whether the model reads the feature rows of the windows.
        with_neighbours: Whether the model reads the feature rows, and with tables the tables, of their neighbours.
        with_posts: Whether the model reads earlier posts; `samples.posts` is needed then.
        device: Device of the tensors.

    Returns:
        The b windows.
    """
    distinct, neighbourhood = samples.neighbourhood.batch(rows, device=device)
    label = None if samples.target is None else on_device(samples.target[rows].astype(np.float32), device)
    return Minibatch(
        target=samples.features.batch(rows, device=device) if with_rows else None,
        neighbours=bank.features.batch(distinct, device=device) if with_neighbours else None,
        neighbourhood=neighbourhood,
        label=label,
        feedback=samples.feedback.take(torch.from_numpy(rows), device=device) if with_feedback else None,
        tables=(samples.table.take(rows), bank.table.take(distinct) if with_neighbours else None)
        if with_tables
        else None,
        posts=samples.posts.take(rows) if with_posts else None,
    )


def batches(rows: np.ndarray, size: int) -> Iterator[np.ndarray]:
    """Yield `rows` in pieces of `size`; the last piece may be shorter."""
    for start in range(0, len(rows), size):
        yield rows[start : start + size]
