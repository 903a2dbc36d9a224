"""Predicted against true: every test item's forecast by the served row, beside its label."""

from __future__ import annotations

from collections.abc import Mapping

import dagster as dg
import polars as pl

from assets.engine.plots import picture


def forecast_scatter(items: pl.DataFrame, served: Mapping[str, str]) -> dict[str, dg.MetadataValue]:
    """Return the picture as metadata, one panel per target.

    Args:
        items: The table `evaluation_items`.
        served: Target -> the row that is served. Forecasts of several seeds are averaged.
    """
    from matplotlib.figure import Figure

    rows = pl.DataFrame({"target_name": list(served), "predictor": list(served.values())})
    whole = (
        items.filter(pl.col("age_hours").is_null())
        .join(rows, on=["target_name", "predictor"])
        .group_by("target_name", "item", maintain_order=True)
        .agg(pl.col("target").first(), pl.col("predicted").mean())
    )
    targets = whole["target_name"].unique(maintain_order=True).to_list()
    if not targets:
        return {}
    figure = Figure(figsize=(4 * len(targets), 4), layout="constrained")
    for axes, target in zip(figure.subplots(1, len(targets), squeeze=False)[0], targets, strict=True):
        own = whole.filter(pl.col("target_name") == target)
        axes.plot(own["target"], own["predicted"], ".", color="#4477aa", alpha=0.5, markersize=5)
        ends = [min(own["target"].min(), own["predicted"].min()), max(own["target"].max(), own["predicted"].max())]
        axes.plot(ends, ends, color="#bbbbbb", linewidth=1)
        axes.set_title(f"{target}: {served[target]}, {len(own)} test items", fontsize=9)
        axes.set_xlabel("true label")
        axes.set_ylabel("forecast")
        axes.set_aspect("equal")
    return {"predicted_against_true": picture(figure)}
