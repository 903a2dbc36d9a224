"""The bank's members in the order in which a search computes them.

By the modalities they have (content only, both, temporal only, none), so that the members of each modality lie side by
side, and in the chronological protocol by the time of their label within each kind, so that those which a query may see
come first. Nothing here changes what is found: ties are broken by the members' own positions.
"""

from dataclasses import dataclass

import numpy as np

CONTENT_ONLY, BOTH, TEMPORAL_ONLY, NONE = range(4)


@dataclass(frozen=True)
class Bank:
    """N members: content (N, dc), temporal (N, dt) float32; masks (N,) bool; groups (N,); label_times (N,) or None."""

    content: np.ndarray
    temporal: np.ndarray
    content_mask: np.ndarray
    temporal_mask: np.ndarray
    groups: np.ndarray
    label_times: np.ndarray | None


@dataclass(frozen=True)
class Columns:
    """What the columns of one block of queries stand for: of each kind a number of members, from the first.

    widths, offsets (4,): how many columns each kind has, and where they start; starts (4,): where the kind starts in
    the arrangement.
    """

    widths: np.ndarray
    offsets: np.ndarray
    starts: np.ndarray
    order: np.ndarray

    @property
    def width(self) -> int:
        return int(self.widths.sum())

    def positions(self, columns: np.ndarray) -> np.ndarray:
        """Position in the bank of the members in these columns."""
        kind = np.searchsorted(self.offsets, columns, side="right") - 1
        return self.order[columns - self.offsets[kind] + self.starts[kind]]


class Arrangement:
    """order (N,): position in the bank of each place; content, temporal: the vectors of those who have them."""

    def __init__(self, bank: Bank, *, by_time: bool):
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
        """(n, 4): how many members of each kind each query may see: those whose label was observable at its time."""
        if not self._by_time:
            return np.broadcast_to(np.diff(self.starts), (count, 4))
        kinds = [self._times[start:stop] for start, stop in zip(self.starts[:-1], self.starts[1:], strict=True)]
        return np.stack([np.searchsorted(kind, times, side="right") for kind in kinds], axis=1)

    def columns(self, visible: np.ndarray) -> Columns:
        """The columns that a block of queries needs; visible (n, 4)."""
        widths = visible.max(axis=0)
        offsets = np.concatenate([[0], np.cumsum(widths)[:-1]])
        return Columns(widths, offsets, self.starts[:4], self.order)

    def hidden(
        self, own: np.ndarray, groups: np.ndarray, visible: np.ndarray, columns: Columns
    ) -> tuple[np.ndarray, np.ndarray]:
        """(rows, columns) of the block that the query of the row may not find; rows rise.

        These are the query itself and the members of its duplicate group, and those whose label came too late for it
        but not for others of the block. own (n,): position in the bank or -1; groups (n,): duplicate group or -1.
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
    """The ranges start, start + 1, ... of these sizes, one after the other."""
    ends = np.cumsum(sizes)
    return np.arange(ends[-1] if len(ends) else 0) + np.repeat(starts - (ends - sizes), sizes)
