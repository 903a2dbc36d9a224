"""A minibatch of questions to a click model: histories and candidates, and the content of the items in both."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import NamedTuple, Self

import numpy as np
import torch
from torch import Tensor

from models.recommenders.histories import UserHistories
from models.recommenders.item_features import ItemFeatures
from models.recommenders.queries import Queries
from models.recommenders.recent_exposures import RecentExposures, RecentRows

HOUR = 3_600_000  # milliseconds


class History(NamedTuple):
    """Exposures of b users before their questions, each row ascending in time.

    Attributes:
        index: (b, L) places in the batch's items, 0 where `mask` is False.
        mask: (b, L) bool, True where there is an exposure; padding is at the end.
        age: (b, L) hours from the exposure to the question, 0 where `mask` is False.
    """

    index: Tensor
    mask: Tensor
    age: Tensor

    def gather(self, values: Tensor) -> Tensor:
        """Return values (m, w) of the batch's items as (b, L, w), zero where `mask` is False."""
        return values[self.index] * self.mask.unsqueeze(-1)


@dataclass(frozen=True)
class ClickBatch:
    """b questions with c candidates each. Their m distinct items are listed once.

    Attributes:
        user: (b,) rows of the users.
        item: (m,) rows of the items.
        content: (m, f) content of the items, all modalities side by side; NaN where an item lacks one.
        category: (m,) category of the items, 0 for an unknown one.
        clicked: Latest clicks of each user.
        skipped: Latest exposures that the user did not click.
        candidate: (b, c) places in the items.
        mask: (b, c) bool, True where there is a candidate.
        label: (b, c) 1 for a click, else 0; None for questions without an answer.
    """

    user: Tensor
    item: Tensor
    content: Tensor
    category: Tensor
    clicked: History
    skipped: History
    candidate: Tensor
    mask: Tensor
    label: Tensor | None = None

    def to(self, device: torch.device | str) -> Self:
        """Return the batch on a device."""

        def move(value: Tensor | History | None) -> Tensor | History | None:
            if isinstance(value, History):
                return History(*(part.to(device) for part in value))
            return None if value is None else value.to(device)

        return replace(self, **{field.name: move(getattr(self, field.name)) for field in fields(self)})


def item_content(features: ItemFeatures, items: np.ndarray) -> np.ndarray:
    """Return the content of items (m, f) float32, all modalities side by side; NaN where an item lacks one."""
    parts = []
    for name, values in features.vectors.items():
        part = np.asarray(values[items], np.float32)
        if name in features.known:
            part = np.where(np.asarray(features.known[name][items])[:, None], part, np.float32(np.nan))
        parts.append(part)
    return np.concatenate(parts, axis=1) if parts else np.zeros((len(items), 0), np.float32)


def make_batch(
    histories: UserHistories,
    recent: RecentExposures,
    features: ItemFeatures,
    queries: Queries,
    candidates: np.ndarray,
    *,
    lengths: tuple[int, int],
    labels: np.ndarray | None = None,
) -> ClickBatch:
    """Gather a minibatch; only its own items are read from the arrays.

    Args:
        histories: The histories.
        recent: The places of clicks and skips in `histories`.
        features: Content of the items.
        queries: b questions.
        candidates: (b, c) rows of items, -1 for none.
        lengths: Largest number of clicks and of skips per history; 0 for none.
        labels: (b, c) bool, whether the candidates were clicked.
    """
    found = [recent.latest(queries, length, clicked=kind) for kind, length in zip((True, False), lengths)]
    parts = [np.asarray(histories.item[rows.ravel()], np.int64) for rows, _ in found]
    items, inverse = np.unique(np.concatenate([*parts, np.maximum(candidates, 0).ravel()]), return_inverse=True)
    ends = np.cumsum([part.size for part in parts])
    clicked, skipped, candidate = np.split(inverse, ends)
    category = np.zeros(len(items), np.int64) if features.category is None else features.category[items]

    def history(rows: RecentRows, places: np.ndarray) -> History:
        age = (queries.time[:, None] - np.asarray(histories.time[rows.rows.ravel()]).reshape(rows.rows.shape)) / HOUR
        return History(
            torch.from_numpy(places.reshape(rows.mask.shape) * rows.mask),
            torch.from_numpy(rows.mask),
            torch.from_numpy((age * rows.mask).astype(np.float32)),
        )

    return ClickBatch(
        user=torch.from_numpy(np.asarray(queries.user, np.int64)),
        item=torch.from_numpy(items),
        content=torch.from_numpy(item_content(features, items)),
        category=torch.from_numpy(np.asarray(category, np.int64)),
        clicked=history(found[0], clicked),
        skipped=history(found[1], skipped),
        candidate=torch.from_numpy(candidate.reshape(candidates.shape)),
        mask=torch.from_numpy(candidates >= 0),
        label=None if labels is None else torch.from_numpy(np.asarray(labels, np.float32)),
    )
