"""What sections read, and what a section shows when its input does not exist."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import polars as pl

from assets.engine.nothing_to_show import NothingToShow
from assets.reports.page import Missing, PageBlock
from storage.durable import StoreError
from storage.store import Store


def stored_table(store: Store, name: str, *, stage: str, empty: str | None = None) -> pl.DataFrame:
    """Return a table of the store.

    Args:
        store: The store.
        name: Name of the table.
        stage: The stage that makes it.
        empty: Why a table without rows shows nothing; by default, that it has none.

    Raises:
        NothingToShow: The table does not exist or has no row; the message says what makes it.
    """
    table = store.table(name)
    frame = None if table.state() is None else table.read()
    if frame is None:
        raise NothingToShow(f"not computed yet; `reelcast run --select '+{stage}'` computes it")
    if frame.is_empty():
        raise NothingToShow(empty or f"nothing to show: `{stage}` has run, and its table `{name}` is empty")
    return frame


def part(build: Callable[[], list[PageBlock]]) -> list[PageBlock]:
    """Return the blocks of a part of the report, or one line that says why there are none.

    Args:
        build: Returns the blocks. `NothingToShow`, or an error of the store that names the remedy, becomes the line.
    """
    try:
        return build()
    except (NothingToShow, StoreError) as reason:
        text = str(reason)
        return [Missing(f"{text[:1].upper()}{text[1:]}.")]


def moment(milliseconds: int | None) -> str:
    """Return a time in unix ms as text, in UTC.

    Example:
        >>> moment(0), moment(None)
        ('1970-01-01 00:00 UTC', 'unknown')
    """
    if milliseconds is None:
        return "unknown"
    return f"{datetime.fromtimestamp(milliseconds / 1000, UTC):%Y-%m-%d %H:%M} UTC"


def on_scale(target: str, scale: str) -> str:
    """Return the title of an axis that shows a target's label.

    Args:
        target: Name of the target.
        scale: The setting `protocol.target`.

    Example:
        >>> on_scale("comment@7d", "log2p1"), on_scale("comment@7d", "raw")
        ('log2(1 + comment@7d)', 'comment@7d')
    """
    return {"log2p1": f"log2(1 + {target})", "log2": f"log2({target})", "raw": target}[scale]
