"""Hashes of rows of metadata, in which lists may occur."""

import polars as pl

from storage.hashing import row_hashes


def row_digests(frame: pl.DataFrame) -> dict[str, str]:
    """Return item -> hash of the values of its row; the names of the columns do not count.

    Args:
        frame: `item`, and columns of strings, numbers and lists of strings.

    Example:
        >>> frame = pl.DataFrame({"item": ["a", "b"], "tags": [["x", "y"], ["x"]], "fps": [25.0, 25.0]})
        >>> len(set(row_digests(frame).values()))
        2
    """
    flat = frame.drop("item").with_columns(pl.col(pl.List(pl.String)).list.join("\0"))
    return dict(zip(frame["item"].to_list(), row_hashes(flat), strict=True))
