"""A memory bank opened for retrieval."""

from collections.abc import Mapping, Sequence
from typing import Any

import faiss
import numpy as np

from storage.artifact import Artifact, ArtifactVersion
from storage.bank.arrangement import Bank
from storage.bank.neighbours import Neighbours, Queries
from storage.bank.search import search
from storage.bank.version import CONTENT_INDEX, MEMBERS, TEMPORAL_INDEX, check_versions
from storage.durable import StoreError


class MemoryBank:
    """One version of the bank, held in memory. Get it from `MemoryBank.open`.

    items (N,) str, labels (N,) float32, label_times (N,) int64 ms or None, groups (N,) int64, content (N, dc) and
    temporal (N, dt) float32 with their masks (N,); version: what is in service, with its metadata.
    """

    def __init__(self, version: ArtifactVersion):
        self.version = version
        self.content_index = faiss.read_index(str(version.path / CONTENT_INDEX))
        self.temporal_index = faiss.read_index(str(version.path / TEMPORAL_INDEX))
        self.content = _vectors(self.content_index)
        self.temporal = _vectors(self.temporal_index)
        with np.load(version.path / MEMBERS) as members:
            self.items: np.ndarray = members["items"]
            self.labels: np.ndarray = members["labels"]
            self.groups: np.ndarray = members["groups"]
            self.content_mask: np.ndarray = members["content_mask"]
            self.temporal_mask: np.ndarray = members["temporal_mask"]
            self.label_times: np.ndarray | None = members.get("label_times")

    @staticmethod
    def open(artifact: Artifact, *, expect: Mapping[str, Any], version: int | None = None) -> "MemoryBank":
        """Opens the version in service, or the one given. expect: identities of what makes the queries.

        Raises BankVersionError where they are not the bank's, StoreError where there is no bank.
        """
        found = artifact.current() if version is None else artifact.read(version)
        if found is None:
            raise StoreError(f"{artifact.folder}: there is no memory bank in service; build and activate one first")
        check_versions(found, expect)
        return MemoryBank(found)

    def __len__(self) -> int:
        return len(self.items)

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
        """The `size` members most similar to each of n queries, as `storage.bank.search` defines it.

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
        queries = Queries(
            content=_checked("content", content, has_content, self.content.shape[1]),
            temporal=_checked("temporal", temporal, has_temporal, self.temporal.shape[1]),
            content_mask=has_content,
            temporal_mask=has_temporal,
            own=own,
            groups=_each("query_groups", query_groups, count),
            times=None if query_times is None else _each("query_times", query_times, count),
        )
        bank = Bank(self.content, self.temporal, self.content_mask, self.temporal_mask, self.groups, self.label_times)
        return search(bank, queries, size=size)


def _vectors(index: faiss.IndexFlatIP) -> np.ndarray:
    """The index's own memory as (N, d) float32, not a copy."""
    flat = faiss.rev_swig_ptr(index.get_xb(), index.ntotal * index.d)
    return flat.reshape(index.ntotal, index.d)


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
