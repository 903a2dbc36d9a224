"""Published split files: a CSV with the header `video_id,split`."""

from pathlib import Path

import polars as pl

from storage.datasets.errors import DatasetError, Problems
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
    file = read_tabular(path, names={"item": ITEM, "split": ("split",)}, required=("item", "split"))
    problems = Problems()
    split = file.frame["split"].str.to_lowercase().replace_strict(SPELLINGS, default=None, return_dtype=pl.String)
    frame = pl.DataFrame({"item": file.frame["item"], "split": split})
    for name, wrong, text in (
        ("item", frame["item"].is_null(), "item is empty"),
        ("split", frame["split"].is_null(), f"split is {{}}, allowed are {', '.join(SPLITS)}"),
        ("item", ~frame["item"].is_first_distinct(), "item {} is given twice; one split an item is allowed"),
    ):
        rows = wrong.arg_true().to_numpy()[:100]
        for line, row in zip(file.lines(rows), rows):
            problems.add(path, text.format(repr(file.frame[name][int(row)])), line=line)
    if not frame.height:
        problems.add(path, "there are no rows below the header")
    problems.raise_if_any()
    return frame
