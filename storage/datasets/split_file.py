"""Published split files: a CSV with the header `video_id,split`."""

from pathlib import Path

import polars as pl

from storage.datasets.dataset import Note
from storage.datasets.errors import LOCATED, DatasetError, Problems
from storage.datasets.microlens import ITEM
from storage.datasets.tabular import read_tabular

SPLITS = ("train", "val", "test")
SPELLINGS = {"train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}


def read_splits(path: str | Path) -> pl.DataFrame:
    """Frame [item str, split str: train | val | test], rows as in the file.

    Raises DatasetError for another split name, an item without one, or an item given twice.
    """
    path = Path(path).absolute()
    if not path.is_file():
        raise DatasetError([f"{path}: no such file; a CSV with the header video_id,split is needed"])
    notes: list[Note] = []
    table = read_tabular(path, names={"item": ITEM, "split": ("split",)}, required=("item", "split"), notes=notes)
    problems = Problems()
    items, given = table.ids("item", problems, notes), table.texts("split", problems, notes)
    split = given.str.to_lowercase().replace_strict(SPELLINGS, default=None, return_dtype=pl.String)
    frame = pl.DataFrame({"item": items, "split": split})
    wrong_splits = split.is_null().arg_true().to_numpy()[:LOCATED]
    for place, row in zip(table.where(wrong_splits), wrong_splits):
        problems.add(place, f"split is {given[int(row)]!r}, allowed are {', '.join(SPLITS)}")
    twice = (~items.is_first_distinct() & items.is_not_null()).arg_true().to_numpy()[:LOCATED]
    for place, row in zip(table.where(twice), twice):
        problems.add(place, f"item {items[int(row)]!r} is given twice; one split an item is allowed")
    if not frame.height:
        problems.add(path, "there are no rows below the header")
    problems.raise_if_any()
    return frame
