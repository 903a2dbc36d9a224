"""A bank whose members are divided into shards, each of which is searched on its own.

A score depends on the extremes of a query's similarities over all members. So a search has two rounds: every shard measures its
extremes, and then finds its best members with the extremes of all. The merged result is the one of a search over all members:
a member among the best of all is among the best of its shard. The price is that the products with the members are
computed twice.

A task names files, so it can be computed by any process that sees the folder of the version.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol, TypeVar

import faiss
import numpy as np

from storage.bank.bank_search import BankSearch
from storage.bank.exact_block import ExactSide, rescored
from storage.bank.extremes import Extremes
from storage.bank.files import MEMBERS, VECTORS
from storage.bank.list_files import open_lists
from storage.bank.lists import as_array
from storage.bank.member_order import Bank
from storage.bank.neighbours import Neighbours, Queries
from storage.bank.ranking import Candidates, near_ties
from storage.remote.connection import mirror_of

OPEN = 32  # shards that a process keeps open; their vectors are memory-mapped

T, R = TypeVar("T"), TypeVar("R")


class Run(Protocol):
    """How the tasks are run: `map`, the `map` of a pool of processes, or that of a cluster's engine."""

    def __call__(self, function: Callable[[T], R], tasks: Sequence[T], /) -> Iterable[R]:
        """Return the result of every task, in their order."""


@dataclass(frozen=True)
class Shard:
    """The members `start` to `stop` of a version.

    Attributes:
        folder: Folder of the version.
        number: Number of the shard, from 0.
        start: Position of its first member in the bank.
        stop: Position after its last member.
        lists: JSON description of its sorted lists; None if it is searched exactly.
    """

    folder: Path
    number: int
    start: int
    stop: int
    lists: str | None

    @staticmethod
    def of(folder: Path, metadata: dict[str, Any]) -> list[Shard]:
        """Return the shards that a version's metadata describe; none if the bank is not divided."""
        return [
            Shard(folder, number, part["start"], part["stop"], part["lists"] and json.dumps(part["lists"]))
            for number, part in enumerate(metadata.get("shards", ()))
        ]

    def open(self) -> BankSearch:
        """Return the search over the shard's members."""
        return _opened(self)

    def local(self, queries: Queries) -> Queries:
        """Return the queries with their own positions in the shard."""
        inside = (queries.own >= self.start) & (queries.own < self.stop)
        return replace(queries, own=np.where(inside, queries.own - self.start, -1))


@lru_cache(maxsize=OPEN)
def _opened(shard: Shard) -> BankSearch:
    part = slice(shard.start, shard.stop)
    mirror_of(shard.folder.parent).fetch(shard.folder.name)  # of a store in a bucket, another worker may have built it
    with np.load(shard.folder / MEMBERS) as members:
        masks = [members[f"{name}_mask"][part] for name in VECTORS]
        times = members.get("label_times")
        groups = members["groups"][part]
    vectors = [faiss.read_index(str(shard.folder / file), faiss.IO_FLAG_MMAP_IFC) for file in VECTORS.values()]
    bank = Bank(*(as_array(index)[part] for index in vectors), *masks, groups, None if times is None else times[part])
    lists = None
    if shard.lists is not None:
        description = json.loads(shard.lists)
        lists = open_lists(shard.folder, bank, vectors, description, shard=shard.number, offset=shard.start)
    return BankSearch(bank, lists, owners=tuple(vectors))


@dataclass(frozen=True)
class _Task:
    """The queries of one shard, with their own positions in it."""

    shard: Shard
    queries: Queries
    size: int
    extremes: Extremes | None = None


def _measure(task: _Task) -> Extremes:
    return task.shard.open().measure(task.queries)


def _answer(task: _Task) -> Neighbours:
    return task.shard.open().answer(task.queries, size=task.size, extremes=task.extremes)


def answer(bank: Bank, shards: Sequence[Shard], queries: Queries, *, size: int, run: Run = map) -> Neighbours:
    """Return the `size` best members for every query: those of `storage.bank.search.search` if the shards are exact.

    Args:
        bank: All members.
        shards: The shards that they are divided into.
        queries: The queries.
        size: Number of neighbours per query, at least 1.
        run: Runs the tasks, one per shard, twice.

    Raises:
        ValueError: `size` is less than 1.
    """
    if size < 1:
        raise ValueError(f"size is {size}, must be at least 1")
    tasks = [_Task(shard, shard.local(queries), size) for shard in shards]
    extremes = Extremes.merged(list(run(_measure, tasks)))
    parts = list(run(_answer, [replace(task, extremes=extremes) for task in tasks]))
    return _merged(bank, queries, extremes, [shard.start for shard in shards], parts, size)


def _merged(
    bank: Bank, queries: Queries, extremes: Extremes, starts: Sequence[int], parts: Sequence[Neighbours], size: int
) -> Neighbours:
    """Return the best of the shards' best members, equal scores in the order of the bank."""
    mask, score, modal, temporal = (
        np.concatenate([getattr(part, name) for part in parts], axis=1)
        for name in ("mask", "score", "ss_modal", "ss_temp")
    )
    index = np.concatenate([part.index + start for part, start in zip(parts, starts, strict=True)], axis=1)
    row, column = np.nonzero(mask)
    best = Candidates(row, column, index[row, column], score[row, column] ** 2).sorted()
    scale = extremes.scale
    error = np.multiply(extremes.noise, 2 * scale, out=np.zeros_like(scale), where=scale > 0).sum(axis=0)
    ties = near_ties(best, error, size=size)
    if len(ties):
        sides = [
            ExactSide(vectors, members, having, extremes.low[place], extremes.high[place], scale[place] > 0)
            for place, (vectors, members, having) in enumerate(
                (
                    (queries.content, bank.content, bank.content_mask),
                    (queries.temporal, bank.temporal, bank.temporal_mask),
                )
            )
        ]
        best = rescored(best, ties, sides)
    rank = best.rank
    kept = rank < size
    row, column, rank = best.row[kept], best.column[kept], rank[kept]
    found = Neighbours.none(len(queries.own), size)
    found.index[row, rank] = best.position[kept]
    found.mask[row, rank] = True
    found.score[row, rank] = np.sqrt(best.square[kept])
    found.ss_modal[row, rank], found.ss_temp[row, rank] = modal[row, column], temporal[row, column]
    present = extremes.present
    for place, (low, high) in enumerate(((found.modal_min, found.modal_max), (found.temp_min, found.temp_max))):
        low[:] = np.where(present[place], extremes.low[place], np.nan)
        high[:] = np.where(present[place], extremes.high[place], np.nan)
    found.mode[:] = extremes.mode
    return found
