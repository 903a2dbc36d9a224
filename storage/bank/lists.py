"""Lists of members sorted by one similarity, made by a FAISS index, as input of the threshold algorithm.

By default the bank's size determines the index (`choose`); a FAISS factory string
(https://github.com/facebookresearch/faiss/wiki/The-index-factory) overrides that. Up to 200,000 members there are no lists:
the exact search in blocks (`storage.bank.search`) is fast enough.
"""

import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

import faiss
import numpy as np

EXACT = "Flat"
EXACT_UP_TO = 200_000
NARROW = 128  # largest width for which each dimension has its own code
# Kinds of index that store the vectors unchanged, so that they return exact similarities.
LOSSLESS = re.compile(r"Flat|IVF\d+(_HNSW\d+)?,Flat|HNSW\d+(,Flat)?")
GPU_DEPTH = 2048  # the longest list that FAISS returns on a GPU
TRAINED_ON = 40  # training vectors per inverted list; FAISS warns below 39
ITERATIONS = 10  # of k-means; more hardly change the lists
BLOCK = 65_536
ALLOWED = "auto, flat, and FAISS factory strings such as IVF1024,Flat, IVF1024,PQ64 or HNSW32 are allowed"


def choose(members: int, width: int, *, asked: str = "auto", exact_up_to: int = EXACT_UP_TO) -> str:
    """Return the FAISS factory string of a bank's index; `Flat` means exact search.

    With `auto`, search is exact up to `exact_up_to` members. Above, the index has 2 sqrt(N) inverted lists of 4-bit codes, one
    code for two dimensions (one for each dimension up to a width of 128), which a CPU scans in its registers (Andre et
    al., Quicker ADC, 2019). A code takes a sixteenth of its vector's memory. Members found by their codes are scored by
    their vectors, which stay on disk.

    Args:
        members: Number of vectors.
        width: Length of each vector.
        asked: `auto`, `flat`, or a factory string, which is returned unchanged.
        exact_up_to: Largest number of members that `auto` searches exactly.

    Example:
        >>> choose(1_000, 256), choose(1_000_000, 256)
        ('Flat', 'IVF2048,PQ128x4fs')
    """
    if asked == "flat" or (asked == "auto" and members <= exact_up_to):
        return EXACT
    if asked != "auto":
        return asked
    lists = 2 ** round(np.log2(2 * np.sqrt(members)))
    together = 2 if width > NARROW and width % 2 == 0 else 1
    return f"IVF{lists},PQ{width // together}x4fs"


def make_index(vectors: np.ndarray, factory: str) -> faiss.Index:
    """Return a FAISS index by inner product, trained on a sample of the vectors.

    Args:
        vectors: (m, d) float32.
        factory: FAISS factory string.

    Raises:
        ValueError: FAISS does not know the factory string, or needs more vectors to train such an index.
    """
    count, width = vectors.shape
    try:
        index = faiss.index_factory(width, factory, faiss.METRIC_INNER_PRODUCT)
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1]
        raise ValueError(f"index {factory!r} over vectors of width {width}: {reason}; {ALLOWED}") from None
    if not index.is_trained:
        inverted = index if isinstance(index, faiss.IndexIVF) else None
        lists = 256 if inverted is None else inverted.nlist
        if inverted is not None:
            inverted.cp.niter = ITERATIONS
        rows = np.random.default_rng(0).permutation(count)[: max(TRAINED_ON * lists, BLOCK)]
        try:
            index.train(np.ascontiguousarray(vectors[np.sort(rows)]))
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[-1]
            raise ValueError(f"index {factory!r} over {count} vectors: {reason}; {ALLOWED}") from None
    for start in range(0, count, BLOCK):
        index.add(np.ascontiguousarray(vectors[start : start + BLOCK]))
    return index


@dataclass(frozen=True)
class Effort:
    """How thoroughly the lists are read.

    Attributes:
        probes: Inverted lists visited for the nearest members. For a graph index, a sixteenth of its `efSearch`.
        depth: Nearest members read.
        far_probes: Inverted lists visited for the farthest members.
        far_depth: Farthest members read.
    """

    probes: int
    depth: int
    far_probes: int
    far_depth: int


LADDER = (
    Effort(16, 512, 32, 64),
    Effort(32, 512, 64, 128),
    Effort(32, 1024, 64, 256),
    Effort(64, 1024, 128, 256),
    Effort(64, 1536, 192, 384),
    Effort(64, 2048, 256, 512),
    Effort(128, 2048, 512, 1024),
    Effort(256, 4096, 1024, 1024),
    Effort(512, 8192, 2048, 2048),
)
WHOLE = Effort(1, GPU_DEPTH, 1, 64)  # for exact lists; at this depth nearly every query is settled


def calibrate(recall: Callable[[Effort], float], *, aim: float) -> tuple[Effort, float]:
    """Return the least effort of LADDER whose recall reaches `aim`, else the greatest one, and its recall."""
    for effort in LADDER:
        reached = recall(effort)
        if reached >= aim:
            break
    return effort, reached


def described(
    factories: tuple[str, str], effort: Effort, reached: float, lengths: tuple[float, float]
) -> dict[str, object]:
    """Return the description of a version's lists for its metadata.

    Args:
        factories: Factory strings of the content and the temporal lists.
        effort: How thoroughly the lists are read.
        reached: Recall of the calibration.
        lengths: Lengths of the longest content and temporal vector.
    """
    return {
        "content": factories[0],
        "temporal": factories[1],
        "effort": asdict(effort),
        "calibrated_recall": reached,
        "lengths": list(lengths),
    }


@dataclass
class SortedLists:
    """The members with one modality, which can be listed by similarity to a query.

    Attributes:
        index: Index over the m members that have the modality.
        positions: (m,) positions of these members in the bank.
        vectors: The vectors of all N members, zeros for members without the modality.
        factory: The factory string of `index`.
        offset: Position of the first member in `vectors`, if the bank is a part of them.
        lossless: Whether the index stores the vectors unchanged.
        exact: Whether the index is an exact one.
        deepest: The longest list that the index can return.
    """

    index: faiss.Index
    positions: np.ndarray
    vectors: faiss.IndexFlatIP
    factory: str
    offset: int = 0

    def __post_init__(self) -> None:
        """Derive the last three attributes."""
        self.lossless = LOSSLESS.fullmatch(self.factory) is not None
        self.exact = self.factory == EXACT
        self.deepest = len(self.positions)

    @classmethod
    def whole(cls, vectors: faiss.IndexFlatIP, mask: np.ndarray, *, offset: int = 0) -> "SortedLists":
        """Return exact lists of the members in `mask` (N,).

        Args:
            vectors: The vectors of these members, or of more.
            mask: (N,) bool, whether a member has the modality.
            offset: Position of the first of the N members in `vectors`.
        """
        if mask.all() and len(mask) == vectors.ntotal:
            return cls(vectors, np.arange(len(mask)), vectors, EXACT)
        flat = faiss.IndexFlatIP(vectors.d)
        flat.add(as_array(vectors)[offset : offset + len(mask)][mask])
        return cls(flat, np.flatnonzero(mask), vectors, EXACT, offset)

    def on_gpu(self, resources: Any) -> "SortedLists":
        """Return the same lists on the first GPU.

        Args:
            resources: FAISS's `StandardGpuResources`.

        Raises:
            RuntimeError: The vectors do not fit in the GPU's memory.
        """
        lists = replace(self, index=faiss.index_cpu_to_gpu(resources, 0, self.index))
        lists.deepest = min(lists.deepest, GPU_DEPTH)
        return lists

    def nearest(self, queries: np.ndarray, *, depth: int, probes: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the members nearest to each query.

        Args:
            queries: (n, d) float32.
            depth: How many members to list per query.
            probes: See `Effort.probes`.

        Returns:
            Similarities (n, k) and positions in the bank (n, k), with k <= depth; the position is -1 if there are fewer
            members. The similarities are in descending order if the index is lossless.
        """
        depth = min(depth, self.deepest)
        if not depth:
            return np.zeros((len(queries), 0), np.float32), np.zeros((len(queries), 0), np.int64)
        values, found = self.index.search(queries, depth, params=self._parameters(probes))
        positions = np.where(found >= 0, self.positions[found], -1)
        return values if self.lossless else self.products(queries, positions), positions

    def _parameters(self, probes: int) -> faiss.SearchParameters | None:
        if isinstance(self.index, faiss.IndexHNSW):
            return faiss.SearchParametersHNSW(efSearch=16 * probes)
        if isinstance(self.index, faiss.IndexIVF):
            return faiss.SearchParametersIVF(nprobe=probes)
        return None

    def products(self, queries: np.ndarray, positions: np.ndarray) -> np.ndarray:
        """Return the similarities (n, k) of n queries to members at positions (n, k); -infinity for position -1."""
        queries = np.ascontiguousarray(queries, np.float32)
        positions = np.ascontiguousarray(positions, np.int64)
        if self.offset:
            positions = np.where(positions >= 0, positions + self.offset, -1)
        values = np.empty(positions.shape, np.float32)
        if values.size:
            query, value, position = (faiss.swig_ptr(array) for array in (queries, values, positions))
            self.vectors.compute_distance_subset(len(queries), query, positions.shape[1], value, position)
        return values


def as_array(index: faiss.IndexFlatIP) -> np.ndarray:
    """Return the index's own memory as (N, d) float32, without a copy. It is valid as long as the index."""
    return faiss.rev_swig_ptr(index.get_xb(), index.ntotal * index.d).reshape(index.ntotal, index.d)
