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

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import faiss
import numpy as np

from storage.bank.exact_block import Block
from storage.bank.member_order import BOTH, CONTENT_ONLY, TEMPORAL_ONLY, Arrangement, Bank, Columns
from storage.bank.neighbours import Neighbours, Queries
from storage.bank.ranking import RESOLUTION, Modality

BLOCK = 1024  # queries a matrix product: more of them make it hardly faster
BUFFER_BYTES = 256 * 2**20
ALIGNED = 65_536  # members copied at a time where they are not aligned


def search(bank: Bank, queries: Queries, *, size: int) -> Neighbours:
    """The `size` best members for every query. Raises ValueError for size < 1.

    Beside the result it takes some 300 MB, and a second copy of the vectors where members lack a modality or queries
    have times; never a matrix of queries x members. It runs on as many threads as FAISS would (OMP_NUM_THREADS).
    """
    if size < 1:
        raise ValueError(f"size is {size}, must be at least 1")
    count, members = len(queries.own), len(bank.groups)
    found = Neighbours.none(count, size)
    arrangement = Arrangement(bank, by_time=queries.times is not None)
    visible = arrangement.visible(queries.times, count)
    noise = [
        _resolution(queries.content, queries.content_mask, bank.content),
        _resolution(queries.temporal, queries.temporal_mask, bank.temporal),
    ]
    rows = int(np.clip(BUFFER_BYTES // (8 * members), 1, BLOCK))
    memory = [np.empty(rows * members, np.float32) for _ in noise]
    # Queries of one time see the same members: side by side, few of a block's columns are computed in vain.
    order = np.arange(count) if queries.times is None else np.argsort(queries.times, kind="stable")
    threads = faiss.omp_get_max_threads()
    with ThreadPoolExecutor(threads) as pool:
        for start in range(0, count, rows):
            numbers = order[start : start + rows]
            columns = arrangement.columns(visible[numbers])
            if columns.width:
                hidden = arrangement.hidden(queries.own[numbers], queries.groups[numbers], visible[numbers], columns)
                modalities = [
                    _modality(vectors[numbers], of_bank, columns, kinds, resolution[numbers], hidden, space)
                    for vectors, of_bank, kinds, resolution, space in (
                        (queries.content, arrangement.content, (CONTENT_ONLY, BOTH), noise[0], memory[0]),
                        (queries.temporal, arrangement.temporal, (BOTH, TEMPORAL_ONLY), noise[1], memory[1]),
                    )
                ]
                block = Block(bank, queries, numbers, columns, *modalities, hidden)
                parts = [slice(*pair) for pair in _parts(len(numbers), threads)]
                list(pool.map(lambda part, block=block: block.rank(part, found), parts))
    return found


def _modality(
    vectors: np.ndarray,
    members: np.ndarray,
    columns: Columns,
    kinds: Sequence[int],
    noise: np.ndarray,
    hidden: tuple[np.ndarray, np.ndarray],
    memory: np.ndarray,
) -> Modality:
    """Similarities (q, w) to those members of the two kinds that the block sees, in the order of its columns."""
    width = int(columns.widths[list(kinds)].sum())
    products = memory[: len(vectors) * width].reshape(len(vectors), width)
    column = 0
    for kind in kinds:
        start = columns.starts[kind] - columns.starts[kinds[0]]
        size = columns.widths[kind]
        if members.flags.aligned:
            np.matmul(vectors, members[start : start + size].T, out=products[:, column : column + size])
        else:  # mapped from FAISS's file, at an odd address: NumPy would not use BLAS
            for first in range(0, size, ALIGNED):
                part = np.array(members[start + first : start + min(first + ALIGNED, size)])
                np.matmul(vectors, part.T, out=products[:, column + first : column + first + len(part)])
        column += size
    own_column = hidden[1] - columns.offsets[kinds[0]]
    ours = (own_column >= 0) & (own_column < width)
    row = hidden[0][ours]
    hidden_from = np.searchsorted(row, np.arange(len(vectors) + 1))
    return Modality(products, noise, row * width + own_column[ours], hidden_from)


def _resolution(vectors: np.ndarray, mask: np.ndarray, members: np.ndarray) -> np.ndarray:
    """(n,): how far two similarities of a query must be apart to be told apart; infinite without the modality."""
    lengths = [np.sqrt(np.einsum("nd,nd->n", rows, rows)) for rows in (vectors, members)]
    return np.where(mask, RESOLUTION * lengths[0] * lengths[1].max(initial=0), np.inf).astype(np.float32)


def _parts(count: int, parts: int) -> list[tuple[int, int]]:
    """(start, stop) of up to `parts` runs of equal length that make up range(count)."""
    return list(pairwise(np.linspace(0, count, min(parts, count) + 1).astype(int).tolist()))
