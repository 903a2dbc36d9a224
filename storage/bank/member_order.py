"""The order of the bank's members within a search.

Members are sorted by kind: content only, both modalities, temporal only, none. So the members of each modality are
contiguous. In the chronological protocol, members of a kind are sorted by the time of their label, so the ones that a query
may see come first. The order does not affect the result, because ties are broken by the members' positions in the bank.
"""

from dataclasses import dataclass

import numpy as np

CONTENT_ONLY, BOTH, TEMPORAL_ONLY, NONE = range(4)


@dataclass(frozen=True)
class Bank:
    """The N members of a bank.

    Attributes:
        content: (N, dc) float32 content vectors.
        temporal: (N, dt) float32 temporal vectors.
        content_mask: (N,) bool, whether a member has a content vector.
        temporal_mask: (N,) bool, whether a member has a temporal vector.
        groups: (N,) duplicate groups.
        label_times: (N,) unix ms at which each label was observable; None outside the chronological protocol.
    """

    content: np.ndarray
    temporal: np.ndarray
    content_mask: np.ndarray
    temporal_mask: np.ndarray
    groups: np.ndarray
    label_times: np.ndarray | None


@dataclass(frozen=True)
class Columns:
    """The members that the columns of one block of queries stand for: the first members of each kind.

    Attributes:
        widths: (4,) number of columns per kind.
        offsets: (4,) first column of each kind.
        starts: (4,) where each kind starts in the arrangement.
        order: (N,) position in the bank of each member of the arrangement.
    """

    widths: np.ndarray
    offsets: np.ndarray
    starts: np.ndarray
    order: np.ndarray

    @property
    def width(self) -> int:
        """Number of columns."""
        return int(self.widths.sum())

    def positions(self, columns: np.ndarray) -> np.ndarray:
        """Return the positions in the bank of the members in these columns."""
        kind = np.searchsorted(self.offsets, columns, side="right") - 1
        return self.order[columns - self.offsets[kind] + self.starts[kind]]


class Arrangement:
    """The bank's members, sorted for a search.

    Attributes:
        order: (N,) position in the bank of each member of the arrangement.
        starts: (5,) where each kind starts in the arrangement, and its end.
        content: Content vectors of the members that have one, in this order.
        temporal: Temporal vectors of the members that have one, in this order.
    """

    def __init__(self, bank: Bank, *, by_time: bool):
        """Sort the members; the vectors are copied unless the order is that of the bank.

        Args:
            bank: The members.
            by_time: Whether to sort the members of a kind by `label_times`.
        """
        has = bank.content_mask, bank.temporal_mask
        kind = np.select([has[0] & has[1], has[0], has[1]], [BOTH, CONTENT_ONLY, TEMPORAL_ONLY], NONE)
        self._by_time = by_time
        keys = (bank.label_times, kind) if by_time else (kind,)
        self.order = np.lexsort(keys)  # stable
        self.starts = np.searchsorted(kind[self.order], np.arange(5))
        self._place = np.empty(len(kind), np.int64)
        self._place[self.order] = np.arange(len(kind))
        with_content = self.order[: self.starts[TEMPORAL_ONLY]]
        with_temporal = self.order[self.starts[BOTH] : self.starts[NONE]]
        straight = bool((self.order[:-1] < self.order[1:]).all())
        self.content = bank.content if straight and len(with_content) == len(kind) else bank.content[with_content]
        self.temporal = bank.temporal if straight and len(with_temporal) == len(kind) else bank.temporal[with_temporal]
        if by_time:
            self._times = bank.label_times[self.order]
        groups = bank.groups
        self._by_group = np.argsort(groups, kind="stable")
        self._groups = groups[self._by_group]

    def visible(self, times: np.ndarray | None, count: int) -> np.ndarray:
        """Return how many members of each kind a query may see: those whose label was observable at the query's time.

        Args:
            times: (n,) unix ms of the queries; None if all members are visible.
            count: n.

        Returns:
            (n, 4).
        """
        if not self._by_time:
            return np.broadcast_to(np.diff(self.starts), (count, 4))
        kinds = [self._times[start:stop] for start, stop in zip(self.starts[:-1], self.starts[1:], strict=True)]
        return np.stack([np.searchsorted(kind, times, side="right") for kind in kinds], axis=1)

    def columns(self, visible: np.ndarray) -> Columns:
        """Return the columns that a block of queries needs, from the result (n, 4) of `visible`."""
        widths = visible.max(axis=0)
        offsets = np.concatenate([[0], np.cumsum(widths)[:-1]])
        return Columns(widths, offsets, self.starts[:4], self.order)

    def hidden(
        self, own: np.ndarray, groups: np.ndarray, visible: np.ndarray, columns: Columns
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the members in the block's columns that a query must not find.

        These are the query itself, the members of its duplicate group, and members whose label came too late for this
        query but not for others of the block.

        Args:
            own: (n,) position of each query in the bank, or -1.
            groups: (n,) duplicate group of each query, or -1.
            visible: (n, 4), from `visible`.
            columns: The block's columns.

        Returns:
            Rows (k,), ascending, and columns (k,).
        """
        known = np.flatnonzero(groups >= 0)
        first = np.searchsorted(self._groups, groups[known], side="left")
        size = np.searchsorted(self._groups, groups[known], side="right") - first
        selves = np.flatnonzero(own >= 0)
        place = self._place[np.concatenate([self._by_group[_ranges(first, size)], own[selves]])]
        rows = np.concatenate([np.repeat(known, size), selves])
        kind = np.searchsorted(self.starts[1:], place, side="right")
        within = place - self.starts[kind]
        there = within < columns.widths[kind]
        late_row, late_kind = np.nonzero(visible < columns.widths)
        late = columns.widths[late_kind] - visible[late_row, late_kind]
        rows = np.concatenate([rows[there], np.repeat(late_row, late)])
        column = np.concatenate(
            [
                (within + columns.offsets[kind])[there],
                _ranges(columns.offsets[late_kind] + visible[late_row, late_kind], late),
            ]
        )
        by_row = np.argsort(rows, kind="stable")
        return rows[by_row], column[by_row]


def _ranges(starts: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Return the concatenated ranges start, start + 1, ... of these sizes."""
    ends = np.cumsum(sizes)
    return np.arange(ends[-1] if len(ends) else 0) + np.repeat(starts - (ends - sizes), sizes)
