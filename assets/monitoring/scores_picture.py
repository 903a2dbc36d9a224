"""A picture of past forecasts: their error by the day of the label, and by the age at which they were made."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw_scores(scores: pl.DataFrame, summary: pl.DataFrame) -> Figure:
    """Return the mean absolute error per day on which labels became known, and by the age of the item.

    Args:
        scores: The table `forecast_scores`.
        summary: The table `forecast_score_summary`.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.2), layout="constrained")
    days, ages = figure.subplots(1, 2)
    by_day = (
        scores.with_columns(pl.from_epoch("label_time", time_unit="ms").dt.date().alias("day"))
        .group_by("target_name", "day")
        .agg(pl.col("absolute_error").mean())
        .sort("day")
    )
    by_age = summary.filter(pl.col("by") == "age")
    for name in by_day["target_name"].unique().sort():
        own = by_day.filter(pl.col("target_name") == name)
        days.plot(own["day"].to_list(), own["absolute_error"].to_list(), marker="o", markersize=3, label=name)
        own = by_age.filter(pl.col("target_name") == name)
        ages.plot(own["group"].to_list(), own["mae"].to_list(), marker="o", linestyle="none", label=name)
    days.set_xlabel("day on which the label became known")
    days.set_ylabel("mean absolute error on the target's scale")
    ages.set_xlabel("age of the video when the forecast was made")
    for axis in (days, ages):
        axis.set_ylim(bottom=0)
        axis.tick_params(axis="x", rotation=30)
    days.legend(fontsize=8)
    return figure
