"""Forecasts of earlier runs, reused for windows of which a model would read the same values again.

A night with some new videos changes the memory bank, but few of the windows that are scored: most keep their features, their
table row, and their neighbours with scores and labels. Their forecasts by a model that stayed in service are the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from assets.engine.kept_rows import KeptRows
from assets.prediction.input_digests import FITS, input_digests
from assets.prediction.trained_models import TrainedModel, model_in_service
from models.predictors import Bank, Samples, Table
from storage.hashing import content_hash
from storage.store import Store


class KeptForecasts:
    """The forecasts that one table was made of, and those that it is made of now."""

    def __init__(self, store: Store, name: str) -> None:
        """Name the table; see `KeptRows`.

        Args:
            store: The store.
            name: Name of the table.
        """
        self._store, self._rows = store, KeptRows(store, name)
        self._items: dict[str, str] = {}
        self._members: tuple[Bank, np.ndarray] | None = None

    def digests(self, samples: Samples, bank: Bank) -> list[str]:
        """Return a hash per window of all that a predictor reads of it and of its neighbours.

        The posts before a window's own (`Samples.posts`) are not covered.
        """
        if not self._items:
            self._items = input_digests(self._store, "train", "val", "test", "predict")
        if self._members is None or self._members[0] is not bank:
            self._members = bank, member_digests(bank, self._items)
        return window_digests(samples, self._members[1], self._items)

    def forecasts(
        self,
        model: TrainedModel,
        bank: Bank,
        digests: Sequence[str],
        compute: Callable[[np.ndarray | None], np.ndarray],
    ) -> np.ndarray:
        """Return a model's forecasts of some windows, and compute those that are not kept.

        Args:
            model: A model in service.
            bank: The bank, whose table names the columns.
            digests: n hashes, from `digests`.
            compute: (rows) -> (m, T) forecasts of the windows at `rows` (m,), or of all windows for None.

        Returns:
            (n, T) forecasts.
        """
        return self._rows.rows(self._key(model, bank), digests, compute)

    def keep(self) -> None:
        """Keep what was used since this object was made, in place of what was kept before."""
        self._rows.keep()

    def _key(self, model: TrainedModel, bank: Bank) -> str:
        """Return a hash of what a model's forecasts depend on beside the windows."""
        version = model_in_service(self._store, model)
        process = self._store.artifact(FITS[0]).current()
        parts = [[part.inputs_hash, part.fingerprint] for part in (version, process) if part is not None]
        names = [] if bank.table is None else [list(bank.table.numeric_names), list(bank.table.categorical_names)]
        return content_hash(model.artifact, parts, names)


def member_digests(bank: Bank, items: Mapping[str, str]) -> np.ndarray:
    """Return a hash per member of a bank of its features and of its row of the table.

    Args:
        bank: The bank.
        items: Item -> hash of its features, feedback, labels and metadata.

    Returns:
        (m,) values of 32 bytes.
    """
    rows = zip(bank.items.tolist(), row_bytes(bank.table, len(bank.items)), strict=True)
    return np.array([hashlib.sha256(items.get(item, "").encode() + row).digest() for item, row in rows], dtype="V32")


def window_digests(samples: Samples, members: np.ndarray, items: Mapping[str, str]) -> list[str]:
    """Return a hash per window of its item, its age, its counts, its row of the table, and its neighbours.

    Args:
        samples: n windows.
        members: From `member_digests`, of the bank that their neighbours are members of.
        items: Item -> hash of its features, feedback, labels and metadata.

    Returns:
        n hashes.
    """
    own = row_bytes(samples.table, len(samples))
    ages = np.full(len(samples), np.nan) if samples.age is None else samples.age
    counted = np.zeros((len(samples), 0)) if samples.counted is None else samples.counted
    near, digests = samples.neighbourhood, []
    for row, item in enumerate(samples.items.tolist()):
        used = near.mask[row]
        parts = (members[near.index[row, used]], near.score[row, used], near.label[row, used], ages[row], counted[row])
        digest = hashlib.sha256(items.get(item, item).encode() + own[row])
        for part in parts:
            digest.update(b"%d:" % part.nbytes + part.tobytes())
        digests.append(digest.hexdigest())
    return digests


def row_bytes(table: Table | None, count: int) -> list[bytes]:
    """Return the bytes of each of the `count` rows of a table; without a table they are empty."""
    if table is None:
        return [b""] * count
    words = ["\0".join(row).encode() for row in table.categorical.tolist()]
    return [number.tobytes() + word for number, word in zip(np.ascontiguousarray(table.numeric), words, strict=True)]
