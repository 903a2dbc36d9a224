"""A stage's arrays in one memory-mapped file, for the random access of training.

    artifacts/pack_{stage}/000003/   values.npy (t, d)   offsets.npy (n + 1,)   items.npy, hashes.npy (n,)

The vectors of item i are values[offsets[i]:offsets[i + 1]]. For a column of shape (K, d) these are the first vectors, as
many as the column `rows` says; for a ragged column all vectors; for a flat column its one vector.

A pack is identified by the output hashes of its rows. `open_pack` compares them with the stage's states, and makes a new
pack if a row was added, changed or removed: from the parquet for new and changed rows, from the old pack for the others.
So a pack is never stale, and a reader keeps the version that it opened.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import cached_property
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa

from storage.arrays import shape_of, to_numpy
from storage.artifact import Artifact
from storage.artifact_version import ArtifactVersion
from storage.damage import DamageError
from storage.durable import exclusive, make_folder
from storage.hashing import content_hash
from storage.stage import Stage
from storage.store import Store

COLUMN, COUNT = "embedding", "rows"
BLOCK = 4096  # videos read from the parquet at a time
FORMAT = "1"
ROWS = {"item": pl.String, "output_hash": pl.String}


class Pack:
    """An open pack. While it is open, its files are not removed.

    Attributes:
        version: The version of the artifact.
        longest: The largest number of vectors that a video of this stage can have.
        values: (t, d) vectors of all items, memory-mapped, in the type they are stored in.
        offsets: (n + 1,) where each item's vectors start in `values`.

    Example:
        >>> import tempfile
        >>> import pyarrow as pa
        >>> from storage.arrays import fixed
        >>> from storage.rows import Row
        >>> folder = tempfile.TemporaryDirectory()
        >>> store = Store(folder.name)
        >>> stage = store.stage("vectors", pa.schema([fixed("embedding", [2])]))
        >>> stage.commit([Row.ok("7", "h", {"embedding": np.array([1, 2])})], fingerprint="f")
        >>> pack = open_pack(store, stage)
        >>> starts, lengths = pack.find(["7", "absent"])
        >>> lengths.tolist(), pack.values[starts[0]].tolist()
        ([1, 0], [1.0, 2.0])
        >>> folder.cleanup()
    """

    def __init__(self, version: ArtifactVersion):
        """Open a version of a pack; use `open_pack` to get an up-to-date one.

        Args:
            version: The version to open.

        Raises:
            DamageError: The version is damaged. It was set aside, and `open_pack` makes it again.
        """
        self._hold = version.hold()
        self.version = version
        self.longest: int = version.metadata["longest"]
        mapped = "r" if version.metadata["rows"] else None  # an empty array cannot be mapped
        with version.reading() as folder:
            self.values: np.ndarray = np.load(folder / "values.npy", mmap_mode=mapped)
            self.offsets: np.ndarray = np.load(folder / "offsets.npy")

    @cached_property
    def rows(self) -> pl.DataFrame:
        """`item`, and `output_hash` of its row in the stage, in the order of the pack."""
        return pl.DataFrame({"item": self._loaded("items.npy"), "output_hash": self._loaded("hashes.npy")}, schema=ROWS)

    @cached_property
    def _place(self) -> dict[str, int]:
        return {item: row for row, item in enumerate(self._loaded("items.npy").tolist())}

    def _loaded(self, name: str) -> np.ndarray:
        with self.version.reading() as folder:
            return np.load(folder / name)

    def find(self, items: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Return where the items' vectors are in `values`.

        Args:
            items: n ids.

        Returns:
            The first row (n,) and the number of rows (n,) of each item, 0 rows for an item that has no vectors.
        """
        rows = np.fromiter((self._place.get(item, -1) for item in items), np.int64, len(items))
        starts = np.where(rows >= 0, self.offsets[rows], 0)
        return starts, np.where(rows >= 0, self.offsets[rows + 1] - starts, 0)


def pack_artifact(store: Store, stage: str) -> Artifact:
    """Return the artifact that holds the packs of a stage."""
    return store.artifact(f"pack_{stage}")


def open_pack(store: Store, stage: Stage) -> Pack:
    """Open the pack of a stage's current ok rows. It is made first if it is missing or a row has changed.

    Processes that need the same new pack wait for the one that makes it. Making it takes as much disk as the unpacked
    arrays, twice that while an old pack exists, and memory for `BLOCK` videos.

    Args:
        store: The store.
        stage: A stage with a column `embedding`.

    Raises:
        StoreError: The disk is full.
    """
    artifact = pack_artifact(store, stage.name)
    make_folder(artifact.folder)
    shape = shape_of(stage.payload.field(COLUMN))
    fingerprint = content_hash(FORMAT, str(stage.payload.field(COLUMN).type), list(shape))
    with exclusive(artifact.folder / "packing.lock", doing="packing this stage", wait=True):
        rows = stage.states().filter(pl.col("status") == "ok").select("item", "output_hash")
        inputs_hash = content_hash(*(part for name in ROWS for part in _letters(rows[name])))
        if artifact.is_current(inputs_hash, fingerprint):
            with suppress(DamageError):  # the damaged pack was set aside, and is made again from the parquet below
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
    columns = [COLUMN, COUNT] if COUNT in stage.payload.names else [COLUMN]
    with artifact.new(inputs_hash=inputs_hash, fingerprint=fingerprint, metadata=metadata) as folder:
        kept, lengths = _kept(old, rows), np.empty(len(items), np.int64)
        places = stage.places(items)
        if len(places) < len(items):
            raise RuntimeError(f"stage {stage.name} changed while it was packed; run again")
        with _Growing(folder / "values.npy", shape[-1], _dtype(stage)) as values:
            for start in range(0, len(items), BLOCK):
                block = slice(start, start + BLOCK)
                changed = places[block].filter(pl.Series(kept[block] < 0))
                fresh = _vectors(stage.read_places(changed, columns), shape) if len(changed) else {}
                for first, last in _runs(kept[block]):
                    own = slice(start + first, start + last)
                    if kept[own.start] < 0:
                        values.append(fresh[items[own.start]])
                        lengths[own] = len(fresh[items[own.start]])
                    else:
                        ends = old.offsets[kept[own.start] : kept[own.stop - 1] + 2]
                        values.append(old.values[ends[0] : ends[-1]])
                        lengths[own] = np.diff(ends)
        np.save(folder / "offsets.npy", np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64))
        np.save(folder / "items.npy", np.array(items, dtype=str))
        np.save(folder / "hashes.npy", np.array(rows["output_hash"].to_list(), dtype=str))
        longest = lengths.max(initial=1) if shape[0] is None else (shape[0] if len(shape) > 1 else 1)
        metadata |= {"longest": max(int(longest), 1), "rows": int(lengths.sum()), "from_parquet": int((kept < 0).sum())}


def _letters(texts: pl.Series) -> tuple[str, np.ndarray]:
    """Return all texts as one, and their lengths: hashed at once, they tell as much as the texts one by one."""
    return "".join(texts.to_list()), texts.str.len_bytes().to_numpy()


def _kept(old: Pack | None, rows: pl.DataFrame) -> np.ndarray:
    """Return where an earlier pack holds each row, (n,) int64; -1 for new and changed rows.

    Args:
        old: The earlier pack, or None.
        rows: `item` and `output_hash` of the n rows.
    """
    if old is None:
        return np.full(len(rows), -1)
    both = rows.join(old.rows.with_row_index("place"), on=list(ROWS), how="left", maintain_order="left")
    return both["place"].cast(pl.Int64).fill_null(-1).to_numpy()


def _runs(places: np.ndarray) -> Iterator[tuple[int, int]]:
    """Yield the first row, and the row after the last, of each run of consecutive places; a place of -1 stands alone."""
    breaks = np.flatnonzero((np.diff(places) != 1) | (places[:-1] < 0)) + 1
    return pairwise([0, *breaks.tolist(), len(places)])


def _vectors(table: pa.Table, shape: tuple[int | None, ...]) -> dict[str, np.ndarray]:
    """Return item -> its vectors (rows, d).

    Args:
        table: Rows of a stage: `item`, `embedding` and, if the stage has it, `rows`.
        shape: Shape of one row's array.
    """
    items, arrays = table["item"].to_pylist(), to_numpy(table, COLUMN)
    if shape[0] is None:
        return dict(zip(items, arrays, strict=True))
    most = shape[0] if len(shape) > 1 else 1
    counts = table[COUNT].to_pylist() if COUNT in table.column_names else [most] * len(items)
    arrays = arrays.reshape(len(items), -1, shape[-1])
    return {item: array[:count] for item, array, count in zip(items, arrays, counts, strict=True)}


def _dtype(stage: Stage) -> np.dtype:
    return np.dtype(np.float16 if "half" in str(stage.payload.field(COLUMN).type) else np.float32)


class _Growing:
    """A .npy file (t, width) that is written in blocks. NumPy's header has padding for the final number of rows."""

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
                    raise RuntimeError(f"{self._path}: the header has become longer and would overwrite data")
