"""Lists of a bank's members sorted by one similarity: what the threshold algorithm reads, made by a FAISS index.

Which index a bank gets follows from its size (`choose`), and may be named in its place as a FAISS factory string
(https://github.com/facebookresearch/faiss/wiki/The-index-factory). Up to 200,000 members there are no lists: the search
over blocks (`storage.bank.search`) is then fast enough, and exact.
"""

import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

import faiss
import numpy as np

EXACT = "Flat"
EXACT_UP_TO = 200_000
NARROW = 128  # dimensions up to which each has a code of its own
# Kinds that keep the vectors whole: the similarities they give are the members' own.
LOSSLESS = re.compile(r"Flat|IVF\d+(_HNSW\d+)?,Flat|HNSW\d+(,Flat)?")
GPU_DEPTH = 2048  # the longest list that FAISS gives on a GPU
TRAINED_ON = 40  # vectors an inverted list; with fewer than 39 FAISS warns
ITERATIONS = 10  # of k-means: more of them change the lists hardly
BLOCK = 65_536
ALLOWED = "auto, flat, and FAISS factory strings such as IVF1024,Flat, IVF1024,PQ64 or HNSW32 are allowed"


def choose(members: int, width: int, *, asked: str = "auto") -> str:
    """The factory string of the index over `members` vectors of `width`; `Flat` stands for the exact search.

    asked: `auto`, `flat`, or a factory string, which is taken as it is. With `auto`: exact up to 200,000 members; then
    2 sqrt(N) inverted lists of codes of 4 bits for two dimensions (for one where there are at most 128), which a
    processor scans in its registers (Andre et al., Quicker ADC, 2019). A code takes a sixteenth of its vector's memory;
    what is found by it is scored by the vector itself, which lies on disk.
    """
    if asked == "flat" or (asked == "auto" and members <= EXACT_UP_TO):
        return EXACT
    if asked != "auto":
        return asked
    lists = 2 ** round(np.log2(2 * np.sqrt(members)))
    together = 2 if width > NARROW and width % 2 == 0 else 1
    return f"IVF{lists},PQ{width // together}x4fs"


def make_index(vectors: np.ndarray, factory: str) -> faiss.Index:
    """A FAISS index over vectors (m, d) float32 by inner product, trained on a sample of them.

    Raises ValueError for a factory string that FAISS does not know, or that needs more vectors than there are.
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
    """How thoroughly lists are read. probes, far_probes: inverted lists visited for the nearest and for the farthest
    members (sixteenths of the nodes kept, where the index is a graph); depth, far_depth: members read of each."""

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
WHOLE = Effort(1, GPU_DEPTH, 1, 64)  # for exact lists: a depth that nearly every query is settled at


def calibrate(recall: Callable[[Effort], float], *, aim: float) -> tuple[Effort, float]:
    """The least effort whose recall reaches `aim`, or else the greatest there is; and that recall."""
    for effort in LADDER:
        reached = recall(effort)
        if reached >= aim:
            break
    return effort, reached


def described(factories: tuple[str, str], effort: Effort, reached: float) -> dict[str, object]:
    """What a version's metadata say about its lists."""
    return {"content": factories[0], "temporal": factories[1], "effort": asdict(effort), "calibrated_recall": reached}


@dataclass
class SortedLists:
    """The members of one modality, by similarity to a query.

    index: over the m members that have the modality; positions (m,): which members of the bank those are; vectors: all
    N members' vectors (zeros without the modality); factory: what the index is.
    """

    index: faiss.Index
    positions: np.ndarray
    vectors: faiss.IndexFlatIP
    factory: str

    def __post_init__(self) -> None:
        self.lossless = LOSSLESS.fullmatch(self.factory) is not None
        self.exact = self.factory == EXACT
        self.deepest = len(self.positions)

    @classmethod
    def whole(cls, vectors: faiss.IndexFlatIP, mask: np.ndarray) -> "SortedLists":
        """Exact lists of the members that `mask` (N,) names."""
        if mask.all():
            return cls(vectors, np.arange(len(mask)), vectors, EXACT)
        flat = faiss.IndexFlatIP(vectors.d)
        flat.add(as_array(vectors)[mask])
        return cls(flat, np.flatnonzero(mask), vectors, EXACT)

    def on_gpu(self, resources: Any) -> "SortedLists":
        """The same lists made by the first GPU. Raises RuntimeError where it has no room for them."""
        made = replace(self, index=faiss.index_cpu_to_gpu(resources, 0, self.index))
        made.deepest = min(made.deepest, GPU_DEPTH)
        return made

    def nearest(self, queries: np.ndarray, *, depth: int, probes: int) -> tuple[np.ndarray, np.ndarray]:
        """Similarities (n, k) and positions (n, k) in the bank of the nearest members found, -1 where there are fewer.

        They fall from left to right where the index is lossless; k <= depth.
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
        """(n, k) similarities of each query to the members at positions (n, k); -infinity for position -1."""
        queries = np.ascontiguousarray(queries, np.float32)
        positions = np.ascontiguousarray(positions, np.int64)
        values = np.empty(positions.shape, np.float32)
        if values.size:
            query, value, position = (faiss.swig_ptr(array) for array in (queries, values, positions))
            self.vectors.compute_distance_subset(len(queries), query, positions.shape[1], value, position)
        return values


def as_array(index: faiss.IndexFlatIP) -> np.ndarray:
    """The index's own memory as (N, d) float32, not a copy; it lives as long as the index."""
    return faiss.rev_swig_ptr(index.get_xb(), index.ntotal * index.d).reshape(index.ntotal, index.d)
