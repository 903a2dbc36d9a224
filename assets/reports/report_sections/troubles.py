"""Rows that failed, files that were used in part, and models that could not be fitted."""

from __future__ import annotations

from assets.engine.failure_checks import damages, failures
from assets.prediction.model_obstacles import read_obstacles
from assets.reports.document import Grid, Heading, Paragraph
from assets.reports.page import PageBlock
from assets.settings import Settings
from storage.store import Store

SHOWN = 50
LETTERS = 200


def troubles(store: Store, settings: Settings) -> list[PageBlock]:
    """Return failed rows, damaged files and models that were left out."""
    failed, damaged, obstacles = failures(store), damages(store), read_obstacles(store)
    blocks: list[PageBlock] = []
    lists = (
        ("Failed rows", failed.select("item", "error_message", "stage", "error_type")),
        ("Damaged files, used in part", damaged.unique(maintain_order=True)),
        ("Models that could not be fitted", obstacles.select("title", "reason")),
    )
    for title, frame in lists:
        count = "None." if frame.is_empty() else f"{len(frame)} in all."
        if len(frame) > SHOWN:
            count += f" The first {SHOWN} are shown."
        blocks += [Heading(title, 3), Paragraph(count)]
        if len(frame):
            rows = [[str(cell)[:LETTERS] for cell in row] for row in frame.head(SHOWN).iter_rows()]
            blocks.append(
                Grid([name.replace("_", " ") for name in frame.columns], rows, texts=frozenset(range(frame.width)))
            )
    return blocks
