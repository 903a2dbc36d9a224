"""Whether the newest videos differ from the training videos, and how far past forecasts were off."""

from __future__ import annotations

import polars as pl

from assets.monitoring.drift import describe
from assets.monitoring.forecast_scores import BY_GROUP
from assets.monitoring.scores_picture import draw_by_age, draw_by_day
from assets.reports.charts import as_picture, chart
from assets.reports.document import Grid, Items, Paragraph
from assets.reports.page import PageBlock, Pictures
from assets.reports.report_sections.inputs import stored_table
from assets.settings import Settings
from storage.store import Store


def drift_since_training(store: Store, settings: Settings) -> list[PageBlock]:
    """Return the largest distance of each quantity, and the tests that raised an alarm."""
    table = stored_table(store, "drift", stage="drift", empty="too few videos on one side for any test")
    largest = (
        table.sort("distance", descending=True)
        .group_by("quantity", maintain_order=True)
        .agg(pl.first("part", "distance", "shift", "earlier", "newest"), pl.min("p_value"), pl.any("drifted"))
    )
    rows = [
        [
            row["quantity"],
            row["part"],
            f"{row['earlier']:,} / {row['newest']:,}",
            f"{row['distance']:.3f}",
            "n/a" if row["shift"] is None or row["shift"] != row["shift"] else f"{row['shift']:+.2f}",
            f"{row['p_value']:.2g}",
            "yes" if row["drifted"] else "no",
        ]
        for row in largest.iter_rows(named=True)
    ]
    alarms = describe(table)
    text = f"{len(table)} tests, {len(alarms)} alarms. The newest videos are compared with the training videos."
    columns = ["quantity", "most distant part", "earlier / newest", "distance", "shift, SD", "lowest p", "alarm"]
    grid = Grid(
        columns, rows, bold=frozenset(n for n, row in enumerate(rows) if row[-1] == "yes"), texts=frozenset({1})
    )
    return [Paragraph(text), *([Items(alarms)] if alarms else []), grid]


def errors(store: Store, settings: Settings) -> list[PageBlock]:
    """Return the errors of forecasts that were made before their label was known."""
    empty = "no label of a logged forecast has become known yet; a later run with newer data scores them"
    scores = stored_table(store, "forecast_scores", stage="forecast_scores", empty=empty)
    summary = stored_table(store, BY_GROUP, stage="forecast_scores")
    text = f"{len(scores):,} past forecasts of {scores['item'].n_unique():,} videos have a known label now."
    pictures = []
    for title, draw, frame in (
        ("Mean absolute error, by the day on which the label became known.", draw_by_day, scores),
        ("Mean absolute error, by the age of the video when the forecast was made.", draw_by_age, summary),
    ):
        figure, axes = chart()
        draw(axes, frame)
        pictures.append(as_picture(figure, title))
    return [Paragraph(text), Pictures(pictures)]
