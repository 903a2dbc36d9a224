"""A memory bank opened for retrieval."""

from collections.abc import Mapping, Sequence
from typing import Any

import faiss
import numpy as np

from storage.artifact import Artifact, ArtifactVersion
from storage.bank.search import Bank, Neighbours, Queries, search
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

        content (n, dc), temporal (n, dt) with masks (n,) bool (None: all have it); query_items (n,) ids and query_groups
        (n,) duplicate groups, so that no query finds itself or a duplicate (-1: no group known); query_times (n,) int64
        ms turns on the chronological rule: only members whose label was observable by then.
        """
        count = len(query_items)
        if query_times is not None and self.label_times is None:
            raise ValueError("query_times need a bank that was built with label_times")
        position = {item: row for row, item in enumerate(self.items.tolist())}
        own = np.fromiter((position.get(item, -1) for item in query_items), np.int64, count)
        queries = Queries(
            content=_checked("content", content, (count, self.content.shape[1])),
            temporal=_checked("temporal", temporal, (count, self.temporal.shape[1])),
            content_mask=_mask("content_mask", content_mask, count),
            temporal_mask=_mask("temporal_mask", temporal_mask, count),
            own=own,
            groups=np.asarray(query_groups, dtype=np.int64),
            times=None if query_times is None else np.asarray(query_times, dtype=np.int64),
        )
        bank = Bank(self.content, self.temporal, self.content_mask, self.temporal_mask, self.groups, self.label_times)
        return search(bank, queries, size=size)


def _vectors(index: faiss.IndexFlatIP) -> np.ndarray:
    """The index's own memory as (N, d) float32, not a copy."""
    flat = faiss.rev_swig_ptr(index.get_xb(), index.ntotal * index.d)
    return flat.reshape(index.ntotal, index.d)


def _checked(name: str, given: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    array = np.ascontiguousarray(given, dtype=np.float32)
    if array.shape != shape:
        raise ValueError(f"{name} of the queries has shape {array.shape}, must be {shape}")
    return array


def _mask(name: str, given: np.ndarray | None, count: int) -> np.ndarray:
    mask = np.ones(count, bool) if given is None else np.asarray(given, dtype=bool)
    if mask.shape != (count,):
        raise ValueError(f"{name} of the queries has shape {mask.shape}, must be ({count},)")
    return mask
