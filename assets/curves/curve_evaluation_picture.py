"""Picture of the forecast curves: fans of some test items beside the truth, and coverage by horizon."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from assets.settings.target import horizon_name
from models.curves.scores import INTERVALS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FANS = 6
BANDS = (("q05", "q95", 0.15), ("q10", "q90", 0.25), ("q25", "q75", 0.4))


def draw_curves(items: pl.DataFrame, scores: pl.DataFrame) -> Figure:
    """Draw the curves of six test items of the first target as they were at the youngest age, and coverage at every age.

    The items lie evenly between the lowest and the highest final count.

    Args:
        items: The table `curve_items`.
        scores: The curve's rows of the table `curve_scores`.
    """
    from matplotlib.figure import Figure

    first = items.head(1).select("target_name", "age_hours")
    own = items.join(first, on=["target_name", "age_hours"], nulls_equal=True, maintain_order="left")
    last = (
        own.filter(pl.col("observed").is_not_null())
        .group_by("item")
        .agg(pl.col("observed").max())
        .sort("observed", "item")
    )
    places = np.linspace(0, max(len(last) - 1, 0), min(FANS, len(last))).round().astype(int)
    figure = Figure(figsize=(11, 8), layout="constrained")
    axes = figure.subplots(3, 3).ravel()
    for axis, item in zip(axes, last["item"].gather(places).to_list(), strict=False):
        _fan(axis, own.filter(pl.col("item") == item).sort("horizon_hours"))
        axis.set_title(f"item {item}", fontsize=9)
    for axis, name in zip(axes[FANS:], INTERVALS, strict=True):
        _coverage(axis, scores, name)
    if len(scores):
        axes[FANS].legend(fontsize=7)
    return figure


def _fan(axis: Axes, curve: pl.DataFrame) -> None:
    place, names = range(len(curve)), [horizon_name(hours) for hours in curve["horizon_hours"]]
    for low, high, alpha in BANDS:
        axis.fill_between(place, curve[low], curve[high], color="tab:blue", alpha=alpha, linewidth=0)
    axis.plot(place, curve["q50"], color="tab:blue", linewidth=1)
    axis.plot(place, curve["observed"], color="black", marker="o", markersize=3, linewidth=0.8)
    axis.set_yscale("symlog", linthresh=10)
    axis.set_ylim(bottom=0)
    axis.set_xticks(place, names, fontsize=7)


def _coverage(axis: Axes, scores: pl.DataFrame, name: int) -> None:
    names = [horizon_name(hours) for hours in scores["horizon_hours"].unique().sort()]
    for (age,), part in scores.group_by("age_hours", maintain_order=True):
        at = [names.index(horizon_name(hours)) for hours in part["horizon_hours"]]
        axis.plot(
            at,
            100 * part[f"coverage_{name}"],
            marker="o",
            markersize=3,
            label="whole window" if age is None else f"{age:g} h",
        )
    axis.axhline(name, color="grey", linewidth=0.8)
    axis.set_xticks(range(len(names)), names, fontsize=7)
    axis.set_title(f"coverage of {name} % intervals", fontsize=9)
