"""Exact temporal-aware retrieval (M3TR section 3.3, eq. 3).

    SS(i, j) = sqrt(norm(R_i . R_j)^2 + norm(X_i . X_j)^2)

R are content (retrieval) vectors, X mean-pooled temporal embeddings; norm is min-max over the bank, per query and modality.
The paper does not specify these cases:

- The extremes are taken over the members that the query may see and that have the modality. If they are equal, norm is 0.
- A member without a modality has norm 0 in it. A query without a modality is ranked by the other one alone.
- Of members with equal scores, the one that comes first in the bank ranks first.

Both matrix products are computed for a block of queries. The other steps (extremes, squares, sum, threshold) process a few
rows at a time, which stay in the CPU's cache, so they cost little compared with the products. If float32 cannot decide
which of two members is nearer, their scores are computed again in float64, pair by pair.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import faiss
import numpy as np

from storage.bank.exact_block import Block
from storage.bank.extremes import Extremes
from storage.bank.member_order import BOTH, CONTENT_ONLY, TEMPORAL_ONLY, Arrangement, Bank, Columns
from storage.bank.neighbours import Neighbours, Queries
from storage.bank.ranking import RESOLUTION, Modality

BLOCK = 1024  # queries per matrix product; more are hardly faster
BUFFER_BYTES = 256 * 2**20
ALIGNED = 65_536  # members copied at a time if their memory is not aligned


def search(bank: Bank, queries: Queries, *, size: int, extremes: Extremes | None = None) -> Neighbours:
    """Return the `size` best members for every query.

    Besides the result this takes about 300 MB of memory, plus a copy of the vectors if members lack a modality or queries
    have times, but never a whole matrix of queries x members. It uses as many threads as FAISS (OMP_NUM_THREADS).

    Args:
        bank: The members.
        queries: The queries.
        size: Number of neighbours per query, at least 1.
        extremes: Extremes of the norm, if `bank` is a part of the members; by default those of these members.

    Raises:
        ValueError: `size` is less than 1.
    """
    if size < 1:
        raise ValueError(f"size is {size}, must be at least 1")
    found = Neighbours.none(len(queries.own), size)
    _each_block(bank, queries, extremes, lambda block, part: block.rank(part, found))
    return found


def measure(bank: Bank, queries: Queries) -> Extremes:
    """Return the extremes of the queries' similarities. It takes as much memory as `search`, and a little less time."""
    found = Extremes.none(_noise(bank, queries))
    _each_block(bank, queries, None, lambda block, part: block.measure(part, found))
    return found


def _noise(bank: Bank, queries: Queries) -> np.ndarray:
    return np.stack(
        [
            _resolution(queries.content, queries.content_mask, bank.content),
            _resolution(queries.temporal, queries.temporal_mask, bank.temporal),
        ]
    )


def _each_block(bank: Bank, queries: Queries, extremes: Extremes | None, work: Callable[[Block, slice], None]) -> None:
    """Call `work` with each block of queries and a part of its rows, in several threads."""
    count, members = len(queries.own), len(bank.groups)
    arrangement = Arrangement(bank, by_time=queries.times is not None)
    visible = arrangement.visible(queries.times, count)
    noise = _noise(bank, queries) if extremes is None else extremes.noise
    rows = int(np.clip(BUFFER_BYTES // (8 * members), 1, BLOCK))
    memory = [np.empty(rows * members, np.float32) for _ in noise]
    # Queries with similar times see the same members. In one block, they need few columns that others may not see.
    order = np.arange(count) if queries.times is None else np.argsort(queries.times, kind="stable")
    threads = faiss.omp_get_max_threads()
    with ThreadPoolExecutor(threads) as pool:
        for start in range(0, count, rows):
            numbers = order[start : start + rows]
            columns = arrangement.columns(visible[numbers])
            if columns.width:
                hidden = arrangement.hidden(queries.own[numbers], queries.groups[numbers], visible[numbers], columns)
                given = [None, None]
                if extremes is not None:
                    given = list(zip(extremes.low[:, numbers], extremes.high[:, numbers], strict=True))
                modalities = [
                    _modality(vectors[numbers], of_bank, columns, kinds, resolution[numbers], hidden, space, ends)
                    for vectors, of_bank, kinds, resolution, space, ends in (
                        (queries.content, arrangement.content, (CONTENT_ONLY, BOTH), noise[0], memory[0], given[0]),
                        (queries.temporal, arrangement.temporal, (BOTH, TEMPORAL_ONLY), noise[1], memory[1], given[1]),
                    )
                ]
                block = Block(bank, queries, numbers, columns, *modalities, hidden)
                parts = [slice(*pair) for pair in _parts(len(numbers), threads)]
                list(pool.map(lambda part, block=block: work(block, part), parts))


def _modality(
    vectors: np.ndarray,
    members: np.ndarray,
    columns: Columns,
    kinds: Sequence[int],
    noise: np.ndarray,
    hidden: tuple[np.ndarray, np.ndarray],
    memory: np.ndarray,
    extremes: tuple[np.ndarray, np.ndarray] | None,
) -> Modality:
    """Return the similarities (q, w) to the visible members of the two kinds, in the order of the block's columns."""
    width = int(columns.widths[list(kinds)].sum())
    products = memory[: len(vectors) * width].reshape(len(vectors), width)
    column = 0
    for kind in kinds:
        start = columns.starts[kind] - columns.starts[kinds[0]]
        size = columns.widths[kind]
        if members.flags.aligned:
            np.matmul(vectors, members[start : start + size].T, out=products[:, column : column + size])
        else:  # memory-mapped from FAISS's file at an unaligned address, for which NumPy would not use BLAS
            for first in range(0, size, ALIGNED):
                part = np.array(members[start + first : start + min(first + ALIGNED, size)])
                np.matmul(vectors, part.T, out=products[:, column + first : column + first + len(part)])
        column += size
    own_column = hidden[1] - columns.offsets[kinds[0]]
    ours = (own_column >= 0) & (own_column < width)
    row = hidden[0][ours]
    hidden_from = np.searchsorted(row, np.arange(len(vectors) + 1))
    return Modality(products, noise, row * width + own_column[ours], hidden_from, extremes)


def _resolution(vectors: np.ndarray, mask: np.ndarray, members: np.ndarray) -> np.ndarray:
    """Return (n,) the smallest difference of two similarities of a query that float32 resolves; infinite without vector."""
    lengths = [np.sqrt(np.einsum("nd,nd->n", rows, rows)) for rows in (vectors, members)]
    return np.where(mask, RESOLUTION * lengths[0] * lengths[1].max(initial=0), np.inf).astype(np.float32)


def _parts(count: int, parts: int) -> list[tuple[int, int]]:
    """Return (start, stop) of up to `parts` equal parts of range(count)."""
    return list(pairwise(np.linspace(0, count, min(parts, count) + 1).astype(int).tolist()))
