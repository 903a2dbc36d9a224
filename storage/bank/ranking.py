"""From a block's similarities to candidates for the best members, a few rows at a time, so that they stay in cache."""

from dataclasses import dataclass

import numpy as np

from storage.bank.member_order import Columns

# A float32 product of two vectors is off by a few roundings (2^-24) of the product of their lengths: below this many
# lengths two similarities cannot be told apart.
RESOLUTION = 2.0**-20
NO_SCORE = -1.0  # below every score: what a query may not find


class Modality:
    """One modality's similarities in a block: values (q, w), which `normalise` overwrites by norm^2.

    noise (q,): the resolution of each query's similarities, infinite for a query without the modality. hidden (k,):
    flat positions in `values` of what must not be seen, those of row r from hidden_from[r] to hidden_from[r + 1].
    After `normalise`: low, high (q,) the extremes, scale (q,) 1 / (high - low), or 0 where every norm is 0.
    """

    def __init__(self, values: np.ndarray, noise: np.ndarray, hidden: np.ndarray, hidden_from: np.ndarray):
        self.values = values
        self._flat = values.reshape(-1)
        self._noise, self._hidden, self._hidden_from = noise, hidden, hidden_from
        self.low = np.full(len(values), np.inf, np.float32)
        self.high = np.full(len(values), -np.inf, np.float32)
        self.scale = np.zeros(len(values), np.float32)
        self._base = np.zeros(len(values), np.float32)

    def normalise(self, rows: slice) -> None:
        """norm^2 in these rows: min-max over what each query may see; extremes alike to float32's resolution give 0."""
        values = self.values[rows]
        if not values.shape[1]:
            return
        low, high, scale, base = self.low[rows], self.high[rows], self.scale[rows], self._base[rows]
        hidden = self._hidden[self._hidden_from[rows.start] : self._hidden_from[rows.stop]]
        self._flat[hidden] = np.inf
        values.min(axis=1, out=low)
        self._flat[hidden] = -np.inf
        values.max(axis=1, out=high)
        span = high - low
        varied = span > self._noise[rows]
        np.divide(1, span, out=scale, where=varied)
        np.copyto(base, low, where=varied)
        np.subtract(values, base[:, None], out=values)
        np.multiply(values, scale[:, None], out=values)
        np.multiply(values, values, out=values)

    @property
    def present(self) -> np.ndarray:
        """(q,): whether the query has the modality, and so has a member that it may see."""
        return np.isfinite(self._noise) & (self.low <= self.high)

    def error(self, rows: slice = slice(None)) -> np.ndarray:
        """(r,): how far off norm^2 may be; norm is at most 1, so it is twice what norm is off."""
        scale = self.scale[rows]
        return np.multiply(self._noise[rows], 2 * scale, out=np.zeros_like(scale), where=scale > 0)

    def raw(self, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """The similarities themselves, from norm^2."""
        scale = self.scale[rows]
        span = np.divide(1, scale, out=np.zeros_like(scale), where=scale > 0)
        return self.low[rows] + span * np.sqrt(self.values[rows, columns])


@dataclass(frozen=True)
class Candidates:
    """Members that may be among the best: (k,) row, column, position in the bank, square of the score."""

    row: np.ndarray
    column: np.ndarray
    position: np.ndarray
    square: np.ndarray

    def sorted(self) -> "Candidates":
        """By row, the highest score first, equal ones in the order of the bank."""
        order = np.lexsort((self.position, -self.square, self.row))
        return Candidates(self.row[order], self.column[order], self.position[order], self.square[order])

    @property
    def rank(self) -> np.ndarray:
        """Rank within the row, from 0, once sorted."""
        return np.arange(len(self.row)) - np.searchsorted(self.row, self.row)


def combine(modal: Modality, temporal: Modality, rows: slice, columns: Columns, total: np.ndarray) -> None:
    """total (r, w) = norm(modal)^2 + norm(temporal)^2, where a member without a modality has norm 0 there."""
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
    """Flat positions of all that are among the `size` highest of their row, or by less than `slack` (r,) below those.

    total (r, w): squared scores; least (r,): what must be reached in any case. The columns are cut into classes of
    equal remainder, whose maxima take few long vector operations; as the `size`-th highest maximum is reached by
    `size` members, whatever lies below it is not among the best.
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
    """Rows in which two neighbouring scores, down to the first that is left out, are nearer than their errors."""
    gap = found.square[:-1] - found.square[1:]
    near = (found.row[:-1] == found.row[1:]) & (found.rank[:-1] < size) & (gap <= 2 * error[found.row[:-1]])
    return np.unique(found.row[:-1][near])
