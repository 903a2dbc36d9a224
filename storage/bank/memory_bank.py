"""An open memory bank, for retrieval."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import faiss
import numpy as np

from storage.artifact import Artifact
from storage.artifact_version import ArtifactVersion
from storage.bank.bank_search import BankSearch
from storage.bank.files import MEMBERS, VECTORS
from storage.bank.gpu import Device, takes_gpu
from storage.bank.list_files import open_lists, write_lists
from storage.bank.lists import EXACT, EXACT_UP_TO, WHOLE, SortedLists, as_array, choose
from storage.bank.member_order import Bank
from storage.bank.neighbours import Neighbours, Queries
from storage.bank.recall_latency import SearchQuality, recall, sampled
from storage.bank.search import search
from storage.bank.shards import Run, Shard
from storage.bank.shards import answer as search_shards
from storage.bank.threshold import ThresholdSearch
from storage.bank.version import check_versions
from storage.durable import StoreError

SINGLE = 20  # queries searched one at a time, to measure the latency


@dataclass(frozen=True)
class OwnLists:
    """Lists that belong to a reader of the bank, not to the version.

    Attributes:
        folder: Where `MemoryBank.write_lists` wrote them.
        description: What it returned.
        exact_up_to: Largest number of members that are searched exactly.
    """

    folder: Path
    description: Mapping[str, Any]
    exact_up_to: int


class MemoryBank:
    """One version of the bank. Get it from `MemoryBank.open`. While it is open, its files are not removed.

    Attributes:
        version: The open version.
        items: (N,) str, ids of the members.
        labels: (N,) float32, NaN where unknown.
        label_times: (N,) int64 unix ms from which each member may be found; None outside the chronological protocol.
        groups: (N,) int64 duplicate groups.
        content: (N, dc) float32, memory-mapped if the bank has approximate indexes or shards.
        temporal: (N, dt) float32, likewise.
        content_mask: (N,) bool, whether a member has a content vector.
        temporal_mask: (N,) bool, whether a member has a temporal vector.
        content_index: FAISS flat index over `content`.
        temporal_index: FAISS flat index over `temporal`.
        shards: The parts of the members that are searched on their own; empty if the bank is not divided.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from storage.bank.version import build
        >>> folder = tempfile.TemporaryDirectory()
        >>> artifact = Artifact(Path(folder.name, "memory_bank"))
        >>> vectors = np.eye(3, dtype=np.float32)
        >>> everywhere, groups = np.ones(3, bool), np.arange(3)
        >>> version = build(
        ...     artifact,
        ...     items=["a", "b", "c"],
        ...     content=vectors,
        ...     content_mask=everywhere,
        ...     temporal=vectors,
        ...     temporal_mask=everywhere,
        ...     labels=np.zeros(3),
        ...     label_times=None,
        ...     groups=groups,
        ...     versions={"encoder": "v1"},
        ... )
        >>> artifact.activate(version.version)
        >>> bank = MemoryBank.open(artifact, expect={"encoder": "v1"})
        >>> query = np.array([[0, 1, 0.5]], np.float32)
        >>> found = bank.search(query, query, size=2, query_items=["new"], query_groups=np.array([-1]))
        >>> bank.items[found.index].tolist()
        [['b', 'c']]
        >>> folder.cleanup()
    """

    def __init__(self, version: ArtifactVersion, *, device: Device = "auto", lists: OwnLists | None = None):
        """Open a version without checking which encoders made it; see `open`.

        Args:
            version: The version.
            device: What searches it; see `storage.bank.gpu.takes_gpu`. The shards of a divided bank are searched on the CPU.
            lists: Lists for a version that has none of its own. Its vectors are then memory-mapped.

        Raises:
            DamageError: Its files are damaged. It was set aside, and the next run builds it again.
            StoreError: The device is "gpu", but FAISS sees none.
        """
        self.version = version
        self._on_gpu = takes_gpu(device, members=version.metadata["members"])
        self._device: Device = device
        self._lists = lists
        self._hold = version.hold()
        with version.reading() as folder:
            self._load(folder)

    def _load(self, folder: Path) -> None:
        # A search over lists reads few of the vectors, so they are memory-mapped. Exact search reads all of them each time.
        metadata = self.version.metadata
        flags = faiss.IO_FLAG_MMAP_IFC if self._lists or metadata.keys() & {"lists", "shards"} else 0
        self.content_index, self.temporal_index = (
            faiss.read_index(str(folder / name), flags) for name in VECTORS.values()
        )
        self.content, self.temporal = as_array(self.content_index), as_array(self.temporal_index)
        with np.load(folder / MEMBERS) as members:
            self.items: np.ndarray = members["items"]
            self.labels: np.ndarray = members["labels"]
            self.groups: np.ndarray = members["groups"]
            self.content_mask: np.ndarray = members["content_mask"]
            self.temporal_mask: np.ndarray = members["temporal_mask"]
            self.label_times: np.ndarray | None = members.get("label_times")
        self._bank = Bank(
            self.content, self.temporal, self.content_mask, self.temporal_mask, self.groups, self.label_times
        )
        self.shards = Shard.of(self.version.path, metadata)

    @cached_property
    def _search(self) -> BankSearch:
        exact_up_to = EXACT_UP_TO if self._lists is None else self._lists.exact_up_to
        return BankSearch(self._bank, self._open_lists(), exact_up_to)

    @staticmethod
    def open(
        artifact: Artifact,
        *,
        expect: Mapping[str, Any],
        version: int | None = None,
        device: Device = "auto",
        lists: OwnLists | None = None,
    ) -> "MemoryBank":
        """Open a version of the bank.

        Args:
            artifact: The bank's artifact.
            expect: Identities of the encoders and processes that make the queries; they must be those of the bank.
            version: Number of the version, by default the one in service.
            device: What searches it; see `MemoryBank`.
            lists: Lists for a version that has none; see `MemoryBank`.

        Raises:
            BankVersionError: The bank was built with other encoders or processes.
            StoreError: No bank is in service, or the device is "gpu", but FAISS sees none.
            DamageError: Its files are damaged. It was set aside, and the next run builds it again.
        """
        while True:
            found = artifact.current() if version is None else artifact.read(version)
            if found is None:
                raise StoreError(f"{artifact.folder}: there is no memory bank in service; build and activate one first")
            check_versions(found, expect)
            try:
                return MemoryBank(found, device=device, lists=lists)
            except FileNotFoundError:
                if found.path.exists() or version is not None:
                    raise
                # this version was replaced and removed after the pointer was read: try again

    def __len__(self) -> int:
        """Return the number of members."""
        return len(self.items)

    @property
    def index(self) -> str:
        """`Flat` if the bank is searched exactly, else the factory string of the FAISS index over the content vectors."""
        if self.shards:
            lists = self.version.metadata["shards"][0]["lists"]
            kind = EXACT if lists is None else lists["content"]
            return f"{len(self.shards)} shards of {kind}"
        return EXACT if self._search.lists is None else self._search.lists.content.factory

    def search(
        self,
        content: np.ndarray,
        temporal: np.ndarray,
        *,
        size: int,
        query_items: Sequence[str],
        query_groups: np.ndarray,
        query_times: np.ndarray | None = None,
        content_mask: np.ndarray | None = None,
        temporal_mask: np.ndarray | None = None,
    ) -> Neighbours:
        """Return the `size` members most similar to each of n queries, as defined in `storage.bank.search`.

        The search is exact in a bank without lists, and approximate in a bank with lists (`storage.bank.threshold`).
        Queries that may see only few members are always searched exactly.

        Args:
            content: See `queries`.
            temporal: See `queries`.
            size: Number of neighbours per query.
            query_items: See `queries`.
            query_groups: See `queries`.
            query_times: See `queries`.
            content_mask: See `queries`.
            temporal_mask: See `queries`.

        Raises:
            ValueError: An argument is not allowed; see `queries`.
        """
        queries = self.queries(
            content,
            temporal,
            query_items=query_items,
            query_groups=query_groups,
            query_times=query_times,
            content_mask=content_mask,
            temporal_mask=temporal_mask,
        )
        return self.answer(queries, size=size)

    def queries(
        self,
        content: np.ndarray,
        temporal: np.ndarray,
        *,
        query_items: Sequence[str],
        query_groups: np.ndarray,
        query_times: np.ndarray | None = None,
        content_mask: np.ndarray | None = None,
        temporal_mask: np.ndarray | None = None,
    ) -> Queries:
        """Check n queries and combine them to one object, for `answer`.

        Args:
            content: (n, dc) content vectors.
            temporal: (n, dt) temporal vectors.
            query_items: n ids. A query never finds the member with its own id.
            query_groups: (n,) duplicate groups, -1 if unknown. A query never finds a member of its own group.
            query_times: (n,) int64 unix ms. If given, a query finds only members whose label was observable by then
                (chronological protocol).
            content_mask: (n,) bool, whether a query has a content vector; by default all have one.
            temporal_mask: (n,) bool, whether a query has a temporal vector; by default all have one.

        Raises:
            ValueError: An argument has another shape, a vector holds NaN or infinity, or `query_times` are given but the
                bank has no label times.
        """
        count = len(query_items)
        if query_times is not None and self.label_times is None:
            raise ValueError("query_times need a bank that was built with label_times")
        own = positions(self.items, query_items)
        has_content = _mask("content_mask", content_mask, count)
        has_temporal = _mask("temporal_mask", temporal_mask, count)
        return Queries(
            content=_checked("content", content, has_content, self.content.shape[1]),
            temporal=_checked("temporal", temporal, has_temporal, self.temporal.shape[1]),
            content_mask=has_content,
            temporal_mask=has_temporal,
            own=own,
            groups=_each("query_groups", query_groups, count),
            times=None if query_times is None else _each("query_times", query_times, count),
        )

    def quality(self, *, size: int, queries: int = 256, seed: int = 2) -> SearchQuality:
        """Measure recall against exact search, and speed, with sampled members as queries.

        Args:
            size: Number of neighbours per query.
            queries: Number of members to sample.
            seed: Seed of the sample.
        """
        sample = sampled(self._bank, queries, seed=seed)
        started = time.perf_counter()
        found = self.answer(sample, size=size)
        seconds = time.perf_counter() - started
        single = []
        for row in range(min(SINGLE, len(sample.own))):
            begun = time.perf_counter()
            self.answer(sample.take(slice(row, row + 1)), size=size)
            single.append(time.perf_counter() - begun)
        is_exact = not self.has_lists and (self.shards or self._search.lists is None)
        reached = 1.0 if is_exact else recall(found, search(self._bank, sample, size=size))
        return SearchQuality(
            recall=reached,
            latency_ms=float(np.percentile(single, 95) * 1000),
            queries_per_second=len(sample.own) / max(seconds, 1e-9),
            queries=len(sample.own),
        )

    @property
    def has_lists(self) -> bool:
        """Whether the version has approximate indexes."""
        return "lists" in self.version.metadata or any(shard.lists for shard in self.shards)

    def answer(self, queries: Queries, *, size: int, run: Run = map) -> Neighbours:
        """Return the `size` most similar members for queries that were made by `queries`; see `search`.

        Args:
            queries: The queries.
            size: Number of neighbours per query.
            run: Runs the searches of the shards, if the bank is divided: `map`, or the `map` of other processes.
        """
        if self.shards:
            return search_shards(self._bank, self.shards, queries, size=size, run=run)
        return self._search.answer(queries, size=size)

    def _open_lists(self) -> ThresholdSearch | None:
        if self._on_gpu:
            resources = faiss.StandardGpuResources()
            try:
                whole = [SortedLists.whole(index, mask).on_gpu(resources) for index, mask in self._sides]
                return ThresholdSearch(self._bank, *whole, effort=WHOLE)
            except RuntimeError as error:
                if self._device == "gpu":
                    raise StoreError(f"bank.device is 'gpu', but the vectors do not fit: {error}") from error
                # with "auto", the CPU searches the lists on disk
        flat = (self.content_index, self.temporal_index)
        if "lists" in self.version.metadata:
            return open_lists(self.version.path, self._bank, flat, self.version.metadata["lists"])
        if self._lists is not None:
            return open_lists(self._lists.folder, self._bank, flat, self._lists.description)
        return None

    def write_lists(self, folder: Path, *, exact_up_to: int, size: int, aim: float) -> dict[str, Any] | None:
        """Write lists for searches of single queries, which may be approximate where those of a run are exact.

        Args:
            folder: Where to write them.
            exact_up_to: Largest number of members that are searched exactly.
            size: Number of neighbours that the lists are calibrated for.
            aim: Recall against exact search that they should reach.

        Returns:
            Their description, for `OwnLists`. None if nothing was written: the bank has few members, lists of its own, or
            shards.
        """
        counts = self.content_mask.sum(), self.temporal_mask.sum()
        factories = tuple(
            choose(int(count), index.d, exact_up_to=exact_up_to)
            for count, index in zip(counts, (self.content_index, self.temporal_index), strict=True)
        )
        if self.has_lists or self.shards or factories[0] == EXACT:
            return None
        flat = (self.content_index, self.temporal_index)
        return write_lists(folder, self._bank, flat, factories, size=size, aim=aim)

    @property
    def _sides(self) -> list[tuple[faiss.IndexFlatIP, np.ndarray]]:
        return [(self.content_index, self.content_mask), (self.temporal_index, self.temporal_mask)]


FEW = 8  # ids that are looked for by comparing them with all


def positions(items: np.ndarray, wanted: Sequence[str]) -> np.ndarray:
    """Return the position of each wanted id among distinct ids, (n,) int64, -1 for one that is not there.

    Example:
        >>> positions(np.array(["a", "b"]), ["b", "c"]).tolist()
        [1, -1]
    """
    if len(wanted) <= FEW:  # a dictionary of a million ids takes half a second
        found = (np.flatnonzero(items == item) for item in wanted)
        return np.array([rows[0] if len(rows) else -1 for rows in found], np.int64)
    position = {item: row for row, item in enumerate(items.tolist())}
    return np.fromiter((position.get(item, -1) for item in wanted), np.int64, len(wanted))


def _checked(name: str, values: np.ndarray, mask: np.ndarray, width: int) -> np.ndarray:
    """Return queries as (n, width) float32. Rows outside the mask may hold anything, and become zero."""
    array = np.ascontiguousarray(values, dtype=np.float32)
    if array.shape != (len(mask), width):
        raise ValueError(f"{name} of the queries has shape {array.shape}, must be ({len(mask)}, {width})")
    wrong = np.flatnonzero(~np.isfinite(array).all(axis=1) & mask)
    if len(wrong):
        raise ValueError(f"{name} of query {wrong[0]}: NaN or infinity; mask a query that has no vector")
    return array if mask.all() else np.where(mask[:, None], array, np.float32(0))


def _mask(name: str, values: np.ndarray | None, count: int) -> np.ndarray:
    return np.ones(count, bool) if values is None else _each(name, values, count, dtype=bool)


def _each(name: str, values: np.ndarray, count: int, *, dtype: type = np.int64) -> np.ndarray:
    array = np.asarray(values, dtype=dtype)
    if array.shape != (count,):
        raise ValueError(f"{name} has shape {array.shape}, must be ({count},)")
    return array
