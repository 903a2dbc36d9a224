"""Numbers that papers print, and why none of them can be compared with a number of this project."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import polars as pl

FILE = Path(__file__).with_name("published_numbers.csv")
METRICS = ("nMSE", "SRC", "PLCC", "MAE")
REMARK = re.compile(r" \([^)]*\)$")
ROUNDING = 0.001  # three printed decimals: what nMSE and PLCC^2 may be off by
NOT_COMPARABLE = {
    "M3TR": "another split of MicroLens-100k with an observation rule that the paper does not state; the event data of "
    "INFORMS-2024 are not public",
    "MUFM": "pMicroLens holds other items (at least five comments each), and the label counts the observed comments too",
    "MMRA": "the label is log2 of the count, validation items are in the memory bank, and the published code averages the "
    "metrics over batches",
    "DSN": "the labelled part of SMPD; its SRC is Pearson's coefficient, the published code chooses the epoch by the test "
    "loss, and the authors' statistics are of a later time",
}
IMPOSSIBLE = "impossible: nMSE cannot be below 1 - PLCC^2 for predictions on one scale over one split"


def published_numbers() -> pl.DataFrame:
    """Return the numbers that papers print for popularity models.

    Returns:
        One row per paper, table, data set and model: `paper`, `table`, `dataset`, `model`, a column per metric of `METRICS`
        (null where it is not printed), `impossible` (whether nMSE and PLCC contradict each other), `reason` (why the row is
        not comparable).

    Example:
        >>> published_numbers().filter(impossible=True)["model"].unique().sort().to_list()
        ['HMMVED', 'TMALL']
    """
    keys = ["paper", "table", "dataset", "model"]
    printed = pl.read_csv(FILE, schema_overrides={"value": pl.Float64})
    wide = printed.pivot(on="metric", index=keys, values="value", maintain_order=True)
    slack = pl.col("nMSE") + ROUNDING < 1 - pl.col("PLCC") ** 2
    reasons = pl.col("paper").replace_strict(NOT_COMPARABLE)
    return wide.select(
        *keys,
        *METRICS,
        slack.fill_null(False).alias("impossible"),
        pl.when(slack.fill_null(False)).then(reasons + "; " + pl.lit(IMPOSSIBLE)).otherwise(reasons).alias("reason"),
    )


def numbers_of(titles: Iterable[str]) -> pl.DataFrame:
    """Return the printed numbers of some rows; see `published_numbers`.

    Args:
        titles: Titles of rows. A title matches a printed name with the same letters and digits, or, if there is none, the name
            without the remark in parentheses at its end.

    Returns:
        The same columns, and `predictor`, the title.
    """
    printed = published_numbers()
    printed = printed.with_columns(pl.col("model").map_elements(_plain, return_dtype=pl.String).alias("plain"))
    names = set(printed["plain"])
    known = [(title, _plain(title) if _plain(title) in names else _plain(REMARK.sub("", title))) for title in titles]
    frame = pl.DataFrame(known, schema={"predictor": pl.String, "plain": pl.String}, orient="row")
    return frame.join(printed, on="plain", how="inner", maintain_order="left_right").drop("plain")


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9=+&]", "", name.lower())
