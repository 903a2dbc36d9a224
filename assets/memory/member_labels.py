"""Labels of bank members, each with the moment from which a query may see it (docs/protocol.md, rule Bank)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from assets.protocol.labels import matrix, observable_at, read_labels
from assets.protocol.popularity import read_popularity
from storage.store import Store


@dataclass(frozen=True)
class MemberLabels:
    """Labels of m members for T targets, the primary target first.

    Attributes:
        value: (m, T) float64 on the target's scale, NaN where unknown.
        since: (m, T) float64 unix ms from which the label may be used, NaN where it is unknown.
    """

    value: np.ndarray
    since: np.ndarray

    @classmethod
    def of(cls, store: Store, items: Sequence[str]) -> MemberLabels:
        """Read the labels of some members.

        Args:
            store: The store.
            items: m ids.
        """
        labels = read_labels(store).join(read_popularity(store).select("item", "t0"), on="item", how="left")
        labels = labels.with_columns(pl.when("known").then(observable_at()).alias("since"))
        return cls(matrix(labels, items, "value"), matrix(labels, items, "since"))

    def first(self) -> np.ndarray:
        """Return from which unix ms each member has a label that may be used, (m,) int64. Every member needs a label."""
        return np.nanmin(self.since, axis=1).astype(np.int64)

    def shown(self, members: np.ndarray, times: np.ndarray | None) -> np.ndarray:
        """Return the labels that k queries see, (k, T), NaN where unknown or not observable.

        Args:
            members: (k,) rows of the members.
            times: (k,) unix ms of the queries; None if every label may be seen.
        """
        value = self.value[members]
        return value if times is None else np.where(self.since[members] <= times[:, None], value, np.nan)
