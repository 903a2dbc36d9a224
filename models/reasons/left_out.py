"""Observation windows without one part of their inputs at a time, as if the video lacked it: masked rows, unknown columns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import torch

from models.events import EventBatch
from models.predictors.features import PackedRows, Rows, VideoFeatures
from models.predictors.feedback import Feedback, FeedbackSource
from models.predictors.samples import Samples
from models.predictors.table import Table
from models.reasons.parts import FEEDBACK, MODALITIES, NEIGHBOURS, part_of


@dataclass(frozen=True)
class PartlyUnseenFeedback:
    """Feedback of some windows of a source, of some of which nothing was seen.

    A process inside a network makes no temporal row of an unseen window, as of a video whose feedback is unknown.

    Attributes:
        source: Feedback of n windows.
        index: (m,) int64, numbers of windows of the source, in any order and also several times.
        unseen: (m,) bool.
    """

    source: FeedbackSource
    index: np.ndarray
    unseen: np.ndarray

    def __len__(self) -> int:
        """Return m."""
        return len(self.index)

    def take(self, rows: torch.Tensor, *, device: torch.device | str = "cpu") -> Feedback:
        """Return the feedback of the windows at `rows` (b,) on a device."""
        known = self.source.take(torch.from_numpy(self.index)[rows])
        unseen = torch.from_numpy(self.unseen)[rows]
        numbers = {
            field.name: getattr(known.completed, field.name).masked_fill(unseen, 0)
            for field in fields(known.completed)
            if field.name != "events"
        }
        completed = replace(known.completed, events=_emptied(known.completed.events, unseen), **numbers)
        return Feedback(_emptied(known.observed, unseen), completed).to(device)


@dataclass(frozen=True)
class LeftOut:
    """Windows that lack something, several per original window; those of one original window follow each other.

    Attributes:
        samples: m windows.
        window: (m,) int64, number of the original window.
        part: (m,) int64, number of the part that is left out; -1 where it is a single neighbour.
        rank: (m,) int64, rank of the neighbour that is left out; -1 where it is a part.
    """

    samples: Samples
    window: np.ndarray
    part: np.ndarray
    rank: np.ndarray


def take_windows(samples: Samples, index: np.ndarray) -> Samples:
    """Return some windows, in any order and also several times, without their targets and shares.

    Args:
        samples: n windows.
        index: (m,) int64, numbers of windows.
    """
    parts = {name: getattr(samples, name) for name in ("features", "neighbourhood", "table", "posts")}
    return Samples(
        items=samples.items[index],
        age=None if samples.age is None else samples.age[index],
        feedback=None
        if samples.feedback is None
        else PartlyUnseenFeedback(samples.feedback, index, np.zeros(len(index), bool)),
        **{name: None if part is None else part.take(index) for name, part in parts.items()},
    )


def leave_out(samples: Samples, parts: Sequence[str]) -> LeftOut:
    """Return every window once without each part, and once without each neighbour, if neighbours are one of the parts.

    Args:
        samples: n windows with up to S neighbours each.
        parts: "frames", "sound", "words", "feedback", "neighbours", or parts that columns of the table belong to; see
            `models.reasons.parts`. The columns of a part become unknown; feedback loses its temporal rows too. The neighbours
            stay those that were retrieved with the part.

    Returns:
        n windows per part, and one per neighbour that is not masked.
    """
    place = {part: number for number, part in enumerate(parts)}
    window, part = np.divmod(np.arange(len(samples) * len(parts)), max(len(parts), 1))
    rank = np.full(len(window), -1)
    if NEIGHBOURS in place:
        with_neighbour, ranks = samples.neighbourhood.mask.nonzero()
        window = np.concatenate([window, with_neighbour])
        part = np.concatenate([part, np.full(len(ranks), -1)])
        rank = np.concatenate([rank, ranks])
    order = np.argsort(window, kind="stable")  # windows of one video share their neighbours, which a batch encodes once
    window, part, rank = window[order], part[order], rank[order]

    def lacks(name: str) -> np.ndarray:
        return part == place.get(name, len(place))

    all_windows = take_windows(samples, window)
    features, neighbourhood, feedback = all_windows.features, all_windows.neighbourhood, all_windows.feedback
    for name, modality in {**MODALITIES, FEEDBACK: "temporal"}.items():
        features = _without_rows(features, modality, lacks(name))
    mask = neighbourhood.mask & ~lacks(NEIGHBOURS)[:, None]
    single = np.flatnonzero(rank >= 0)
    mask[single, rank[single]] = False
    left = replace(
        all_windows,
        features=features,
        neighbourhood=replace(neighbourhood, mask=mask),
        feedback=None if feedback is None else replace(feedback, unseen=lacks(FEEDBACK)),
        table=None if all_windows.table is None else _partly_unknown(all_windows.table, lacks),
    )
    return LeftOut(left, window, part, rank)


def _emptied(events: EventBatch, unseen: torch.Tensor) -> EventBatch:
    """Return sequences of which the unseen ones have no event and end at t = 0."""
    return EventBatch(
        events.times,
        events.types,
        events.lengths.masked_fill(unseen, 0),
        events.t_end.masked_fill(unseen, 0),
        events.t_start,
    )


def _without_rows(features: VideoFeatures, modality: str, lacks: np.ndarray) -> VideoFeatures:
    rows = getattr(features, modality)
    if isinstance(rows, PackedRows):
        without = replace(rows, lengths=np.where(lacks, 0, rows.lengths))
    else:
        without = Rows(rows.values, rows.mask & ~lacks[:, None])
    return replace(features, **{modality: without})


def _partly_unknown(table: Table, lacks: Callable[[str], np.ndarray]) -> Table:
    numeric, categorical = table.numeric.copy(), table.categorical.copy()
    for place, name in enumerate(table.numeric_names):
        numeric[lacks(part_of(name)), place] = np.nan
    for place, name in enumerate(table.categorical_names):
        categorical[lacks(part_of(name)), place] = ""
    return replace(table, numeric=numeric, categorical=categorical)
