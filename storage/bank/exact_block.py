"""The ranking of members for one block of queries, from their similarities."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from storage.bank.extremes import Extremes
from storage.bank.member_order import BOTH, CONTENT_ONLY, Bank, Columns
from storage.bank.neighbours import MODES, Neighbours, Queries
from storage.bank.ranking import NO_SCORE, Candidates, Modality, combine, near_ties, pick

CACHED_BYTES = 2**20  # of similarities processed at a time; they should fit in a second-level cache
MOST_CANDIDATES = 2**20  # collected before they are sorted; reached only if very many members tie


@dataclass
class Block:
    """A block of q queries, and their similarities to w members.

    `rank` may run in several threads at the same time, on different rows.

    Attributes:
        bank: The members.
        queries: All queries.
        numbers: (q,) which of the queries are in the block.
        columns: Which members the similarities belong to.
        modal: Content similarities.
        temporal: Temporal similarities.
        hidden: Rows (k,), ascending, and columns (k,) of members that the query must not find.
    """

    bank: Bank
    queries: Queries
    numbers: np.ndarray
    columns: Columns
    modal: Modality
    temporal: Modality
    hidden: tuple[np.ndarray, np.ndarray]

    def measure(self, rows: slice, found: Extremes) -> None:
        """Write the extremes of these rows to `found`."""
        for few in self._few(rows):
            for place, modality in enumerate((self.modal, self.temporal)):
                modality.measure(few)
                found.low[place, self.numbers[few]] = modality.low[few]
                found.high[place, self.numbers[few]] = modality.high[few]

    def _few(self, rows: slice) -> Iterator[slice]:
        """Yield the rows in pieces that stay in the CPU's cache."""
        step = max(1, CACHED_BYTES // (12 * self.columns.width))
        for start in range(rows.start, rows.stop, step):
            yield slice(start, min(start + step, rows.stop))

    def rank(self, rows: slice, found: Neighbours) -> None:
        """Write the best members of these rows to `found`."""
        size, width = found.index.shape[1], self.columns.width
        step = max(1, CACHED_BYTES // (12 * width))
        total = np.empty((step, width), np.float32)
        first, last = np.searchsorted(self.hidden[0], [rows.start, rows.stop])
        hidden_row, hidden_column = self.hidden[0][first:last] - rows.start, self.hidden[1][first:last]
        hidden = hidden_row % step * width + hidden_column
        hidden_from = np.searchsorted(hidden_row, np.arange(0, rows.stop - rows.start + step, step))
        has = self.queries.content_mask[self.numbers] | self.queries.temporal_mask[self.numbers]
        least = np.where(has, np.float32(NO_SCORE / 2), np.float32(np.inf))
        picked, done, count = [], rows.start, 0
        for number, few in enumerate(self._few(rows)):
            part = total[: few.stop - few.start]
            with np.errstate(invalid="ignore"):  # hidden members have infinite values here; they get NO_SCORE below
                self.modal.normalise(few)
                self.temporal.normalise(few)
                combine(self.modal, self.temporal, few, self.columns, part)
            total.reshape(-1)[hidden[hidden_from[number] : hidden_from[number + 1]]] = NO_SCORE
            slack = 2 * (self.modal.error(few) + self.temporal.error(few))
            flat = pick(part, least[few], slack, size=size)
            picked.append((flat + few.start * width, part.reshape(-1)[flat]))
            count += len(flat)
            if few.stop == rows.stop or count > MOST_CANDIDATES:
                flat, square = (np.concatenate(parts) for parts in zip(*picked, strict=True))
                self._write(slice(done, few.stop), flat, square, found)
                picked, done, count = [], few.stop, 0

    def _write(self, rows: slice, flat: np.ndarray, square: np.ndarray, found: Neighbours) -> None:
        """Sort the candidates of some rows (flat positions in the block), and write the best to `found`."""
        size, numbers = found.index.shape[1], self.numbers
        rests_on = self.modal.present + 2 * self.temporal.present
        row, column = np.divmod(flat, self.columns.width)
        based = rests_on[row] > 0
        row, column, square = row[based], column[based], square[based]
        best = Candidates(row, column, self.columns.positions(column), square).sorted()
        ties = near_ties(best, self.modal.error() + self.temporal.error(), size=size)
        if len(ties):
            best = rescored(best, ties, [self._exact_side(of_content) for of_content in (True, False)])

        rank = best.rank
        kept = rank < size
        row, rank, column = best.row[kept], rank[kept], best.column[kept]
        place = numbers[row], rank
        found.index[place] = best.position[kept]
        found.mask[place] = True
        found.score[place] = np.sqrt(best.square[kept])
        found.mode[numbers[rows]] = MODES[rests_on[rows]]
        for modality, kind, raw, low, high in (
            (self.modal, CONTENT_ONLY, found.ss_modal, found.modal_min, found.modal_max),
            (self.temporal, BOTH, found.ss_temp, found.temp_min, found.temp_max),
        ):
            low[numbers[rows]] = np.where(modality.present, modality.low, np.nan)[rows]
            high[numbers[rows]] = np.where(modality.present, modality.high, np.nan)[rows]
            own_column = column - self.columns.offsets[kind]
            there = modality.present[row] & (own_column >= 0) & (own_column < modality.values.shape[1])
            raw[numbers[row[there]], rank[there]] = modality.raw(row[there], own_column[there])

    def _exact_side(self, of_content: bool) -> "ExactSide":
        modality = self.modal if of_content else self.temporal
        name = "content" if of_content else "temporal"
        return ExactSide(
            getattr(self.queries, name)[self.numbers],
            getattr(self.bank, name),
            getattr(self.bank, f"{name}_mask"),
            modality.low,
            modality.high,
            modality.scale > 0,
        )


@dataclass(frozen=True)
class ExactSide:
    """One modality of q queries, for scores in float64.

    Attributes:
        vectors: (q, d) of the queries.
        members: (N, d) of the members.
        mask: (N,) bool, whether a member has a vector.
        low: (q,) lower extreme of the norm.
        high: (q,) upper extreme of the norm.
        varied: (q,) bool, whether the norm is not 0 for all members.
    """

    vectors: np.ndarray
    members: np.ndarray
    mask: np.ndarray
    low: np.ndarray
    high: np.ndarray
    varied: np.ndarray


def rescored(best: Candidates, ties: np.ndarray, sides: Sequence[ExactSide]) -> Candidates:
    """Compute the scores of some rows again in float64, pair by pair, so that equal vectors score equally.

    Args:
        best: Sorted candidates.
        ties: The rows.
        sides: Content and temporal similarities.

    Returns:
        All candidates, sorted.
    """
    square = best.square.astype(np.float64)
    for row in ties:
        here = slice(*np.searchsorted(best.row, [row, row + 1]))
        members = best.position[here]
        square[here] = 0
        for side in sides:
            if side.varied[row]:
                low, high = np.float64(side.low[row]), np.float64(side.high[row])
                products = (side.members[members].astype(np.float64) * side.vectors[row]).sum(axis=1)
                square[here] += np.where(side.mask[members], (products - low) / (high - low), 0) ** 2
    return Candidates(best.row, best.column, best.position, square).sorted()
