"""The selection of candidates for the best members from a block's similarities.

It works on a few rows at a time, so that they stay in the CPU's cache.
"""

from dataclasses import dataclass

import numpy as np

from storage.bank.member_order import Columns

# The float32 product of two vectors is wrong by a few roundings (2^-24), relative to the product of their lengths. Two
# similarities that differ by less than this factor times the lengths cannot be distinguished.
RESOLUTION = 2.0**-20
NO_SCORE = -1.0  # for members that a query must not find; it is below every score


class Modality:
    """One modality's similarities between the q queries and w members of a block.

    Attributes:
        values: (q, w) similarities; `normalise` overwrites them with norm^2.
        low: (q,) smallest similarity of each query, after `normalise`.
        high: (q,) largest similarity of each query, after `normalise`.
        scale: (q,) 1 / (high - low), or 0 if all norms are 0; after `normalise`.
    """

    def __init__(
        self,
        values: np.ndarray,
        noise: np.ndarray,
        hidden: np.ndarray,
        hidden_from: np.ndarray,
        extremes: tuple[np.ndarray, np.ndarray] | None = None,
    ):
        """Take the similarities of a block.

        Args:
            values: (q, w) similarities. The array is modified.
            noise: (q,) resolution of each query's similarities, infinite for a query without the modality.
            hidden: (k,) flat positions in `values` of members that the query must not find, in ascending order.
            hidden_from: (q + 1,) where each row starts in `hidden`.
            extremes: (q,) smallest and largest similarities for the norm; None for those of the block.
        """
        self.values = values
        self._flat = values.reshape(-1)
        self._noise, self._hidden, self._hidden_from = noise, hidden, hidden_from
        self._measured = extremes is None
        if extremes is None:
            extremes = np.full(len(values), np.inf, np.float32), np.full(len(values), -np.inf, np.float32)
        self.low, self.high = extremes
        self.scale = np.zeros(len(values), np.float32)
        self._base = np.zeros(len(values), np.float32)

    def measure(self, rows: slice) -> None:
        """Find the extremes of the similarities in these rows, over the members that each query may see."""
        values = self.values[rows]
        if not values.shape[1]:
            return
        hidden = self._hidden[self._hidden_from[rows.start] : self._hidden_from[rows.stop]]
        self._flat[hidden] = np.inf
        values.min(axis=1, out=self.low[rows])
        self._flat[hidden] = -np.inf
        values.max(axis=1, out=self.high[rows])

    def normalise(self, rows: slice) -> None:
        """Replace the similarities in these rows by norm^2, min-max over the members that each query may see.

        If the extremes are equal within float32's resolution, the norm is 0.
        """
        values = self.values[rows]
        if not values.shape[1]:
            return
        if self._measured:
            self.measure(rows)
        low, high, scale, base = self.low[rows], self.high[rows], self.scale[rows], self._base[rows]
        span = high - low
        varied = span > self._noise[rows]
        np.divide(1, span, out=scale, where=varied)
        np.copyto(base, low, where=varied)
        np.subtract(values, base[:, None], out=values)
        np.multiply(values, scale[:, None], out=values)
        np.multiply(values, values, out=values)

    @property
    def present(self) -> np.ndarray:
        """(q,) bool: whether the query has the modality and may see a member that has it."""
        return np.isfinite(self._noise) & (self.low <= self.high)

    def error(self, rows: slice = slice(None)) -> np.ndarray:
        """Return (r,) the largest error of norm^2: twice the error of norm, because norm is at most 1."""
        scale = self.scale[rows]
        return np.multiply(self._noise[rows], 2 * scale, out=np.zeros_like(scale), where=scale > 0)

    def raw(self, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """Return the similarities at these rows and columns, computed from norm^2."""
        scale = self.scale[rows]
        span = np.divide(1, scale, out=np.zeros_like(scale), where=scale > 0)
        return self.low[rows] + span * np.sqrt(self.values[rows, columns])


@dataclass(frozen=True)
class Candidates:
    """k members that may be among the best of their row.

    Attributes:
        row: (k,) row in the block.
        column: (k,) column in the block.
        position: (k,) position in the bank.
        square: (k,) squared score.
    """

    row: np.ndarray
    column: np.ndarray
    position: np.ndarray
    square: np.ndarray

    def sorted(self) -> "Candidates":
        """Return the candidates sorted by row, then descending score, then position in the bank."""
        order = np.lexsort((self.position, -self.square, self.row))
        return Candidates(self.row[order], self.column[order], self.position[order], self.square[order])

    @property
    def rank(self) -> np.ndarray:
        """(k,) rank within the row, from 0; the candidates must be sorted."""
        return np.arange(len(self.row)) - np.searchsorted(self.row, self.row)


def combine(modal: Modality, temporal: Modality, rows: slice, columns: Columns, total: np.ndarray) -> None:
    """Write norm(modal)^2 + norm(temporal)^2 to `total` (r, w). A member without a modality has norm 0 there."""
    only_content, both, only_temporal, neither = columns.widths
    shared = only_content + both
    content, feedback = modal.values[rows], temporal.values[rows]
    np.add(content[:, only_content:], feedback[:, :both], out=total[:, only_content:shared])
    if only_content:
        total[:, :only_content] = content[:, :only_content]
    if only_temporal:
        total[:, shared : shared + only_temporal] = feedback[:, both:]
    if neither:
        total[:, shared + only_temporal :] = 0


def pick(total: np.ndarray, least: np.ndarray, slack: np.ndarray, *, size: int) -> np.ndarray:
    """Return the flat positions of candidates: the `size` highest of each row, and values less than `slack` below them.

    The columns are divided into classes of equal remainder, whose maxima take only few long vector operations. At least
    `size` members reach the `size`-th highest maximum, so members below it cannot be among the best.

    Args:
        total: (r, w) squared scores.
        least: (r,) value that every candidate must reach.
        slack: (r,) error of the scores.
        size: How many of the highest values to include.
    """
    width = total.shape[1]
    classes = max(4 * size, width // 40)
    if width >= 2 * classes:
        whole = width - width % classes
        maxima = total[:, :whole].reshape(len(total), -1, classes).max(axis=1)
        maxima.partition(classes - size, axis=1)
        least = np.maximum(least, maxima[:, classes - size] - slack)
    return np.flatnonzero(total >= least[:, None])


def near_ties(found: Candidates, error: np.ndarray, *, size: int) -> np.ndarray:
    """Return the rows with two successive scores that differ by less than their errors.

    Args:
        found: Sorted candidates.
        error: Error of the squared score of each row.
        size: The scores at ranks up to `size` are compared; at rank `size` is the first member that is left out.
    """
    gap = found.square[:-1] - found.square[1:]
    near = (found.row[:-1] == found.row[1:]) & (found.rank[:-1] < size) & (gap <= 2 * error[found.row[:-1]])
    return np.unique(found.row[:-1][near])
