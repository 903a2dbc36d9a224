"""A memory bank opened for retrieval."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import faiss
import numpy as np

from storage.artifact import Artifact
from storage.artifact_version import ArtifactVersion
from storage.bank.lists import EXACT, EXACT_UP_TO, WHOLE, Effort, SortedLists, as_array
from storage.bank.member_order import Bank
from storage.bank.neighbours import Neighbours, Queries
from storage.bank.recall_latency import SearchQuality, recall, sampled
from storage.bank.search import search
from storage.bank.threshold import ThresholdSearch
from storage.bank.version import (
    CONTENT_INDEX,
    CONTENT_LISTS,
    MEMBERS,
    TEMPORAL_INDEX,
    TEMPORAL_LISTS,
    check_versions,
)
from storage.durable import StoreError

SINGLE = 20  # queries asked one by one, for the latency


class MemoryBank:
    """One version of the bank. Get it from `MemoryBank.open`; while it is open, no retention rule removes its files.

    items (N,) str, labels (N,) float32, label_times (N,) int64 ms or None, groups (N,) int64, content (N, dc) and
    temporal (N, dt) float32 with their masks (N,), mapped from disk where the bank has lists; version: which one it is.
    """

    def __init__(self, version: ArtifactVersion):
        self.version = version
        self._hold = version.hold()
        with version.reading() as folder:
            self._load(folder)

    def _load(self, folder: Path) -> None:
        # With lists few of the vectors are looked at; without, all of them, again and again.
        flags = faiss.IO_FLAG_MMAP_IFC if "lists" in self.version.metadata else 0
        self.content_index, self.temporal_index = (
            faiss.read_index(str(folder / name), flags) for name in (CONTENT_INDEX, TEMPORAL_INDEX)
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
        self._lists = self._open_lists()

    @staticmethod
    def open(artifact: Artifact, *, expect: Mapping[str, Any], version: int | None = None) -> "MemoryBank":
        """Opens the version in service, or the one given. expect: identities of what makes the queries.

        Raises BankVersionError where they are not the bank's, StoreError where there is no bank, DamageError where its
        files are not as they were written (it is set aside then, and the next run builds it again).
        """
        while True:
            found = artifact.current() if version is None else artifact.read(version)
            if found is None:
                raise StoreError(f"{artifact.folder}: there is no memory bank in service; build and activate one first")
            check_versions(found, expect)
            try:
                return MemoryBank(found)
            except FileNotFoundError:
                if found.path.exists() or version is not None:
                    raise
                # another version came into service, and this one went, since the pointer was read

    def __len__(self) -> int:
        return len(self.items)

    @property
    def index(self) -> str:
        """How it is searched: `Flat` for the exact search over blocks, else the FAISS index over the content vectors."""
        return EXACT if self._lists is None else self._lists.content.factory

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
        """Return the `size` members most similar to each of n queries, as `storage.bank.search` defines it.

        Exact in a bank without lists, approximate in one with them (`storage.bank.threshold`), except for queries that
        see few members, which are searched exactly in any bank. The arguments are those of `queries`.
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
        """Check n queries of this bank, and put them together.

        content (n, dc), temporal (n, dt) with masks (n,) bool (None: all have it); query_items (n,) ids and
        query_groups (n,) duplicate groups, so that no query finds itself or a duplicate (-1: no group known);
        query_times (n,) int64 ms turns on the chronological rule: only members whose label was observable by then.
        Raises ValueError for other shapes, NaN and infinity.
        """
        count = len(query_items)
        if query_times is not None and self.label_times is None:
            raise ValueError("query_times need a bank that was built with label_times")
        position = {item: row for row, item in enumerate(self.items.tolist())}
        own = np.fromiter((position.get(item, -1) for item in query_items), np.int64, count)
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
        """Recall against the exact search and speed, on members sampled as queries."""
        asked = sampled(self._bank, queries, seed=seed)
        started = time.perf_counter()
        found = self.answer(asked, size=size)
        seconds = time.perf_counter() - started
        single = []
        for row in range(min(SINGLE, len(asked.own))):
            begun = time.perf_counter()
            self.answer(asked.take(slice(row, row + 1)), size=size)
            single.append(time.perf_counter() - begun)
        reached = 1.0 if self._lists is None else recall(found, search(self._bank, asked, size=size))
        return SearchQuality(
            recall=reached,
            latency_ms=float(np.percentile(single, 95) * 1000),
            queries_per_second=len(asked.own) / max(seconds, 1e-9),
            queries=len(asked.own),
        )

    def answer(self, queries: Queries, *, size: int) -> Neighbours:
        """Search for queries that `queries` put together; see `search`."""
        if self._lists is None or size < 1:
            return search(self._bank, queries, size=size)
        found = Neighbours.none(len(queries.own), size)
        many = self._sees_many(queries.times, len(queries.own))
        rows = np.flatnonzero(many)
        answers, settled = self._lists.search(queries.take(rows), size=size)
        found.put(rows, answers)
        # With fewer found than asked for the lists were too short for what may be found.
        done = settled if self._lists.exact else answers.mask.all(axis=1)
        rest = np.concatenate([np.flatnonzero(~many), rows[~done]])
        if len(rest):
            found.put(rest, search(self._bank, queries.take(rest), size=size))
        return found

    def _sees_many(self, times: np.ndarray | None, count: int) -> np.ndarray:
        """(n,): whether a query may find so many members that an approximate list has enough of them.

        Of a list made over all members a query sees few whose label was known, where it came early; and few members
        are soon searched exactly.
        """
        if times is None:
            return np.ones(count, bool)
        visible = np.searchsorted(np.sort(self.label_times), times, side="right")
        return visible >= max(len(self) / 2, min(EXACT_UP_TO, len(self)))

    def _open_lists(self) -> ThresholdSearch | None:
        whole = [
            SortedLists.whole(vectors, mask)
            for vectors, mask in (
                (self.content_index, self.content_mask),
                (self.temporal_index, self.temporal_mask),
            )
        ]
        if len(self) > EXACT_UP_TO and faiss.get_num_gpus():
            resources = faiss.StandardGpuResources()
            try:
                return ThresholdSearch(self._bank, *(lists.on_gpu(resources) for lists in whole), effort=WHOLE)
            except RuntimeError:
                pass  # the GPU has no room for the whole vectors: its lists are searched by the processor
        made = self.version.metadata.get("lists")
        if made is None:
            return None
        lists = []
        for name, factory, own in zip(
            (CONTENT_LISTS, TEMPORAL_LISTS), (made["content"], made["temporal"]), whole, strict=True
        ):
            if factory == EXACT:
                lists.append(own)
            else:
                index = faiss.read_index(str(self.version.path / name))
                lists.append(SortedLists(index, own.positions, own.vectors, factory))
        return ThresholdSearch(self._bank, *lists, effort=Effort(**made["effort"]))


def _checked(name: str, given: np.ndarray, mask: np.ndarray, width: int) -> np.ndarray:
    """(n, width) float32; rows that the mask leaves out may hold anything, and become zero."""
    array = np.ascontiguousarray(given, dtype=np.float32)
    if array.shape != (len(mask), width):
        raise ValueError(f"{name} of the queries has shape {array.shape}, must be ({len(mask)}, {width})")
    wrong = np.flatnonzero(~np.isfinite(array).all(axis=1) & mask)
    if len(wrong):
        raise ValueError(f"{name} of query {wrong[0]}: NaN or infinity; mask a query that has no vector")
    return array if mask.all() else np.where(mask[:, None], array, np.float32(0))


def _mask(name: str, given: np.ndarray | None, count: int) -> np.ndarray:
    return np.ones(count, bool) if given is None else _each(name, given, count, dtype=bool)


def _each(name: str, given: np.ndarray, count: int, *, dtype: type = np.int64) -> np.ndarray:
    array = np.asarray(given, dtype=dtype)
    if array.shape != (count,):
        raise ValueError(f"{name} has shape {array.shape}, must be ({count},)")
    return array
