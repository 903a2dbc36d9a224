"""Forecasts of earlier runs, reused for windows of which a model would read the same values again.

A night with some new videos changes the memory bank, but few of the windows that are scored: most keep their features, their
table row, and their neighbours with scores and labels. Their forecasts by a model that stayed in service are the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import polars as pl

from assets.prediction.input_digests import FITS, input_digests
from assets.prediction.trained_models import TrainedModel, model_in_service
from models.predictors import Bank, Samples, Table
from storage.damage import DamageError
from storage.hashing import content_hash
from storage.store import Store

FILE = "forecasts.parquet"
FORMAT = 1  # raise it when a digest covers something else


class KeptForecasts:
    """The forecasts that one table was made of, and those that it is made of now."""

    def __init__(self, store: Store, name: str) -> None:
        """Read the earlier forecasts.

        Args:
            store: The store.
            name: Name of the table. Its forecasts are kept in the artifact `kept_NAME`, which may be lost at any time.
        """
        self._store, self._artifact = store, store.artifact(f"kept_{name}")
        self._before: dict[tuple[str, str], list[float]] | None = None
        self._used: dict[tuple[str, str], list[float]] = {}
        self._items: dict[str, str] = {}

    def digests(self, samples: Samples, bank: Bank) -> list[str]:
        """Return a hash per window of all that a predictor reads of it and of its neighbours.

        The posts before a window's own (`Samples.posts`) are not covered.
        """
        if not self._items:
            self._items = input_digests(self._store, "train", "val", "test", "predict")
        return window_digests(samples, bank, self._items)

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
        key, before = self._key(model, bank), self._read()
        found = [before.get((key, digest)) for digest in digests]
        new = np.array([row for row, values in enumerate(found) if values is None], dtype=np.int64)
        if len(new) == len(found):
            values = compute(None)
        else:
            made = compute(new) if len(new) else np.empty((0, 0))
            for row, own in zip(new.tolist(), made.tolist(), strict=True):
                found[row] = own
            values = np.array(found, dtype=np.float64)
        self._used |= {(key, digest): own for digest, own in zip(digests, values.tolist(), strict=True)}
        return values

    def keep(self) -> None:
        """Keep what was used since this object was made, in place of what was kept before."""
        if not self._used or self._used.keys() == self._read().keys():
            return
        models, windows = zip(*self._used, strict=True)
        values = pl.Series("values", list(self._used.values()), dtype=pl.List(pl.Float64))
        frame = pl.DataFrame({"model": models, "window": windows, "values": values})
        made_of = content_hash(sorted(map(list, self._used)))
        with self._artifact.new(inputs_hash=made_of, fingerprint=content_hash(FORMAT), metadata={}) as folder:
            frame.write_parquet(folder / FILE)
        self._artifact.prune(keep=1)

    def _read(self) -> dict[tuple[str, str], list[float]]:
        if self._before is None:
            self._before = {}
            kept = self._artifact.current()
            if kept is not None and kept.fingerprint == content_hash(FORMAT):
                try:
                    with kept.reading() as folder:
                        frame = pl.read_parquet(folder / FILE)
                    self._before = {(model, window): values for model, window, values in frame.iter_rows()}
                except (FileNotFoundError, DamageError):
                    pass  # they are made again
        return self._before

    def _key(self, model: TrainedModel, bank: Bank) -> str:
        """Return a hash of what a model's forecasts depend on beside the windows."""
        version = model_in_service(self._store, model)
        process = self._store.artifact(FITS[0]).current()
        parts = [[part.inputs_hash, part.fingerprint] for part in (version, process) if part is not None]
        names = [] if bank.table is None else [list(bank.table.numeric_names), list(bank.table.categorical_names)]
        return content_hash(model.artifact, parts, names)


def window_digests(samples: Samples, bank: Bank, items: Mapping[str, str]) -> list[str]:
    """Return a hash per window of its item, its age, its counts, its row of the table, and its neighbours.

    Args:
        samples: n windows.
        bank: The bank that their neighbours are members of.
        items: Item -> hash of its features, feedback, labels and metadata.

    Returns:
        n hashes.
    """
    own = _rows(samples.table, len(samples))
    members = np.array(
        [
            hashlib.sha256(items.get(item, "").encode() + row).digest()
            for item, row in zip(bank.items.tolist(), _rows(bank.table, len(bank.items)), strict=True)
        ],
        dtype="V32",
    )
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


def _rows(table: Table | None, count: int) -> list[bytes]:
    """Return the bytes of each row of a table."""
    if table is None:
        return [b""] * count
    words = ["\0".join(row).encode() for row in table.categorical.tolist()]
    return [number.tobytes() + word for number, word in zip(np.ascontiguousarray(table.numeric), words, strict=True)]
