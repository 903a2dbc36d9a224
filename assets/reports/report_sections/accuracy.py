"""How good the forecasts are: the answer first, then forecasts against labels, residuals, and accuracy by age."""

from __future__ import annotations

import numpy as np
import polars as pl

from assets.monitoring.decided_ages import shares_in_words
from assets.prediction.results import accuracy_by_age
from assets.prediction.served_row import served_rows
from assets.prediction.validation import NAME as VALIDATION
from assets.reports.charts import BLUE, INK, SKY, SOFT, as_picture, chart
from assets.reports.document import Items, Paragraph, Picture
from assets.reports.findings import findings
from assets.reports.interval_picture import NARROW, interval_picture
from assets.reports.leaderboard_document import estimates, metric_grid
from assets.reports.page import Folded, PageBlock, Pictures
from assets.reports.report_sections.inputs import on_scale, stored_table
from assets.settings import Settings
from storage.store import Store

SHOWN = 1500  # points of a scatter plot; more make the file large and cover each other
DECILES = 10


def answer(store: Store, settings: Settings) -> list[PageBlock]:
    """Return the leaderboard of whole windows, with what is ahead of what in words."""
    table = stored_table(store, "leaderboard", stage="leaderboard")
    blocks: list[PageBlock] = []
    whole = table.filter(pl.col("age_hours").is_null()).sort("first", "nMSE", descending=[True, False], nulls_last=True)
    for (arm, target), rows in whole.group_by("arm", "target_name", maintain_order=True):
        blocks.append(Paragraph(_in_words(rows, f"{target}, {arm} split")))
        title = f"nMSE of {target}, {arm} split: mean over seeds, and 95 % of resampled test sets. Lower is better."
        svg = interval_picture(estimates(rows), axis="nMSE: 0 is perfect, 1 is the mean", width=NARROW)
        blocks += [
            Picture(svg, "", title),
            Items(findings(rows)),
            Folded("All metrics", [metric_grid(rows)]),
        ]
    return blocks


def _in_words(rows: pl.DataFrame, of: str) -> str:
    first = rows.filter("first")
    if first.is_empty():
        return f"{of}: no row has a finite nMSE."
    best = first.row(0, named=True)
    low, high = best["nMSE_item_low"], best["nMSE_item_high"]
    return (
        f"{of}, {best['items']} test items: the best row is {best['predictor']}. Its squared error is "
        f"{100 * best['nMSE']:.0f} % of that of the test items' own mean (nMSE {best['nMSE']:.3f}, 95 % of resampled test sets "
        f"in [{low:.3f}, {high:.3f}]). Its rank correlation with the truth is {best['SRC']:.2f}."
    )


def forecasts_against_labels(store: Store, settings: Settings) -> list[PageBlock]:
    """Return, per target, the served row's forecasts against the labels, and the residuals by decile of the forecast."""
    items = stored_table(store, "evaluation_items", stage="evaluation")
    validation = stored_table(store, VALIDATION, stage="evaluation")
    blocks: list[PageBlock] = []
    for target, row in served_rows(validation, serve=settings.model.serve).items():
        own = (
            items.filter(pl.col("age_hours").is_null(), target_name=target, predictor=row)
            .group_by("item", maintain_order=True)
            .agg(pl.col("target").first(), pl.col("predicted").mean())
        )
        if own.is_empty():
            continue
        axis = on_scale(target, settings.protocol.target)
        pictures = [_scatter(own, row, axis), _residuals(own, row, axis)]
        blocks.append(Pictures(pictures))
    return blocks


def _scatter(own: pl.DataFrame, row: str, axis: str) -> Picture:
    shown = own if len(own) <= SHOWN else own.sample(SHOWN, seed=0)
    figure, axes = chart(height=4.4)
    ends = [min(own["target"].min(), own["predicted"].min()), max(own["target"].max(), own["predicted"].max())]
    axes.plot(ends, ends, color=SOFT, linewidth=1, label="forecast = truth")
    axes.plot(shown["target"], shown["predicted"], ".", color=BLUE, markersize=5, alpha=0.45)
    axes.set(xlabel=f"truth, {axis}", ylabel=f"forecast, {axis}", aspect="equal")
    axes.legend(loc="upper left")
    return as_picture(
        figure, f"Forecasts of {row} (mean over seeds) for {len(shown):,} of {len(own):,} test videos, whole windows."
    )


def _residuals(own: pl.DataFrame, row: str, axis: str) -> Picture:
    ordered = own.sort("predicted", "item")
    parts = np.array_split((ordered["target"] - ordered["predicted"]).to_numpy(), min(DECILES, len(own)))
    levels = np.array([np.quantile(values, [0.1, 0.25, 0.5, 0.75, 0.9]) for values in parts]).T
    at = np.arange(1, len(parts) + 1)
    figure, axes = chart(height=4.4)
    axes.axhline(0, color=SOFT, linewidth=1)
    axes.vlines(at, levels[0], levels[4], color=SKY, linewidth=2, label="80 % of the videos")
    axes.vlines(at, levels[1], levels[3], color=BLUE, linewidth=7, label="50 %")
    axes.plot(at, levels[2], "o", color=INK, markersize=5, label="median")
    axes.set(xlabel="tenth of the test videos by forecast, lowest first", ylabel=f"truth - forecast, {axis}", xticks=at)
    axes.grid(axis="x", visible=False)
    figure.legend(loc="outside lower left", ncols=3)
    return as_picture(figure, f"Residuals of {row} by decile of the forecast. Above 0 the forecast was too low.")


def by_age(store: Store, settings: Settings) -> list[PageBlock]:
    """Return nMSE against the age of the video, one picture per target, and how early forecasts were decided."""
    table = stored_table(store, "evaluation", stage="evaluation")
    hours = settings.protocol.hours if settings.protocol.first_k is None else None
    pictures = []
    for (target,), own in table.group_by("target_name", maintain_order=True):
        figure = accuracy_by_age(own, hours, legend="outside lower left")
        title = f"nMSE of {target} on the same test videos, by how long they were observed. Lower is better."
        pictures.append(as_picture(figure, title, height=4.6))
    decided = shares_in_words(store, settings)
    return [Pictures(pictures), *([Items(decided)] if decided else [])]
