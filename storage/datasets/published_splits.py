"""A reader of splits that are published as a folder with `train.txt`, `val.txt` and `test.txt` (as HMMVED's five splits)."""

from pathlib import Path

import polars as pl

from storage.datasets.errors import DatasetError, Problems
from storage.datasets.file_bytes import find_file
from storage.datasets.ids import canonical_id
from storage.datasets.item_text_csv import read_lines

SPLITS = ("train", "val", "test")
LIST = "vid.txt"  # of the NUS data of HMMVED: the items that row numbers count
LIST_DEPTH = 3  # it is in the folder of the split or in one of the two above


def read_split_folder(folder: Path) -> pl.DataFrame:
    """Return a published split, in the order of its files.

    Args:
        folder: A folder with `train.txt`, `val.txt` and `test.txt`, one item per line. If a file `vid.txt` is in it or in one
            of the two folders above, each line is a row number of that file, from 0.

    Returns:
        item str, split str (train, val or test).

    Raises:
        DatasetError: A file is missing or empty, an item is given twice, or a row number is not one of the list.
    """
    files = {side: find_file(folder, f"{side}.txt") for side in SPLITS}
    if absent := [f"{side}.txt" for side, path in files.items() if path is None]:
        raise DatasetError(
            [f"{folder}: no {', '.join(absent)}; a folder of a split holds train.txt, val.txt and test.txt"]
        )
    problems = Problems()
    listed = next((path for place in _upwards(folder) if (path := find_file(place, LIST))), None)
    items = None if listed is None else [item for _, item in _lines(listed, problems)]
    rows: list[tuple[str, str]] = []
    seen: dict[str, str] = {}
    for side, path in files.items():
        lines = _lines(path, problems)
        if not lines:
            problems.add(path, "there is no item in it")
        for number, text in lines:
            if items is not None and not (text.isdecimal() and int(text) < len(items)):
                problems.add(path, f"{text!r} is no row of {listed}, which has rows 0 to {len(items) - 1}", line=number)
                continue
            item = text if items is None else items[int(text)]
            if item in seen:
                problems.add(
                    path, f"item {item!r} is in {seen[item]}.txt already; one split per item is allowed", line=number
                )
            seen[item] = side
            rows.append((item, side))
    problems.raise_if_any()
    return pl.DataFrame(rows, schema={"item": pl.String, "split": pl.String}, orient="row")


def _upwards(folder: Path) -> list[Path]:
    return [folder, *folder.parents][:LIST_DEPTH]


def _lines(path: Path, problems: Problems) -> list[tuple[int, str]]:
    """Return (line number, item) of each line that is not empty."""
    numbered = enumerate(map(canonical_id, read_lines(path, problems)), start=1)
    return [(number, item) for number, item in numbered if item]
