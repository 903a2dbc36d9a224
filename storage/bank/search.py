"""Temporal-aware retrieval, exact (M3TR section 3.3, eq. 3).

    SS(i, j) = sqrt(norm(R_i . R_j)^2 + norm(X_i . X_j)^2)

R: content (retrieval) vectors, X: mean-pooled temporal embeddings; norm is min-max over the bank, per query and
modality. What the paper leaves open: the extremes run over the members that the query may see and that have the
modality; equal extremes give 0; a member without a modality has norm 0 there, and a query without one is ranked by the
other alone; ties go to the member that comes first in the bank.

Both matrix products are done for a block of queries; the rest (extremes, squares, sum, threshold) runs over a few rows
at a time, which stay in the processor's cache, so that it costs little beside the products. Where float32 cannot tell
which of two members is nearer, their scores are computed again in float64, pair by pair.
"""

from dataclasses import dataclass

import numpy as np

from storage.bank.arrangement import BOTH, CONTENT_ONLY, TEMPORAL_ONLY, Arrangement, Bank, Columns
from storage.bank.ranking import NO_SCORE, RESOLUTION, Candidates, Modality, combine, near_ties, pick

BLOCK = 1024  # queries a matrix product: more of them make it hardly faster
BUFFER_BYTES = 256 * 2**20
CACHED_BYTES = 2**20  # of similarities worked on at a time: what a second-level cache holds
MOST_CANDIDATES = 2**20  # kept before they are sorted; there are so many only where very many members tie
MODES = np.array(["none", "content", "temporal", "composite"])


@dataclass(frozen=True)
class Queries:
    """n queries: vectors and masks as in the bank; own (n,): position in the bank or -1; groups (n,): -1 for none;
    times (n,) int64 ms or None."""

    content: np.ndarray
    temporal: np.ndarray
    content_mask: np.ndarray
    temporal_mask: np.ndarray
    own: np.ndarray
    groups: np.ndarray
    times: np.ndarray | None


@dataclass(frozen=True)
class Neighbours:
    """For n queries the S best members, the best first; where there are fewer eligible ones, `mask` is False.

    index (n, S) int64: position in the bank, -1 where masked; score, ss_modal, ss_temp (n, S) float32: the combined
    score and the raw similarities (NaN where the query or the member lacks the modality); modal_min, modal_max,
    temp_min, temp_max (n,) float32: the extremes used (NaN without); mask (n, S) bool; mode (n,) str: what the ranking
    rests on, 'composite', 'content', 'temporal' or 'none'.
    """

    index: np.ndarray
    score: np.ndarray
    ss_modal: np.ndarray
    ss_temp: np.ndarray
    modal_min: np.ndarray
    modal_max: np.ndarray
    temp_min: np.ndarray
    temp_max: np.ndarray
    mask: np.ndarray
    mode: np.ndarray

    @staticmethod
    def none(count: int, size: int) -> "Neighbours":
        """Nothing found yet for `count` queries."""

        def unknown(*shape: int) -> np.ndarray:
            return np.full(shape, np.nan, np.float32)

        return Neighbours(
            index=np.full((count, size), -1, np.int64),
            score=unknown(count, size),
            ss_modal=unknown(count, size),
            ss_temp=unknown(count, size),
            modal_min=unknown(count),
            modal_max=unknown(count),
            temp_min=unknown(count),
            temp_max=unknown(count),
            mask=np.zeros((count, size), bool),
            mode=np.full(count, "none", MODES.dtype),
        )


def search(bank: Bank, queries: Queries, *, size: int) -> Neighbours:
    """The `size` best members for every query. Raises ValueError for size < 1.

    Beside the result it takes some 300 MB, and a second copy of the vectors where members lack a modality or queries
    have times; never a matrix of queries x members.
    """
    if size < 1:
        raise ValueError(f"size is {size}, must be at least 1")
    found = Neighbours.none(len(queries.own), size)
    _Search(bank, queries, found).run()
    return found


class _Search:
    def __init__(self, bank: Bank, queries: Queries, found: Neighbours):
        self.bank, self.queries, self.found = bank, queries, found
        self.size = found.index.shape[1]
        self.arrangement = Arrangement(bank, by_time=queries.times is not None)
        self.visible = self.arrangement.visible(queries.times, len(queries.own))
        self.noise = [
            np.where(mask, RESOLUTION * _lengths(vectors) * _lengths(members).max(initial=0), np.inf).astype(np.float32)
            for vectors, members, mask in (
                (queries.content, bank.content, queries.content_mask),
                (queries.temporal, bank.temporal, queries.temporal_mask),
            )
        ]

    def run(self) -> None:
        count, members = self.visible.shape[0], len(self.bank.groups)
        rows = int(np.clip(BUFFER_BYTES // (8 * members), 1, BLOCK))
        memory = [np.empty(rows * members, np.float32) for _ in range(2)]
        # Queries of one time see the same members: side by side, few of a block's columns are computed in vain.
        order = np.arange(count) if self.queries.times is None else np.argsort(self.queries.times, kind="stable")
        for start in range(0, count, rows):
            self._block(order[start : start + rows], memory)

    def _block(self, numbers: np.ndarray, memory: list[np.ndarray]) -> None:
        """numbers (q,): the queries of this block; memory: to work in."""
        queries, arrangement = self.queries, self.arrangement
        visible = self.visible[numbers]
        columns = arrangement.columns(visible)
        if not columns.width:
            return
        row, column = arrangement.hidden(queries.own[numbers], queries.groups[numbers], visible, columns)
        modalities = []
        for vectors, members, kinds, noise, space in (
            (queries.content, arrangement.content, (CONTENT_ONLY, BOTH), self.noise[0], memory[0]),
            (queries.temporal, arrangement.temporal, (BOTH, TEMPORAL_ONLY), self.noise[1], memory[1]),
        ):
            values = self._products(vectors[numbers], members, columns, kinds, space)
            own_column = column - columns.offsets[kinds[0]]
            ours = (own_column >= 0) & (own_column < values.shape[1])
            flat = row[ours] * values.shape[1] + own_column[ours]
            modalities.append(Modality(values, noise[numbers], flat, _firsts(row[ours], len(numbers))))
        modal, temporal = modalities

        step = max(1, CACHED_BYTES // (12 * columns.width))
        total = np.empty((step, columns.width), np.float32)
        hidden, hidden_from = row % step * columns.width + column, _firsts(row, len(numbers))
        absent = np.isinf(self.noise[0][numbers]) & np.isinf(self.noise[1][numbers])
        least = np.where(absent, np.inf, NO_SCORE / 2).astype(np.float32)
        picked, done, count = [], 0, 0
        for start in range(0, len(numbers), step):
            rows = slice(start, min(start + step, len(numbers)))
            part = total[: rows.stop - start]
            with np.errstate(invalid="ignore"):  # what is hidden holds infinity, until it gets NO_SCORE
                modal.normalise(rows)
                temporal.normalise(rows)
                combine(modal, temporal, rows, columns, part)
            total.reshape(-1)[hidden[hidden_from[start] : hidden_from[rows.stop]]] = NO_SCORE
            slack = 2 * (modal.error(rows) + temporal.error(rows))
            flat = pick(part, least[rows], slack, size=self.size)
            picked.append((flat + start * columns.width, part.reshape(-1)[flat]))
            count += len(flat)
            if rows.stop == len(numbers) or count > MOST_CANDIDATES:
                flat, square = (np.concatenate(parts) for parts in zip(*picked, strict=True))
                self._finish(slice(done, rows.stop), flat, square, numbers, columns, modal, temporal)
                picked, done, count = [], rows.stop, 0

    @staticmethod
    def _products(
        vectors: np.ndarray, members: np.ndarray, columns: Columns, kinds: tuple[int, int], memory: np.ndarray
    ) -> np.ndarray:
        """(q, w) similarities to those members of the two kinds that the block sees, in the order of the columns."""
        width = int(columns.widths[list(kinds)].sum())
        products = memory[: len(vectors) * width].reshape(len(vectors), width)
        column = 0
        for kind in kinds:
            start = columns.starts[kind] - columns.starts[kinds[0]]
            size = columns.widths[kind]
            if size:
                np.matmul(vectors, members[start : start + size].T, out=products[:, column : column + size])
            column += size
        return products

    def _finish(
        self,
        rows: slice,
        flat: np.ndarray,
        square: np.ndarray,
        numbers: np.ndarray,
        columns: Columns,
        modal: Modality,
        temporal: Modality,
    ) -> None:
        """Sorts the candidates of some rows of the block, and writes the best to `found`."""
        found = self.found
        rests_on = modal.present + 2 * temporal.present
        row, column = np.divmod(flat, columns.width)
        based = rests_on[row] > 0
        row, column, square = row[based], column[based], square[based]
        best = Candidates(row, column, columns.positions(column), square).sorted()
        ties = near_ties(best, modal.error() + temporal.error(), size=self.size)
        if len(ties):
            best = self._exact(best, ties, numbers, modal, temporal)

        rank = best.rank
        kept = rank < self.size
        row, rank, column = best.row[kept], rank[kept], best.column[kept]
        place = numbers[row], rank
        found.index[place] = best.position[kept]
        found.mask[place] = True
        found.score[place] = np.sqrt(best.square[kept])
        found.mode[numbers[rows]] = MODES[rests_on[rows]]
        for modality, kind, raw, low, high in (
            (modal, CONTENT_ONLY, found.ss_modal, found.modal_min, found.modal_max),
            (temporal, BOTH, found.ss_temp, found.temp_min, found.temp_max),
        ):
            low[numbers[rows]] = np.where(modality.present, modality.low, np.nan)[rows]
            high[numbers[rows]] = np.where(modality.present, modality.high, np.nan)[rows]
            own_column = column - columns.offsets[kind]
            there = modality.present[row] & (own_column >= 0) & (own_column < modality.values.shape[1])
            raw[numbers[row[there]], rank[there]] = modality.raw(row[there], own_column[there])

    def _exact(
        self, best: Candidates, ties: np.ndarray, numbers: np.ndarray, modal: Modality, temporal: Modality
    ) -> Candidates:
        """The candidates of the rows `ties` scored again in float64, pair by pair: equal vectors then score equally."""
        square = best.square.astype(np.float64)
        for row in ties:
            here = slice(*np.searchsorted(best.row, [row, row + 1]))
            members = best.position[here]
            square[here] = 0
            for modality, vectors, of_bank, mask in (
                (modal, self.queries.content, self.bank.content, self.bank.content_mask),
                (temporal, self.queries.temporal, self.bank.temporal, self.bank.temporal_mask),
            ):
                if modality.scale[row] > 0:
                    low, high = np.float64(modality.low[row]), np.float64(modality.high[row])
                    products = (of_bank[members].astype(np.float64) * vectors[numbers[row]]).sum(axis=1)
                    square[here] += np.where(mask[members], (products - low) / (high - low), 0) ** 2
        return Candidates(best.row, best.column, best.position, square).sorted()


def _lengths(vectors: np.ndarray) -> np.ndarray:
    return np.sqrt(np.einsum("nd,nd->n", vectors, vectors))


def _firsts(rows: np.ndarray, count: int) -> np.ndarray:
    """(count + 1,): where each row starts in `rows`, which rise."""
    return np.searchsorted(rows, np.arange(count + 1))
