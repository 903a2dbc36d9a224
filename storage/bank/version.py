"""Versions of the memory bank (M3TR eq. 4): built beside, checked, switched to in one step, rolled back in one step.

A version is a folder of its own: two FAISS flat indexes (which hold the vectors), a larger bank's two approximate ones,
`members.npz` with everything else a member has, and `version.json` with the identities of the encoders and of the
process that made its vectors.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import faiss
import numpy as np

from storage.artifact import Artifact
from storage.artifact_version import ArtifactVersion
from storage.bank.lists import EXACT, Effort, SortedLists, calibrate, choose, described, make_index
from storage.bank.member_order import Bank
from storage.bank.recall_latency import recall, sampled
from storage.bank.search import search
from storage.bank.threshold import ThresholdSearch
from storage.damage import DamageError
from storage.durable import StoreError
from storage.hashing import content_hash

CONTENT_INDEX = "content.faiss"
TEMPORAL_INDEX = "temporal.faiss"
CONTENT_LISTS = "content_lists.faiss"
TEMPORAL_LISTS = "temporal_lists.faiss"
MEMBERS = "members.npz"
CALIBRATED_ON = 256  # queries


class BankVersionError(StoreError):
    """A query was made by other encoders, or another process, than the bank."""


def _matrix(name: str, given: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """(N, width) float32; rows that the mask leaves out may hold anything where they come from, and are zero here."""
    array = np.ascontiguousarray(given, dtype=np.float32)
    if array.ndim != 2 or len(array) != len(mask) or array.shape[1] < 1:
        raise ValueError(f"{name} has shape {array.shape}, must be ({len(mask)}, width)")
    if not mask.all():
        array = np.where(mask[:, None], array, np.float32(0))
    wrong = np.flatnonzero(~np.isfinite(array).all(axis=1))
    if len(wrong):
        raise ValueError(f"{name}, row {wrong[0]}: NaN or infinity; mask a row that has no vector")
    return array


def _vector(name: str, given: np.ndarray | Sequence, rows: int, dtype: type) -> np.ndarray:
    array = np.asarray(given)
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
) -> ArtifactVersion:
    """Writes a new version beside the one in service, which stays until `artifact.activate(version)`.

    Where a version is kept that was made of the same, by the same index, nothing is written and it is returned.

    items: N distinct ids; the order breaks ties. content (N, dc): retrieval vectors R; temporal (N, dt): mean-pooled
    X^s; the masks (N,) bool tell who has which (a row without is not read). labels (N,): targets; label_times (N,)
    int64 unix ms at which each label was observable, or None outside the chronological protocol; groups (N,) int:
    duplicate group. versions: identities of what made the vectors (JSON-able), which queries must name too; metadata:
    the builder's own. index: see `storage.bank.lists.choose`; where it is approximate it is searched as thoroughly as a
    recall of `aim` takes, at `size` neighbours, against exact search. Raises ValueError for other shapes, NaN, infinity,
    an item twice, an index that FAISS cannot make of these vectors; BusyError where another process is building.
    """
    count = len(items)
    if not count:
        raise ValueError("a bank needs members; there are no items")
    if len(set(items)) < count:
        raise ValueError("an item is given twice; one member an item is allowed")
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
    if not np.isfinite(members["labels"]).all():
        raise ValueError("labels hold NaN or infinity; an item without a label is no member")
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
    factory = choose(int(masks["content_mask"].sum()), content.shape[1], asked=index)
    fingerprint = content_hash(dict(versions), factory)
    for kept in artifact.versions():
        if (kept.inputs_hash, kept.fingerprint) == (inputs_hash, fingerprint):
            try:
                kept.check(contents=True)
                return kept
            except DamageError as error:
                kept.set_aside(error)
    draft = artifact.new(inputs_hash=inputs_hash, fingerprint=fingerprint, metadata=facts, activate=False)
    with draft as folder:
        flat = [_flat(vectors) for vectors in (content, temporal)]
        for name, vectors in zip((CONTENT_INDEX, TEMPORAL_INDEX), flat, strict=True):
            faiss.write_index(vectors, str(folder / name))
        np.savez(folder / MEMBERS, **members)
        if factory != EXACT:
            bank = Bank(content, temporal, *masks.values(), members["groups"], None)
            factories = factory, choose(int(masks["temporal_mask"].sum()), temporal.shape[1])
            facts["lists"] = _write_lists(folder, bank, flat, factories, size=size, aim=aim)
    return draft.version


def _flat(vectors: np.ndarray) -> faiss.IndexFlatIP:
    index = faiss.IndexFlatIP(vectors.shape[1])
    index.add(vectors)
    return index


def _write_lists(
    folder: Path,
    bank: Bank,
    flat: Sequence[faiss.IndexFlatIP],
    factories: tuple[str, str],
    *,
    size: int,
    aim: float,
) -> dict[str, Any]:
    """Makes the approximate indexes, and finds out how thoroughly they must be searched."""
    made = []
    for name, factory, vectors, mask in zip(
        (CONTENT_LISTS, TEMPORAL_LISTS), factories, flat, (bank.content_mask, bank.temporal_mask), strict=True
    ):
        lists = SortedLists.whole(vectors, mask)
        if factory != EXACT:
            own = bank.content if name == CONTENT_LISTS else bank.temporal
            index = make_index(own if mask.all() else own[mask], factory)
            faiss.write_index(index, str(folder / name))
            lists = SortedLists(index, lists.positions, vectors, factory)
        made.append(lists)
    queries = sampled(bank, CALIBRATED_ON, seed=1)
    exact = search(bank, queries, size=size)

    def reached(effort: Effort) -> float:
        return recall(ThresholdSearch(bank, *made, effort=effort).search(queries, size=size)[0], exact)

    # Between the aim and 1, so that other queries reach it as well.
    return described(factories, *calibrate(reached, aim=aim + (1 - aim) / 4))


def check_versions(bank: ArtifactVersion, expect: Mapping[str, Any]) -> None:
    """Raises BankVersionError, naming both, where `expect` differs from what the bank was built with."""
    built = bank.metadata["versions"]
    for name in sorted(built.keys() | expect.keys()):
        theirs, ours = built.get(name, "absent"), expect.get(name, "absent")
        if theirs != ours:
            raise BankVersionError(
                f"{name}: bank version {bank.version} was built with {theirs}, the query was made with {ours}; rebuild "
                "the bank (dagster asset materialize --select memory_bank), activate a version that was built with it "
                "(reelcast bank list, reelcast bank activate V), or make the queries as the bank's were made"
            )
