"""Where a report is kept: as a table of the store, and as files in the results' folder."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from assets.engine.store_access import frame_hash, open_store
from assets.reports.document import Block, Picture, as_markdown
from assets.reports.page import as_html
from assets.settings import Settings
from storage.catalog import publish
from storage.durable import write_text


def keep_report(settings: Settings, name: str, table: pl.DataFrame, blocks: Sequence[Block]) -> None:
    """Store a report's table, publish it in the catalog, and write the report's files.

    Args:
        settings: Name the store and the folder.
        name: Name of the table and of the files.
        table: The figures.
        blocks: The report; its first block is the title.
    """
    store = open_store(settings)
    store.table(name).write(table, inputs_hash=frame_hash(table), fingerprint=name)
    publish(store)
    write_report(settings, name, blocks)


def write_report(settings: Settings, name: str, blocks: Sequence[Block]) -> None:
    """Write a report's Markdown, its pictures and its HTML into the results' folder; arguments as for `keep_report`."""
    folder = settings.results_folder()
    for block in blocks:
        if isinstance(block, Picture):
            write_text(folder / block.file, block.svg)
    write_text(folder / f"{name}.md", as_markdown(blocks) + "\n")
    write_text(folder / f"{name}.html", as_html(blocks, title=blocks[0].text))
