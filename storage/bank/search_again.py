"""A search that reuses the answers of an earlier version of the bank if they cannot have changed.

A daily run adds some hundred members to a bank of many thousands. An added or removed member changes the answer of an
earlier query only if it scores as high as the query's last neighbour or reaches an extreme of the min-max norm. Otherwise
the norm, scores and ranking of all other members stay the same. So each earlier query is compared with the changed members
only, and gets a full search only if one of them is that close within float32's resolution. The result always equals that
of a full search.
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
from storage.bank.shards import Run
from storage.damage import DamageError
from storage.hashing import content_hash

ANSWERS = "answers.npz"
MOST_CHANGED = 0.2  # largest share of changed members; above, nearly every query is affected
SAME_LENGTH = 1e-3  # largest relative change of the longest vector, on which float32's resolution depends
BLOCK = 1024  # queries compared at a time


def search_again(
    answers: Artifact, banks: Artifact, bank: MemoryBank, queries: Queries, *, size: int, run: Run = map
) -> Neighbours:
    """Return `bank.answer(queries, size=size)`, and reuse the answers of an earlier bank that are still valid.

    Args:
        answers: The artifact that keeps the answers for the next search, in one version.
        banks: The bank's artifact, for the earlier version. If that was removed, every query gets a full search.
        bank: The bank to search.
        queries: The queries. An earlier query is recognised by its vectors, group, time and item.
        size: Number of neighbours per query.
        run: See `MemoryBank.answer`.
    """
    digests = _digests(bank, queries)
    found, todo = Neighbours.none(len(digests), size), np.ones(len(digests), bool)
    if (before := _recall(answers, banks, bank, size)) is not None:
        rows = np.fromiter((before.rows.get(digest, -1) for digest in digests), np.int64, len(digests))
        repeated = np.flatnonzero(rows >= 0)
        if len(repeated):
            kept = before.answers.take(rows[repeated])
            holds = ~_touched(before.delta, queries.take(repeated), kept)
            found.put(repeated[holds], before.moved(kept.take(holds)))
            todo[repeated[holds]] = False
    rest = np.flatnonzero(todo)
    if len(rest):
        found.put(rest, bank.answer(queries.take(rest), size=size, run=run))
    _remember(answers, bank, digests, found, size)
    return found


@dataclass(frozen=True)
class _Delta:
    """The m members that were added, removed or changed between two versions.

    Attributes:
        content: (m, dc) content vectors.
        temporal: (m, dt) temporal vectors.
        content_mask: (m,) bool, whether a member has a content vector.
        temporal_mask: (m,) bool, whether a member has a temporal vector.
        groups: (m,) duplicate groups.
        times: (m,) label times, or None.
        own: (m,) position in the new bank, -1 for a removed member.
        longest: Length of the longest content and of the longest temporal vector, of both versions.
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
    """The answers of an earlier search.

    Attributes:
        rows: Digest of a query -> its row in `answers`.
        answers: The answers.
        delta: The members that have changed since.
        places: (N,) position of each member of the earlier bank in the new one, -1 for a removed or changed member.
    """

    rows: dict[bytes, int]
    answers: Neighbours
    delta: _Delta
    places: np.ndarray

    def moved(self, kept: Neighbours) -> Neighbours:
        """Return the answers with the members' positions in the new bank."""
        return replace(kept, index=np.where(kept.mask, self.places[kept.index], -1))


def _digests(bank: MemoryBank, queries: Queries) -> list[bytes]:
    """Return a digest of each query, by which it is recognised in the next search."""
    own = np.where(queries.own >= 0, bank.items[queries.own], "")
    times = np.zeros(len(own), np.int64) if queries.times is None else queries.times
    facts = np.column_stack([queries.content_mask, queries.temporal_mask, queries.groups, times])
    parts = zip(queries.content, queries.temporal, facts.astype(np.int64), own.tolist(), strict=True)
    return [
        hashlib.sha256(b"".join((content, temporal, fact, item.encode()))).digest()[:16]
        for content, temporal, fact, item in parts
    ]


def _recall(answers: Artifact, banks: Artifact, bank: MemoryBank, size: int) -> _Before | None:
    """Return the stored answers; None if they cannot be reused."""
    kept = answers.current()
    if kept is None or kept.metadata["size"] != size or bank.has_lists:
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
    """Return the changed members and the new positions; None if too much changed or the banks are not comparable."""
    comparable = (
        not old.has_lists
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
            before, now = before[common], now[places[common]]
            equal = (before == now) | ((before != before) & (now != now))  # an unknown label is NaN
            same &= equal if equal.ndim == 1 else equal.all(axis=1)
    places[common[~same]] = -1
    stayed = places[places >= 0]
    went, came = np.flatnonzero(places < 0), np.setdiff1d(np.arange(len(new)), stayed)
    # A changed order of the members could change the ranking of ties.
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
    """Return (n,) bool: whether a changed member may have changed the query's answer."""
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
        # Extremes that are unknown (NaN) or equal within float32's resolution cannot be compared with anything.
        clear = span > 2 * noise
        inside = (products > (low + noise)[:, None]) & (products < (high - noise)[:, None])
        touched |= (met & ~(inside & clear[:, None])).any(axis=1)
        safe = np.where(clear, span, 1.0)
        square += np.where(met & clear[:, None], ((products - low[:, None]) / safe[:, None]) ** 2, 0)
        slack += np.where(clear, 4 * noise / safe, 0)
    last = np.where(kept.mask.all(axis=1), kept.score[:, -1].astype(np.float64) ** 2, -np.inf)
    reaches = seen & (square >= (last - slack - RESOLUTION)[:, None])
    able = queries.content_mask | queries.temporal_mask  # a query without vectors never finds a member
    return touched | (reaches.any(axis=1) & able)


def _longest(vectors: np.ndarray) -> float:
    return float(np.sqrt(np.einsum("nd,nd->n", vectors, vectors).max(initial=0)))


def _remember(answers: Artifact, bank: MemoryBank, digests: Sequence[bytes], found: Neighbours, size: int) -> None:
    metadata = {"bank_version": bank.version.version, "size": size, "queries": len(digests)}
    inputs_hash = content_hash(bank.version.version, b"".join(digests))
    with answers.new(inputs_hash=inputs_hash, fingerprint=content_hash(size), metadata=metadata) as folder:
        np.savez(folder / ANSWERS, digests=np.array(digests, dtype="V16"), **vars(found))
    answers.prune(keep=1)
