"""A reader of published splits: a CSV with the header `video_id,split`, or a folder with a file per split."""

from pathlib import Path

import polars as pl

from storage.datasets.dataset import Note
from storage.datasets.errors import LOCATED, DatasetError, Problems
from storage.datasets.microlens import ITEM
from storage.datasets.published_splits import SPLITS, read_split_folder
from storage.datasets.tabular import read_tabular

SPELLINGS = {"train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}


def read_splits(path: str | Path) -> pl.DataFrame:
    """Return a published split, with the rows in the order of the file.

    Args:
        path: A CSV with the header `video_id,split` or `item,split`; the splits are train, val and test (training, valid
            and validation are allowed too). Or a folder with `train.txt`, `val.txt` and `test.txt`; see `read_split_folder`.

    Returns:
        item str, split str (train, val or test).

    Raises:
        DatasetError: A split has another name or is empty, an item is given twice, or the file has no rows.
    """
    path = Path(path).expanduser().absolute()
    if path.is_dir():
        return read_split_folder(path)
    if not path.is_file():
        raise DatasetError(
            [
                f"{path}: no such file; a CSV with the header video_id,split is needed, or a folder with train.txt, val.txt "
                "and test.txt"
            ]
        )
    notes: list[Note] = []
    table = read_tabular(path, names={"item": ITEM, "split": ("split",)}, required=("item", "split"), notes=notes)
    problems = Problems()
    items, names = table.ids("item", problems, notes), table.texts("split", problems, notes)
    split = names.str.to_lowercase().replace_strict(SPELLINGS, default=None, return_dtype=pl.String)
    frame = pl.DataFrame({"item": items, "split": split})
    wrong_splits = split.is_null().arg_true().to_numpy()[:LOCATED]
    for place, row in zip(table.where(wrong_splits), wrong_splits):
        problems.add(place, f"split is {names[int(row)]!r}, allowed are {', '.join(SPLITS)}")
    twice = (~items.is_first_distinct() & items.is_not_null()).arg_true().to_numpy()[:LOCATED]
    for place, row in zip(table.where(twice), twice):
        problems.add(place, f"item {items[int(row)]!r} is given twice; one split per item is allowed")
    if not frame.height:
        problems.add(path, "there are no rows below the header")
    problems.raise_if_any()
    return frame
