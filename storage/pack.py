"""A stage's arrays in one memory-mapped file, made from its parquet, for reading at random as training does.

    artifacts/pack_{stage}/000003/   values.npy (t, d)   offsets.npy (n + 1,)   items.npy, hashes.npy (n,)

Row i's vectors are values[offsets[i]:offsets[i + 1]]: of a column of shape (K, d) those that the column `rows` counts, of
a ragged one all, of a flat one the only one. A pack is made from the rows as their output hashes name them, and asked for
by those (`open_pack`): when a row changed, came or went, another pack is made, from the parquet for that row and from the
pack before for the others. So none is ever stale, and a reader keeps the one that it has open.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
import polars as pl

from storage.arrays import shape_of, to_numpy
from storage.artifact import Artifact
from storage.artifact_version import ArtifactVersion
from storage.damage import DamageError
from storage.durable import exclusive
from storage.hashing import content_hash
from storage.stage import Stage
from storage.store import Store

COLUMN, COUNT = "embedding", "rows"
BLOCK = 512  # videos read from the parquet at a time
FORMAT = "1"


class Pack:
    """An open pack: values (t, d), memory-mapped; longest: most rows a video may have. Its files stay while it is open."""

    def __init__(self, version: ArtifactVersion):
        self._hold = version.hold()
        self.version = version
        self.longest: int = version.metadata["longest"]
        mapped = "r" if version.metadata["rows"] else None  # nothing cannot be mapped
        with version.reading() as folder:
            self.values: np.ndarray = np.load(folder / "values.npy", mmap_mode=mapped)
            self.offsets: np.ndarray = np.load(folder / "offsets.npy")
            self.hashes: list[str] = np.load(folder / "hashes.npy").tolist()
            self._place = {item: row for row, item in enumerate(np.load(folder / "items.npy").tolist())}

    def find(self, items: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """starts (n,) and lengths (n,) of the items' rows in `values`; length 0 for an item that has none."""
        rows = np.fromiter((self._place.get(item, -1) for item in items), np.int64, len(items))
        starts = np.where(rows >= 0, self.offsets[rows], 0)
        return starts, np.where(rows >= 0, self.offsets[rows + 1] - starts, 0)

    def get(self, item: str, output_hash: str) -> np.ndarray | None:
        """The item's vectors (rows, d), if they are those of this hash."""
        row = self._place.get(item)
        if row is None or self.hashes[row] != output_hash:
            return None
        return self.values[self.offsets[row] : self.offsets[row + 1]]


def open_pack(store: Store, stage: Stage) -> Pack:
    """The pack of a stage's ok rows as they are now, made first where they are not those of the pack in service.

    Processes that need the same new pack wait for the one that makes it. Raises StoreError for a full disk.
    """
    artifact = store.artifact(f"pack_{stage.name}")
    artifact.folder.mkdir(parents=True, exist_ok=True)
    shape = shape_of(stage.payload.field(COLUMN))
    fingerprint = content_hash(FORMAT, str(stage.payload.field(COLUMN).type), list(shape))
    with exclusive(artifact.folder / "packing.lock", doing="packing this stage", wait=True):
        rows = stage.states().filter(pl.col("status") == "ok").select("item", "output_hash")
        inputs_hash = content_hash(rows["item"].to_list(), rows["output_hash"].to_list())
        if artifact.is_current(inputs_hash, fingerprint):
            with suppress(DamageError):  # it was set aside, and is made again from the parquet
                return Pack(artifact.current())
        _make(artifact, stage, rows, inputs_hash, fingerprint)
        artifact.prune(keep=1)
        return Pack(artifact.current())


def _make(artifact: Artifact, stage: Stage, rows: pl.DataFrame, inputs_hash: str, fingerprint: str) -> None:
    before = artifact.current()
    old = None
    if before is not None and before.fingerprint == fingerprint:
        with suppress(DamageError):
            old = Pack(before)
    shape, items = shape_of(stage.payload.field(COLUMN)), rows["item"].to_list()
    metadata: dict[str, int] = {"videos": len(items)}
    with artifact.new(inputs_hash=inputs_hash, fingerprint=fingerprint, metadata=metadata) as folder:
        lengths, copied = [], 0
        with _Growing(folder / "values.npy", shape[-1], _dtype(stage)) as values:
            for start in range(0, len(items), BLOCK):
                block = rows[start : start + BLOCK]
                known = {
                    item: vectors
                    for item, digest in block.iter_rows()
                    if old is not None and (vectors := old.get(item, digest)) is not None
                }
                copied += len(known)
                changed = [item for item in block["item"] if item not in known]
                known |= dict(zip(changed, _read(stage, changed), strict=True))
                for item in block["item"]:
                    values.append(known[item])
                    lengths.append(len(known[item]))
        np.save(folder / "offsets.npy", np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]).astype(np.int64))
        np.save(folder / "items.npy", np.array(items, dtype=str))
        np.save(folder / "hashes.npy", np.array(rows["output_hash"].to_list(), dtype=str))
        longest = max(lengths, default=1) if shape[0] is None else (shape[0] if len(shape) > 1 else 1)
        metadata |= {"longest": max(int(longest), 1), "rows": sum(lengths), "from_parquet": len(items) - copied}


def _read(stage: Stage, items: Sequence[str]) -> Iterator[np.ndarray]:
    """(rows, d) of each item, from the parquet."""
    if not items:
        return iter(())
    shape = shape_of(stage.payload.field(COLUMN))
    counted = COUNT in stage.payload.names
    table = stage.read(items=items, columns=[COLUMN, COUNT] if counted else [COLUMN])
    if table["item"].to_pylist() != list(items):
        raise RuntimeError(f"stage {stage.name} changed while it was packed; run again")
    arrays = to_numpy(table, COLUMN)
    if shape[0] is None:
        return iter(arrays)
    counts = table[COUNT].to_pylist() if counted else [shape[0] if len(shape) > 1 else 1] * len(items)
    return (array.reshape(-1, shape[-1])[:count] for array, count in zip(arrays, counts, strict=True))


def _dtype(stage: Stage) -> np.dtype:
    return np.dtype(np.float16 if "half" in str(stage.payload.field(COLUMN).type) else np.float32)


class _Growing:
    """A .npy file (t, width) that grows while it is written; NumPy's header has room for the number of rows."""

    def __init__(self, path: Path, width: int, dtype: np.dtype):
        self._path, self._width, self._dtype, self._rows = path, width, dtype, 0

    def __enter__(self) -> "_Growing":
        self._file = self._path.open("wb")
        self._header()
        self._data_from = self._file.tell()
        return self

    def append(self, rows: np.ndarray) -> None:
        self._file.write(np.ascontiguousarray(rows, self._dtype).data)
        self._rows += len(rows)

    def _header(self) -> None:
        described = {
            "descr": np.lib.format.dtype_to_descr(self._dtype),
            "fortran_order": False,
            "shape": (self._rows, self._width),
        }
        np.lib.format.write_array_header_1_0(self._file, described)

    def __exit__(self, kind, error, trace) -> None:
        with self._file:
            if error is None:
                self._file.seek(0, os.SEEK_SET)
                self._header()
                if self._file.tell() != self._data_from:
                    raise RuntimeError(f"{self._path}: the header grew over the data")
