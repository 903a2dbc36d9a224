"""A picture of past forecasts: their error by the day of the label, and by the age at which they were made."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from matplotlib.axes import Axes
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
    draw_by_day(days, scores)
    draw_by_age(ages, summary)
    return figure


def draw_by_day(axis: Axes, scores: pl.DataFrame) -> None:
    """Draw the mean absolute error per day on which labels became known, one line per target.

    Args:
        axis: Where to draw.
        scores: The table `forecast_scores`.
    """
    by_day = (
        scores.with_columns(pl.from_epoch("label_time", time_unit="ms").dt.date().alias("day"))
        .group_by("target_name", "day")
        .agg(pl.col("absolute_error").mean())
        .sort("target_name", "day")
    )
    for (name,), own in by_day.group_by("target_name", maintain_order=True):
        axis.plot(own["day"].to_list(), own["absolute_error"].to_list(), marker="o", markersize=3, label=name)
    axis.set_xlabel("day on which the label became known")
    _finish(axis)
    axis.legend(fontsize=8)


def draw_by_age(axis: Axes, summary: pl.DataFrame) -> None:
    """Draw the mean absolute error by the age of the item at the forecast, one colour per target.

    Args:
        axis: Where to draw.
        summary: The table `forecast_score_summary`.
    """
    by_age = summary.filter(by="age")
    for name in by_age["target_name"].unique().sort():
        own = by_age.filter(target_name=name)
        axis.plot(own["group"].to_list(), own["mae"].to_list(), marker="o", linestyle="none", label=name)
    axis.set_xlabel("age of the video when the forecast was made")
    _finish(axis)


def _finish(axis: Axes) -> None:
    axis.set_ylabel("mean absolute error on the target's scale")
    axis.set_ylim(bottom=0)
    axis.tick_params(axis="x", rotation=30)
