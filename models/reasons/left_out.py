"""Observation windows without one part of their inputs at a time, as if the video lacked it: masked rows, unknown columns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import torch

from models.events import EventBatch
from models.predictors.features import PackedRows, Rows, VideoFeatures
from models.predictors.feedback import Feedback
from models.predictors.samples import Samples
from models.predictors.table import Table
from models.reasons.parts import FEEDBACK, MODALITIES, NEIGHBOURS, part_of


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

    left = samples.take(window)
    features = left.features
    for name, modality in {**MODALITIES, FEEDBACK: "temporal"}.items():
        features = _without_rows(features, modality, lacks(name))
    mask = left.neighbourhood.mask & ~lacks(NEIGHBOURS)[:, None]
    single = np.flatnonzero(rank >= 0)
    mask[single, rank[single]] = False
    left = replace(
        left,
        features=features,
        neighbourhood=replace(left.neighbourhood, mask=mask),
        feedback=None if left.feedback is None else _partly_unseen(left.feedback, lacks(FEEDBACK)),
        table=None if left.table is None else _partly_unknown(left.table, lacks),
    )
    return LeftOut(left, window, part, rank)


def _without_rows(features: VideoFeatures, modality: str, lacks: np.ndarray) -> VideoFeatures:
    rows = getattr(features, modality)
    if isinstance(rows, PackedRows):
        without = replace(rows, lengths=np.where(lacks, 0, rows.lengths))
    else:
        without = Rows(rows.values, rows.mask & ~lacks[:, None])
    return replace(features, **{modality: without})


def _partly_unseen(feedback: Feedback, lacks: np.ndarray) -> Feedback:
    """Return feedback without some windows' events; a process inside a network makes no temporal row of such a window."""
    unseen = torch.from_numpy(lacks)

    def emptied(events: EventBatch) -> EventBatch:
        lengths, t_end = events.lengths.masked_fill(unseen, 0), events.t_end.masked_fill(unseen, 0)
        return EventBatch(events.times, events.types, lengths, t_end, events.t_start)

    known = feedback.completed
    numbers = {
        field.name: getattr(known, field.name).masked_fill(unseen, 0)
        for field in fields(known)
        if field.name != "events"
    }
    return Feedback(emptied(feedback.observed), replace(known, events=emptied(known.events), **numbers))


def _partly_unknown(table: Table, lacks: Callable[[str], np.ndarray]) -> Table:
    numeric, categorical = table.numeric.copy(), table.categorical.copy()
    for place, name in enumerate(table.numeric_names):
        numeric[lacks(part_of(name)), place] = np.nan
    for place, name in enumerate(table.categorical_names):
        categorical[lacks(part_of(name)), place] = ""
    return replace(table, numeric=numeric, categorical=categorical)
