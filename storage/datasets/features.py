"""Readers of features that were computed elsewhere: MicroLens's `extracted_modality_features`, `.npy`, parquet.

    features.npy + features.ids.txt   (n, d) or (n, K, d); one id per line, in the order of the rows (or features.ids.npy)
    features.npz                      the same, if one of its arrays has rows
    features.npy                      without ids, as in MicroLens: row i is the i-th item by ascending id
    features.parquet                  a column `item` and a column of vectors, or of lists of vectors
    folder/{item}.npy                 (d,) or (K, d), one file per item

A row is one vector (pooled over the video) or several (one per frame or word); either is returned as (rows, d).
"""

import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from storage.datasets.errors import DatasetError, Problems
from storage.datasets.ids import canonical_id
from storage.datasets.item_text_csv import read_lines

FLOATS = (np.float16, np.float32, np.float64)
BLOCK = 4096  # rows of an array that are checked at a time
ALLOWED = "a .npy file, a .npz file, a .parquet file and a folder of {item}.npy files are allowed"


@dataclass(frozen=True)
class ImportedFeatures:
    """An opened file or folder of features. Get one from `open_features`.

    Attributes:
        path: The file or folder.
        places: Item -> where its row is, for messages.
        width: d, the length of each vector.
    """

    path: Path
    places: Mapping[str, str]
    width: int
    _read: Callable[[str], np.ndarray]
    _whole: np.ndarray | None = None  # all rows, if they are in one array

    def read(self, item: str) -> np.ndarray:
        """Return an item's vectors (rows, d), with the values and the dtype of the file."""
        return np.atleast_2d(np.asarray(self._read(item)))

    def check(self, items: Iterable[str], *, most_rows: int | None, missing_allowed: bool, largest: float) -> list[str]:
        """Read and check the features of all items.

        Args:
            items: The items of the data set.
            most_rows: The largest number of vectors per item; None for no limit.
            missing_allowed: Whether items without features are allowed.
            largest: The largest absolute value, which is what the store's dtype can hold.

        Returns:
            The items without features.

        Raises:
            DatasetError: Vectors have another width, are none or too many, or hold NaN, infinity or too large a value; or
                items are missing although that is not allowed.
        """
        problems, missing = Problems(), []
        faultless = self._is_faultless(most_rows, largest)
        for item in items:
            if item not in self.places:
                missing.append(item)
                continue
            if faultless:
                continue
            rows = self.read(item)
            text = self._wrong(rows, most_rows, largest)
            if text:
                problems.add(self.path, f"{self.places[item]} (item {item}): {text}")
        if missing and not missing_allowed:
            named = ", ".join(missing[:5]) + (", ..." if len(missing) > 5 else "")
            problems.add(
                self.path,
                f"{len(missing)} items of the data set are not in it: {named}; add them, or set imports.missing = "
                '"missing" to continue without their features',
            )
        problems.raise_if_any()
        return missing

    def _is_faultless(self, most_rows: int | None, largest: float) -> bool:
        """Return whether a fast check, without reading row by row, already shows that all rows are right.

        It is about a hundred times as fast. False means that each row must be checked.
        """
        array = self._whole
        if array is None or (array.ndim == 3 and most_rows is not None and array.shape[1] > most_rows):
            return False
        blocks = (array[start : start + BLOCK] for start in range(0, len(array), BLOCK))
        with np.errstate(invalid="ignore"):
            return all((np.abs(block) <= largest).all() for block in blocks)

    def _wrong(self, rows: np.ndarray, most_rows: int | None, largest: float) -> str | None:
        if rows.ndim != 2 or rows.shape[1] != self.width or not len(rows):
            return f"shape is {rows.shape}, ({self.width},) and (rows, {self.width}) are allowed"
        if rows.dtype not in FLOATS:
            return f"its values are {rows.dtype}, float16, float32 and float64 are allowed"
        if most_rows is not None and len(rows) > most_rows:
            return f"it has {len(rows)} vectors, at most {most_rows} are allowed"
        with np.errstate(invalid="ignore"):
            bad = np.argwhere(~(np.abs(rows) <= largest))
        if len(bad):
            value = rows[tuple(bad[0])]
            return f"value {bad[0][1]} of vector {bad[0][0]} is {value}, finite values up to {largest:g} are allowed"
        return None


def open_features(path: str | Path, *, items: Sequence[str]) -> ImportedFeatures:
    """Open a file or folder of features.

    Args:
        path: A `.npy`, `.npz` or `.parquet` file, or a folder of `{item}.npy` files.
        items: The items of the data set, to which rows without ids are assigned by ascending id.

    Raises:
        DatasetError: The path does not exist or has another format, or the ids are not distinct or not one per row.

    Example:
        >>> import tempfile
        >>> folder = tempfile.TemporaryDirectory()
        >>> np.save(Path(folder.name, "features.npy"), np.array([[1.0, 2.0], [3.0, 4.0]], np.float32))
        >>> features = open_features(Path(folder.name, "features.npy"), items=["10", "9"])
        >>> features.width, features.read("9").tolist()
        (2, [[1.0, 2.0]])
        >>> folder.cleanup()
    """
    path = Path(path).expanduser()
    if path.is_dir():
        return _folder(path, items)
    if not path.is_file():
        raise DatasetError([f"{path}: there is no such file or folder; {ALLOWED}"])
    if path.suffix in (".npy", ".npz"):
        return _array(path, items)
    if path.suffix == ".parquet":
        return _parquet(path)
    raise DatasetError([f"{path}: its format is not known; {ALLOWED}"])


def source_files(path: str | Path) -> Iterator[Path]:
    """Yield every file that `open_features(path)` may read, also files that do not exist."""
    path = Path(path).expanduser()
    if path.is_dir():
        yield from path.glob("*.npy")
    else:
        yield from (path, path.with_suffix(".ids.txt"), path.with_suffix(".ids.npy"))


def _load(path: Path) -> np.ndarray:
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise DatasetError([f"{path}: not a .npy file of numbers ({error})"]) from None


def _load_member(path: Path) -> np.ndarray:
    """Return the only array of an archive that has rows; others, such as a single text, are passed over."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise DatasetError([f"{path}: not a .npz file of numbers ({error})"]) from None
    rows = [name for name, array in arrays.items() if array.ndim]
    if len(rows) != 1:
        raise DatasetError([f"{path}: its arrays are {', '.join(arrays)}; exactly one with rows is allowed"])
    return arrays[rows[0]]


def _array(path: Path, items: Sequence[str]) -> ImportedFeatures:
    array = _load_member(path) if path.suffix == ".npz" else _load(path)
    if array.ndim not in (2, 3) or 0 in array.shape:
        raise DatasetError([f"{path}: shape is {array.shape}, (items, d) and (items, K, d) are allowed"])
    if array.dtype not in FLOATS:
        raise DatasetError([f"{path}: its values are {array.dtype}, float16, float32 and float64 are allowed"])
    ids, source = _ids_of(path, items)
    if len(ids) != len(array):
        raise DatasetError([f"{path}: it has {len(array)} rows, {source} {len(ids)}; one row per id is needed"])
    rows = _distinct(path, ids, "row")
    return ImportedFeatures(
        path, {item: f"row {row}" for item, row in rows.items()}, array.shape[-1], lambda item: array[rows[item]], array
    )


def _ids_of(path: Path, items: Sequence[str]) -> tuple[list[str], str]:
    """Return the ids of an array's rows, and where they come from, for messages."""
    text, array = path.with_suffix(".ids.txt"), path.with_suffix(".ids.npy")
    if text.is_file():
        problems = Problems()
        lines = read_lines(text, problems)
        problems.raise_if_any()
        return [canonical_id(line) for line in (lines[:-1] if lines[-1] == "" else lines)], text.name
    if array.is_file():
        return _as_ids(array, _load(array).tolist()), array.name
    if not all(item.isdecimal() for item in items):
        raise DatasetError(
            [
                f"{path}: it needs {text.name} or {array.name} beside it, because the data set's items are not all "
                f"numbers; write one id per line to {text.name}, in the order of the rows"
            ]
        )
    return sorted(items, key=int), f"without {text.name} its rows are the data set's items by ascending id, which are"


def _as_ids(path: Path, values: Sequence[object]) -> list[str]:
    """Return ids in the data set's canonical form.

    Raises:
        DatasetError: They are floating-point numbers, in which different long ids can become equal.
    """
    if any(isinstance(value, float) for value in values):
        raise DatasetError([f"{path}: its ids are floating-point numbers; text or integers are allowed"])
    return [canonical_id(str(value)) for value in values]


def _distinct(path: Path, ids: Sequence[str], unit: str) -> dict[str, int]:
    places = {item: row for row, item in enumerate(ids)}
    if len(places) < len(ids):
        doubled, count = Counter(ids).most_common(1)[0]
        rows = [row for row, item in enumerate(ids) if item == doubled][:2]
        raise DatasetError(
            [f"{path}: item {doubled!r} is given {count} times ({unit}s {rows[0]} and {rows[1]}); once is allowed"]
        )
    return places


def _parquet(path: Path) -> ImportedFeatures:
    try:
        schema = pq.read_schema(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise DatasetError([f"{path}: not a parquet file ({error})"]) from None
    lists = [
        field.name
        for field in schema
        if pa.types.is_list(field.type) or pa.types.is_fixed_size_list(field.type) or pa.types.is_large_list(field.type)
    ]
    if "item" not in schema.names or len(lists) != 1:
        raise DatasetError(
            [
                f"{path}: its columns are {', '.join(schema.names)}; a column `item` and exactly one column of lists of "
                "numbers are needed"
            ]
        )
    table = pq.ParquetFile(path).read(["item", lists[0]])
    rows = _distinct(path, _as_ids(path, table["item"].to_pylist()), "row")
    column = table[lists[0]]
    empty = [row for row, value in enumerate(column) if not value.is_valid or not len(value)]
    if empty or not len(table):
        where = f"row {empty[0]} is empty" if empty else "it has no row"
        raise DatasetError([f"{path}: {where}; each row needs a vector or a list of vectors"])

    def read(item: str) -> np.ndarray:
        try:
            return np.array(column[rows[item]].as_py(), dtype=np.float64)
        except (ValueError, TypeError) as error:
            raise DatasetError(
                [
                    f"{path}: row {rows[item]} (item {item}): {error}; a list of numbers, or a list of equally long lists of "
                    "numbers, is allowed"
                ]
            ) from None

    first = np.atleast_2d(read(next(iter(rows))))
    return ImportedFeatures(path, {item: f"row {row}" for item, row in rows.items()}, first.shape[-1], read)


def _folder(path: Path, items: Sequence[str]) -> ImportedFeatures:
    files = {canonical_id(file.stem): file for file in sorted(path.glob("*.npy"))}
    if not files:
        raise DatasetError([f"{path}: there is no .npy file in it; {ALLOWED}"])
    if files.keys().isdisjoint(items):
        named = ", ".join(file.name for file in list(files.values())[:3])
        raise DatasetError(
            [
                f"{path}: none of its files ({named}, ...) is named after an item; give one of the files, or a folder of "
                "{item}.npy files"
            ]
        )
    first = _load(next(iter(files.values())))
    if not first.ndim:
        raise DatasetError([f"{next(iter(files.values()))}: it holds a single number, (d,) and (rows, d) are allowed"])
    return ImportedFeatures(
        path, {item: file.name for item, file in files.items()}, first.shape[-1], lambda item: _load(files[item])
    )
