"""Rows of numbers that an earlier run computed, reused while what they were computed from is the same.

A night with some new videos changes few of the rows that a table is computed from. A row is recognised by a digest of its
inputs and by a key of everything that all rows share, such as the version of a model.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import polars as pl

from storage.damage import DamageError
from storage.hashing import content_hash
from storage.store import Store

FILE = "forecasts.parquet"
FORMAT = 1  # raise it when a digest covers something else


class KeptRows:
    """The rows that one table was made of, and those that it is made of now."""

    def __init__(self, store: Store, name: str) -> None:
        """Name the rows; earlier ones are read when the first rows are asked for.

        Args:
            store: The store.
            name: Name of the table. Its rows are kept in the artifact `kept_NAME`, which may be lost at any time.
        """
        self._artifact = store.artifact(f"kept_{name}")
        self._before: dict[str, dict[str, np.ndarray]] | None = None
        self._used: dict[str, dict[str, np.ndarray]] = {}

    def rows(self, key: str, digests: Sequence[str], compute: Callable[[np.ndarray | None], np.ndarray]) -> np.ndarray:
        """Return some rows, and compute those that are not kept.

        Args:
            key: Hash of what a row depends on beside its own inputs.
            digests: n hashes of the rows' own inputs.
            compute: (rows) -> (m, w) numbers of the rows at `rows` (m,), or of all rows for None.

        Returns:
            (n, w) float64.
        """
        before = self._read().get(key, {})
        found = [before.get(digest) for digest in digests]
        new = np.array([row for row, values in enumerate(found) if values is None], dtype=np.int64)
        if len(new) == len(found):
            values = np.asarray(compute(None), dtype=np.float64)
        else:
            for row, own in zip(new.tolist(), compute(new) if len(new) else (), strict=True):
                found[row] = own
            values = np.array(found, dtype=np.float64)
        self._used.setdefault(key, {}).update(zip(digests, values, strict=True))
        return values

    def keep(self) -> None:
        """Keep what was used since this object was made, in place of what was kept before."""
        digests = {key: sorted(rows) for key, rows in self._used.items() if rows}
        if not digests or digests == {key: sorted(rows) for key, rows in self._read().items()}:
            return
        frame = pl.concat(
            pl.DataFrame(
                {
                    "model": [key] * len(rows),
                    "window": list(rows),
                    "values": pl.Series(np.stack(list(rows.values()))).cast(pl.List(pl.Float64)),
                }
            )
            for key, rows in self._used.items()
            if rows
        )
        made_of = content_hash(digests)
        with self._artifact.new(inputs_hash=made_of, fingerprint=content_hash(FORMAT), metadata={}) as folder:
            frame.write_parquet(folder / FILE)
        self._artifact.prune(keep=1)

    def _read(self) -> dict[str, dict[str, np.ndarray]]:
        if self._before is None:
            self._before = {}
            kept = self._artifact.current()
            if kept is not None and kept.fingerprint == content_hash(FORMAT):
                try:
                    with kept.reading() as folder:
                        frame = pl.read_parquet(folder / FILE)
                except (FileNotFoundError, DamageError):
                    return self._before  # they are made again
                for (key,), part in frame.group_by("model", maintain_order=True):
                    values = part["values"].explode(empty_as_null=False).to_numpy().reshape(len(part), -1)
                    self._before[key] = dict(zip(part["window"].to_list(), values, strict=True))
        return self._before
