"""Versions of the memory bank (M3TR eq. 4), which are built without affecting the one in service.

A version is a folder with two FAISS flat indexes (which hold the vectors), two approximate indexes if the bank is large,
`members.npz` with the members' other data, and `version.json` with the identities of the encoders and the process that made
the vectors.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import faiss
import numpy as np

from storage.artifact import Artifact
from storage.artifact_version import ArtifactVersion
from storage.bank.files import MEMBERS, VECTORS
from storage.bank.list_files import write_lists
from storage.bank.lists import EXACT, choose
from storage.bank.member_order import Bank
from storage.damage import DamageError
from storage.durable import StoreError
from storage.hashing import content_hash


class BankVersionError(StoreError):
    """The encoders or the process that made a query differ from those of the bank."""


def _matrix(name: str, values: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Return vectors as (N, width) float32. Rows outside the mask may hold anything, and become zero."""
    array = np.ascontiguousarray(values, dtype=np.float32)
    if array.ndim != 2 or len(array) != len(mask) or array.shape[1] < 1:
        raise ValueError(f"{name} has shape {array.shape}, must be ({len(mask)}, width)")
    if not mask.all():
        array = np.where(mask[:, None], array, np.float32(0))
    wrong = np.flatnonzero(~np.isfinite(array).all(axis=1))
    if len(wrong):
        raise ValueError(f"{name}, row {wrong[0]}: NaN or infinity; mask a row that has no vector")
    return array


def _vector(name: str, values: np.ndarray | Sequence, rows: int, dtype: type) -> np.ndarray:
    array = np.asarray(values)
    if array.shape != (rows,):
        raise ValueError(f"{name} has shape {array.shape}, must be ({rows},)")
    return array.astype(dtype)


def build(
    artifact: Artifact,
    *,
    items: Sequence[str],
    content: np.ndarray,
    content_mask: np.ndarray,
    temporal: np.ndarray,
    temporal_mask: np.ndarray,
    labels: np.ndarray,
    label_times: np.ndarray | None,
    groups: np.ndarray,
    versions: Mapping[str, Any],
    metadata: Mapping[str, Any] | None = None,
    index: str = "auto",
    size: int = 10,
    aim: float = 0.95,
    shards: int = 1,
) -> ArtifactVersion:
    """Build a new version. The version in service stays until `artifact.activate(version)`.

    If a version with the same members and the same index is kept, it is returned and nothing is written.

    Args:
        artifact: The bank's artifact.
        items: N distinct ids. Their order breaks ties.
        content: (N, dc) retrieval vectors R.
        content_mask: (N,) bool, whether a member has a content vector; other rows are ignored.
        temporal: (N, dt) mean-pooled X^s.
        temporal_mask: (N,) bool, whether a member has a temporal vector; other rows are ignored.
        labels: (N,) targets, NaN where unknown.
        label_times: (N,) int64 unix ms at which each label was observable; None outside the chronological protocol.
        groups: (N,) int duplicate groups.
        versions: JSON-able identities of the encoders and processes that made the vectors; queries must have the same.
        metadata: Further JSON-able facts to keep with the version.
        index: `auto`, `flat` or a FAISS factory string; see `storage.bank.lists.choose`.
        size: Number of neighbours for which an approximate index is calibrated.
        aim: Recall against exact search that an approximate index should reach; a higher one makes searches slower.
        shards: Number of equal parts of the members that are searched on their own (`storage.bank.shards`), with an index
            each; 1 for none.

    Returns:
        The new version, not yet in service.

    Raises:
        ValueError: An array has another shape or holds NaN or infinity (labels may hold NaN), an item is given twice, or
            FAISS cannot make such an index of these vectors.
        BusyError: Another process is building a version.
    """
    count = len(items)
    if not count:
        raise ValueError("a bank needs members; there are no items")
    if len(set(items)) < count:
        twice = Counter(items).most_common(1)[0][0]
        raise ValueError(f"an item is given twice: {twice!r}; one member per item is allowed")
    masks = {
        "content_mask": _vector("content_mask", content_mask, count, bool),
        "temporal_mask": _vector("temporal_mask", temporal_mask, count, bool),
    }
    content = _matrix("content", content, masks["content_mask"])
    temporal = _matrix("temporal", temporal, masks["temporal_mask"])
    members = {
        "items": np.asarray(items, dtype=str),
        **masks,
        "labels": _vector("labels", labels, count, np.float32),
        "groups": _vector("groups", groups, count, np.int64),
    }
    if label_times is not None:
        members["label_times"] = _vector("label_times", label_times, count, np.int64)
    if np.isinf(members["labels"]).any():
        raise ValueError("labels hold infinity; NaN stands for an unknown label")
    facts = {
        **(metadata or {}),
        "versions": dict(versions),
        "members": count,
        "content_width": content.shape[1],
        "temporal_width": temporal.shape[1],
        "with_content": int(masks["content_mask"].sum()),
        "with_temporal": int(masks["temporal_mask"].sum()),
    }
    inputs_hash = content_hash(
        list(items), content, temporal, *(members[name] for name in sorted(members.keys() - {"items"}))
    )
    shards = min(shards, count)
    factory = choose(int(masks["content_mask"].sum()) // shards, content.shape[1], asked=index)
    fingerprint = content_hash(dict(versions), factory, *([shards] if shards > 1 else []))
    for kept in artifact.versions():
        if (kept.inputs_hash, kept.fingerprint) == (inputs_hash, fingerprint):
            try:
                kept.check(contents=True)
                return kept
            except DamageError as error:
                kept.set_aside(error)
    draft = artifact.new(inputs_hash=inputs_hash, fingerprint=fingerprint, metadata=facts, activate=False)
    with draft as folder:
        flat = []
        for name, vectors in zip(VECTORS.values(), (content, temporal), strict=True):
            faiss.write_index(_flat(vectors), str(folder / name))
            # The copy in FAISS's memory is freed.
            flat.append(faiss.read_index(str(folder / name), faiss.IO_FLAG_MMAP_IFC))
        np.savez(folder / MEMBERS, **members)
        starts = np.linspace(0, count, shards + 1).astype(int).tolist()
        parts = []
        for number, (start, stop) in enumerate(pairwise(starts)):
            here = slice(start, stop)
            own = [mask[here] for mask in masks.values()]
            factory = choose(int(own[0].sum()), content.shape[1], asked=index)
            lists = None
            if factory != EXACT:
                bank = Bank(content[here], temporal[here], *own, members["groups"][here], None)
                factories = factory, choose(int(own[1].sum()), temporal.shape[1])
                shard = number if shards > 1 else None
                lists = write_lists(folder, bank, flat, factories, size=size, aim=aim, shard=shard, offset=start)
            parts.append({"start": start, "stop": stop, "lists": lists})
        if shards > 1:
            facts["shards"] = parts
        elif parts[0]["lists"] is not None:
            facts["lists"] = parts[0]["lists"]
    return draft.version


def _flat(vectors: np.ndarray) -> faiss.IndexFlatIP:
    index = faiss.IndexFlatIP(vectors.shape[1])
    index.add(vectors)
    return index


def check_versions(bank: ArtifactVersion, expect: Mapping[str, Any]) -> None:
    """Check that a bank was built with the encoders and processes that make the queries.

    Args:
        bank: A version of the bank.
        expect: Name -> identity of each encoder and process that makes the queries.

    Raises:
        BankVersionError: An identity differs; the message shows both.
    """
    built = bank.metadata["versions"]
    for name in sorted(built.keys() | expect.keys()):
        theirs, ours = built.get(name, "absent"), expect.get(name, "absent")
        if theirs != ours:
            raise BankVersionError(
                f"{name}: bank version {bank.version} was built with {theirs}, the query was made with {ours}; rebuild "
                "the bank (dagster asset materialize --select memory_bank), activate a version that was built with the same "
                "(reelcast bank list, reelcast bank activate V), or make the queries with what the bank was built with"
            )
