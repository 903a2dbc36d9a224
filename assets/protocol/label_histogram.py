"""Histogram of the labels, one panel per target."""

from __future__ import annotations

import dagster as dg
import polars as pl

from assets.engine.plots import picture

MOST_TARGETS = 4


def label_histogram(labels: pl.DataFrame) -> dict[str, dg.MetadataValue]:
    """Return the histogram as metadata; nothing without a known label.

    Args:
        labels: The table `labels`.
    """
    from matplotlib.figure import Figure

    known = labels.filter("known", pl.col("value").is_finite())
    targets = known["target"].unique(maintain_order=True).to_list()[:MOST_TARGETS]
    if not targets:
        return {}
    figure = Figure(figsize=(4 * len(targets), 3), layout="constrained")
    for axes, target in zip(figure.subplots(1, len(targets), squeeze=False)[0], targets, strict=True):
        values = known.filter(pl.col("target") == target)["value"].to_numpy()
        axes.hist(values, bins=30, color="#4477aa")
        axes.set_title(f"{len(values)} labels of {target}", fontsize=9)
        axes.set_xlabel("label, on the scale of training")
        axes.set_ylabel("videos")
    return {"label_histogram": picture(figure)}
