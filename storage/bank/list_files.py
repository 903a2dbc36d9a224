"""The sorted lists of a bank as files: written with the effort that they need, and opened for a search."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import faiss
import numpy as np

from storage.bank.files import VECTORS, lists_file
from storage.bank.lists import EXACT, Effort, SortedLists, calibrate, described, make_index
from storage.bank.member_order import Bank
from storage.bank.recall_latency import recall, sampled
from storage.bank.search import search
from storage.bank.threshold import ThresholdSearch

CALIBRATED_ON = 256  # queries


def write_lists(
    folder: Path,
    bank: Bank,
    flat: Sequence[faiss.IndexFlatIP],
    factories: tuple[str, str],
    *,
    size: int,
    aim: float,
    shard: int | None = None,
    offset: int = 0,
) -> dict[str, Any]:
    """Write the approximate indexes of a bank or shard.

    Args:
        folder: Where to write them.
        bank: The members of the bank or shard.
        flat: The vectors of all members of the bank, content and temporal.
        factories: FAISS factory strings of the content and the temporal lists, or `EXACT` for none.
        size: Number of neighbours that the effort is calibrated for.
        aim: Recall against exact search that it should reach.
        shard: Number of the shard; None if the bank is not divided.
        offset: Position of the shard's first member in `flat`.

    Returns:
        The description that `open_lists` takes, as values that JSON can store.
    """
    sides = []
    for name, factory, vectors in zip(VECTORS, factories, flat, strict=True):
        mask = getattr(bank, f"{name}_mask")
        if factory == EXACT:
            sides.append(SortedLists.whole(vectors, mask, offset=offset))
        else:
            own = getattr(bank, name)
            index = make_index(own if mask.all() else own[mask], factory)
            faiss.write_index(index, str(folder / lists_file(name, shard)))
            sides.append(SortedLists(index, np.flatnonzero(mask), vectors, factory, offset))
    queries = sampled(bank, CALIBRATED_ON, seed=1)
    exact = search(bank, queries, size=size)

    def reached(effort: Effort) -> float:
        return recall(ThresholdSearch(bank, *sides, effort=effort).search(queries, size=size)[0], exact)

    # The calibration aims higher, so that other queries than these reach `aim` too.
    effort, share = calibrate(reached, aim=aim + (1 - aim) / 4)
    return described(factories, effort, share, ThresholdSearch(bank, *sides, effort=effort).lengths)


def open_lists(
    folder: Path,
    bank: Bank,
    flat: Sequence[faiss.IndexFlatIP],
    description: Mapping[str, Any],
    *,
    shard: int | None = None,
    offset: int = 0,
) -> ThresholdSearch:
    """Return the search over lists that `write_lists` wrote.

    Args:
        folder: Their folder.
        bank: The members of the bank or shard.
        flat: The vectors of all members of the bank, content and temporal.
        description: Their description.
        shard: Number of the shard; None if the bank is not divided.
        offset: Position of the shard's first member in `flat`.
    """
    sides = []
    for name, vectors in zip(VECTORS, flat, strict=True):
        mask, factory = getattr(bank, f"{name}_mask"), description[name]
        if factory == EXACT:
            sides.append(SortedLists.whole(vectors, mask, offset=offset))
        else:
            index = faiss.read_index(str(folder / lists_file(name, shard)))
            sides.append(SortedLists(index, np.flatnonzero(mask), vectors, factory, offset))
    effort = Effort(**description["effort"])
    return ThresholdSearch(bank, *sides, effort=effort, lengths=description.get("lengths"))
