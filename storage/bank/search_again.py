"""A search that takes over the answers of the bank before, where they cannot have changed.

A night adds some hundred members to a bank of many thousands. For a query that was asked before, a member that came or
went matters only if it reaches the last of the query's neighbours or one of the extremes of the min-max norm: otherwise
norm, scores and ranking of all other members are as they were. So the query is compared with those few members alone, and
searched whole only where one of them comes as near as float32 can tell. The answer is that of a whole search.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from storage.artifact import Artifact
from storage.bank.memory_bank import MemoryBank
from storage.bank.neighbours import Neighbours, Queries
from storage.bank.ranking import RESOLUTION
from storage.damage import DamageError
from storage.hashing import content_hash

ANSWERS = "answers.npz"
MOST_CHANGED = 0.2  # share of members that came or went above which nearly every query is touched
SAME_LENGTH = 1e-3  # how far the longest vector may change: float32's resolution is measured by it
BLOCK = 1024  # queries compared at a time


def search_again(answers: Artifact, banks: Artifact, bank: MemoryBank, queries: Queries, *, size: int) -> Neighbours:
    """Return `bank.answer(queries, size=size)`, from the answers of an earlier bank where those still hold.

    Args:
        answers: Where the answers are kept for the next search; one version of them.
        banks: The artifact whose versions the banks are. Without the earlier one every query is searched.
        bank: The bank to search.
        queries: What to search for. One is known again by its vectors, its group, its time and its place in the bank.
        size: How many neighbours each query gets.
    """
    digests = _digests(bank, queries)
    found, todo = Neighbours.none(len(digests), size), np.ones(len(digests), bool)
    if (before := _recall(answers, banks, bank, size)) is not None:
        rows = np.fromiter((before.rows.get(digest, -1) for digest in digests), np.int64, len(digests))
        asked = np.flatnonzero(rows >= 0)
        if len(asked):
            kept = before.answers.take(rows[asked])
            holds = ~_touched(before.delta, queries.take(asked), kept)
            found.put(asked[holds], before.moved(kept.take(holds)))
            todo[asked[holds]] = False
    rest = np.flatnonzero(todo)
    if len(rest):
        found.put(rest, bank.answer(queries.take(rest), size=size))
    _remember(answers, bank, digests, found, size)
    return found


@dataclass(frozen=True)
class _Delta:
    """The members that came or went: (m, dc) content, (m, dt) temporal, masks, groups and label times (m,).

    own (m,): a member's position in the new bank, -1 for one that is not in it. longest: of all vectors, by modality.
    """

    content: np.ndarray
    temporal: np.ndarray
    content_mask: np.ndarray
    temporal_mask: np.ndarray
    groups: np.ndarray
    times: np.ndarray | None
    own: np.ndarray
    longest: tuple[float, float]


@dataclass(frozen=True)
class _Before:
    """The answers of an earlier search: row of each query by its digest, and what changed in the bank since.

    places (N,): where each member of the earlier bank lies now, -1 for one that went.
    """

    rows: dict[bytes, int]
    answers: Neighbours
    delta: _Delta
    places: np.ndarray

    def moved(self, kept: Neighbours) -> Neighbours:
        """The answers with the members' present positions."""
        return replace(kept, index=np.where(kept.mask, self.places[kept.index], -1))


def _digests(bank: MemoryBank, queries: Queries) -> list[bytes]:
    """What each query is known by."""
    own = np.where(queries.own >= 0, bank.items[queries.own], "")
    times = np.zeros(len(own), np.int64) if queries.times is None else queries.times
    facts = np.column_stack([queries.content_mask, queries.temporal_mask, queries.groups, times])
    parts = zip(queries.content, queries.temporal, facts.astype(np.int64), own.tolist(), strict=True)
    return [
        hashlib.sha256(b"".join((content, temporal, fact, item.encode()))).digest()[:16]
        for content, temporal, fact, item in parts
    ]


def _recall(answers: Artifact, banks: Artifact, bank: MemoryBank, size: int) -> _Before | None:
    """The answers kept last; None where they cannot help."""
    kept = answers.current()
    if kept is None or kept.metadata["size"] != size or "lists" in bank.version.metadata:
        return None
    try:
        old = MemoryBank(banks.read(kept.metadata["bank_version"]))
        with kept.reading() as folder, np.load(folder / ANSWERS) as stored:
            arrays = dict(stored)
    except (FileNotFoundError, DamageError):
        return None
    if (change := _change(old, bank)) is None:
        return None
    rows = {digest.tobytes(): row for row, digest in enumerate(arrays.pop("digests"))}
    return _Before(rows, Neighbours(**arrays), *change)


def _change(old: MemoryBank, new: MemoryBank) -> tuple[_Delta, np.ndarray] | None:
    """What changed from one bank to another; None where too much did, or what the two hold cannot be compared."""
    comparable = (
        "lists" not in old.version.metadata
        and old.content.shape[1] == new.content.shape[1]
        and old.temporal.shape[1] == new.temporal.shape[1]
        and (old.label_times is None) == (new.label_times is None)
    )
    longest = [[_longest(vectors) for vectors in (one.content, one.temporal)] for one in (old, new)]
    if not comparable or not np.allclose(*longest, rtol=SAME_LENGTH, atol=0):
        return None
    position = {item: row for row, item in enumerate(new.items.tolist())}
    places = np.fromiter((position.get(item, -1) for item in old.items.tolist()), np.int64, len(old))
    common = np.flatnonzero(places >= 0)
    same = np.ones(len(common), bool)
    for name in ("content", "temporal", "content_mask", "temporal_mask", "groups", "labels", "label_times"):
        before, now = getattr(old, name), getattr(new, name)
        if before is not None:
            equal = before[common] == now[places[common]]
            same &= equal if equal.ndim == 1 else equal.all(axis=1)
    places[common[~same]] = -1
    stayed = places[places >= 0]
    went, came = np.flatnonzero(places < 0), np.setdiff1d(np.arange(len(new)), stayed)
    # ties go to the member that comes first in the bank
    if (np.diff(stayed) < 0).any() or len(went) + len(came) > MOST_CHANGED * len(new):
        return None

    def of(name: str) -> np.ndarray:
        return np.concatenate([getattr(old, name)[went], getattr(new, name)[came]])

    own = [position.get(item, -1) for item in old.items[went].tolist()]
    delta = _Delta(
        content=of("content"),
        temporal=of("temporal"),
        content_mask=of("content_mask"),
        temporal_mask=of("temporal_mask"),
        groups=of("groups"),
        times=None if new.label_times is None else of("label_times"),
        own=np.concatenate([np.array(own, np.int64), came]),
        longest=tuple(np.maximum(*longest)),
    )
    return delta, places


def _touched(delta: _Delta, queries: Queries, kept: Neighbours) -> np.ndarray:
    """(n,): the queries whose answer a member that came or went may have changed."""
    touched = np.zeros(len(queries.own), bool)
    if len(delta.own):
        for start in range(0, len(touched), BLOCK):
            rows = slice(start, start + BLOCK)
            touched[rows] = _touched_block(delta, queries.take(rows), kept.take(rows))
    return touched


def _touched_block(delta: _Delta, queries: Queries, kept: Neighbours) -> np.ndarray:
    seen = (queries.own[:, None] != delta.own) | (queries.own[:, None] < 0)
    seen &= (queries.groups[:, None] != delta.groups) | (queries.groups[:, None] < 0)
    if queries.times is not None:
        seen &= delta.times <= queries.times[:, None]
    touched, square, slack = np.zeros(len(seen), bool), np.zeros(seen.shape), np.zeros(len(seen))
    for vectors, has, members, mask, low, high, longest in (
        (
            *(queries.content, queries.content_mask, delta.content, delta.content_mask),
            *(kept.modal_min, kept.modal_max, delta.longest[0]),
        ),
        (
            *(queries.temporal, queries.temporal_mask, delta.temporal, delta.temporal_mask),
            *(kept.temp_min, kept.temp_max, delta.longest[1]),
        ),
    ):
        met = seen & mask & has[:, None]
        products = vectors @ members.T
        low, high = low.astype(np.float64), high.astype(np.float64)
        noise = 2 * RESOLUTION * np.linalg.norm(vectors, axis=1) * longest
        span = high - low
        # extremes that are unknown (NaN), or alike to float32's resolution, are compared with nothing
        clear = span > 2 * noise
        inside = (products > (low + noise)[:, None]) & (products < (high - noise)[:, None])
        touched |= (met & ~(inside & clear[:, None])).any(axis=1)
        safe = np.where(clear, span, 1.0)
        square += np.where(met & clear[:, None], ((products - low[:, None]) / safe[:, None]) ** 2, 0)
        slack += np.where(clear, 4 * noise / safe, 0)
    last = np.where(kept.mask.all(axis=1), kept.score[:, -1].astype(np.float64) ** 2, -np.inf)
    reaches = seen & (square >= (last - slack - RESOLUTION)[:, None])
    able = queries.content_mask | queries.temporal_mask  # one without either finds nobody, whoever comes
    return touched | (reaches.any(axis=1) & able)


def _longest(vectors: np.ndarray) -> float:
    return float(np.sqrt(np.einsum("nd,nd->n", vectors, vectors).max(initial=0)))


def _remember(answers: Artifact, bank: MemoryBank, digests: Sequence[bytes], found: Neighbours, size: int) -> None:
    metadata = {"bank_version": bank.version.version, "size": size, "queries": len(digests)}
    inputs_hash = content_hash(bank.version.version, b"".join(digests))
    with answers.new(inputs_hash=inputs_hash, fingerprint=content_hash(size), metadata=metadata) as folder:
        np.savez(folder / ANSWERS, digests=np.array(digests, dtype="V16"), **vars(found))
    answers.prune(keep=1)
