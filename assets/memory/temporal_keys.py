"""Temporal keys by age: a query's window is compared with the members' windows at about the same age.

A member's key has one block per age at which `temporal_embeddings` cut its window, and a last block for its own window. A
query's key is zero in all blocks but that of its age, so the inner product compares only this block.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from assets.engine.packed_rows import packed_rows
from assets.feedback import temporal_embeddings
from assets.memory.feature_join import blocks
from assets.protocol.popularity import read_popularity
from storage.arrays import to_numpy
from storage.store import Store


@dataclass(frozen=True)
class Windows:
    """n windows of some items.

    Attributes:
        row: (n,) row of the window's item.
        younger: (n,) bool, whether it was cut at a younger age.
        hours: (n,) age of the window.
        complete: (n,) bool, whether it is an item's own window and had closed.
        key: (n, d) temporal key.
        heard: (n,) bool, whether the window holds feedback.
    """

    row: np.ndarray
    younger: np.ndarray
    hours: np.ndarray
    complete: np.ndarray
    key: np.ndarray
    heard: np.ndarray

    def take(self, mask: np.ndarray) -> Windows:
        """Return the windows where `mask` (n,) is True."""
        return Windows(*(part[mask] for part in vars(self).values()))


def read_windows(store: Store, items: Sequence[str], *, form: str) -> Windows:
    """Read every window of `items`: first the items' own windows in order, then the younger ones.

    A key is the mean of the window's temporal rows.

    Args:
        store: The store.
        items: Ids of the items.
        form: `retrieval.temporal_key`. "cosine": keys have unit length. "dot": keys are unscaled, as in M3TR section 3.3; then
            mostly members with the longest vectors are retrieved.
    """
    stage = store.stages()[temporal_embeddings.NAME]
    table = stage.read(items=items, columns=["total", "age_hours", "younger_hours", "younger_keys"])
    place = {item: row for row, item in enumerate(items)}
    rows = np.array([place[item] for item in table["item"].to_pylist()], dtype=np.int64)
    heard, hours = np.zeros(len(items), dtype=bool), np.zeros(len(items))
    heard[rows], hours[rows] = table["total"].to_numpy() > 0, table["age_hours"].to_numpy()
    known = pl.DataFrame({"item": list(items)}, schema={"item": pl.String}).join(
        read_popularity(store).select("item", "window_complete"), on="item", how="left", maintain_order="left"
    )
    younger_hours = [np.array(ages, dtype=np.float64) for ages in table["younger_hours"].to_pylist()]
    younger_row = np.repeat(rows, [len(ages) for ages in younger_hours])
    own_key = _own_keys(store, items)
    younger_key = np.concatenate([np.zeros((0, own_key.shape[1]), np.float32), *to_numpy(table, "younger_keys")])
    count = len(younger_row)
    key = scaled_keys(np.concatenate([own_key, younger_key]), form=form)
    return Windows(
        row=np.concatenate([np.arange(len(items)), younger_row]),
        younger=np.repeat([False, True], [len(items), count]),
        hours=np.concatenate([hours, *younger_hours]),
        complete=np.concatenate([known["window_complete"].fill_null(False).to_numpy(), np.zeros(count, dtype=bool)]),
        key=key,
        heard=np.concatenate([heard, younger_key.any(axis=1)]),
    )


def _own_keys(store: Store, items: Sequence[str]) -> np.ndarray:
    rows = packed_rows(store, store.stages()[temporal_embeddings.NAME], items)
    keys = np.zeros((len(items), rows.width), np.float32)
    for block in blocks(len(items)):
        keys[block] = mean_keys(rows.read(block)[0], rows.lengths[block])
    return keys


def mean_keys(values: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Return the mean of each window's temporal rows, (n, d) float64; zeros for a window without rows.

    Args:
        values: (n, L, d) rows, zero beyond a window's own.
        lengths: (n,) numbers of rows.
    """
    return values.sum(axis=1, dtype=np.float64) / np.maximum(lengths, 1)[:, None]


def scaled_keys(keys: np.ndarray, *, form: str) -> np.ndarray:
    """Return keys (n, d) float32 in the form `retrieval.temporal_key`; see `read_windows`."""
    if form == "cosine":
        return keys / np.maximum(np.linalg.norm(keys, axis=1, keepdims=True), 1e-12)
    return keys


@dataclass(frozen=True)
class Ages:
    """The ages of the blocks of a bank's temporal keys, in hours.

    Attributes:
        younger: Ages of the younger windows.
        whole: Median age of the members' own windows.
    """

    younger: list[float]
    whole: float

    @classmethod
    def of_members(cls, members: Windows, ages: Sequence[float]) -> Ages:
        """Return the ages of a bank's blocks.

        Args:
            members: All windows of the members.
            ages: Candidates (`protocol.ages`). Ages at which no member's window was cut are left out, and so is age 0, at
                which nothing is compared.
        """
        cut = set(members.hours[members.younger].tolist())
        own = members.hours[~members.younger]
        return cls([age for age in ages if age > 0 and age in cut], float(np.median(own)) if len(own) else 0.0)

    def member_keys(self, members: Windows) -> np.ndarray:
        """Return the members' keys, (m, blocks * d). A block older than a member's own window holds its own key."""
        own = ~members.younger
        keys = np.repeat(members.key[own][:, None], len(self.younger) + 1, axis=1)
        for block, age in enumerate(self.younger):
            cut = members.younger & (members.hours == age)
            keys[members.row[cut], block] = members.key[cut]
        return keys.reshape(len(keys), -1)

    def query_keys(self, queries: Windows) -> np.ndarray:
        """Return the queries' keys, (n, blocks * d), each in the block of the nearest age by ratio, with zeros elsewhere.

        A complete window goes into the last block.
        """
        logs = np.log(np.maximum([*self.younger, self.whole], 1e-3))
        block = np.abs(np.log(np.maximum(queries.hours, 1e-3))[:, None] - logs).argmin(axis=1)
        block[queries.complete] = len(self.younger)
        keys = np.zeros((len(block), len(logs), queries.key.shape[1]), np.float32)
        keys[np.arange(len(block)), block] = queries.key
        return keys.reshape(len(keys), -1)
