"""Forecasts of the videos without a label, with the reason of each."""

from __future__ import annotations

import math

from assets.ingest.videos import known_titles
from assets.reports.document import Grid, Paragraph
from assets.reports.page import PageBlock
from assets.reports.report_sections.inputs import stored_table
from assets.settings import Settings
from assets.settings.target import parse_target
from storage.store import Store

SHOWN = 12
LETTERS = 60


def new_videos(store: Store, settings: Settings) -> list[PageBlock]:
    """Return the highest forecasts of the first target: count, 80 % interval, count so far, and the sentence."""
    forecasts = stored_table(store, "predictions", stage="predictions", empty="every video has a label")
    target = forecasts["target_name"][0]
    own = forecasts.filter(target_name=target).sort("predicted", "item", descending=[True, False])
    sentences = _by_item(store, "forecast_sentences", target, ["sentence"])
    bands = _by_item(store, "forecast_curves", target, ["q10", "q90"])
    titles, rows = known_titles(store), []
    for row in own.head(SHOWN).iter_rows(named=True):
        item = row["item"]
        low, high = bands.get(item, (None, None))
        band = (
            "n/a" if low is None else f"{math.floor(low):,} to {math.floor(high):,}"
        )  # docs/curves.md: the whole part is the count
        title = titles.get(item) or "(no title)"
        title = title if len(title) <= LETTERS else f"{title[: LETTERS - 1]}…"
        rows.append(
            [
                title,
                f"{row['predicted_count']:,.0f}",
                band,
                f"{row['counted_so_far']:,}",
                sentences.get(item, ("n/a",))[0],
                item,
            ]
        )
    text = f"{len(own)} videos have no label of {target} yet. These have the highest forecasts."
    columns = ["title", "forecast", "80 % interval", "counted so far", "why", "item"]
    return [Paragraph(text), Grid(columns, rows, texts=frozenset({4}))]


def _by_item(store: Store, table: str, target: str, columns: list[str]) -> dict[str, tuple[float | str, ...]]:
    """Return columns by item, empty if the table does not exist; of a curve, calibrated quantiles at the label's horizon."""
    if store.table(table).state() is None:
        return {}
    own = store.table(table).read().filter(target_name=target)
    if "horizon_hours" in own.columns:
        own = own.filter("calibrated", horizon_hours=_hours(target))
    return {row[0]: row[1:] for row in own.select("item", *columns).iter_rows()}


def _hours(target: str) -> float:
    hours = parse_target(target).hours
    return math.inf if hours is None else hours
