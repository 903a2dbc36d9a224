"""Forecasts of the same videos under two sets of versions, and their paired errors (M3TR appendix H.3, safe A/B testing)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import polars as pl

from assets.prediction.evaluation import ITEMS
from assets.prediction.predictions import read_predictions
from assets.prediction.served_row import served_rows
from assets.prediction.validation import read_validation
from assets.settings import Settings
from models import targets
from models.metrics import Interval, bootstrap, mae, nmse
from storage.store import Store

COLUMNS = ("item", "target_name", "model", "predicted", "predicted_count", "target", "count")
MOST_MOVED = 10


def served_forecasts_of(store: Store, settings: Settings) -> pl.DataFrame:
    """Return the served row's forecasts of the test items, with whole windows, and of the items without a label.

    Args:
        store: Store with the tables `evaluation_items`, `validation_items` and `predictions`.
        settings: Sections `[model]` and `[protocol]` are used.

    Returns:
        `item`, `target_name`, `model` (the row), `predicted` (mean over the seeds, on the scale), `predicted_count`, and the
        label on the scale (`target`) and as a count, null where it is not known.
    """
    rows = served_rows(read_validation(store), serve=settings.model.serve)
    served = pl.DataFrame({"target_name": list(rows), "predictor": list(rows.values())})
    tested = (
        store.table(ITEMS)
        .read()
        .filter(pl.col("age_hours").is_null())
        .join(served, on=["target_name", "predictor"], how="semi")
        .group_by("item", "target_name", pl.col("predictor").alias("model"), maintain_order=True)
        .agg(pl.col("predicted").mean(), pl.col("target", "count").first())
    )
    counts = targets.inverse(tested["predicted"].to_numpy(), settings.protocol.target)
    tested = tested.with_columns(pl.Series("predicted_count", counts, dtype=pl.Float64))
    unknown = pl.lit(None, pl.Float64)
    waiting = read_predictions(store).with_columns(unknown.alias("target"), unknown.alias("count"))
    return pl.concat([tested.select(COLUMNS), waiting.select(COLUMNS)])


@dataclass(frozen=True)
class Comparison:
    """How the forecasts of two sets of versions differ, for one target.

    Attributes:
        target_name: The target.
        items: Number of items that both forecast.
        mean_difference: Mean of second minus first, on the scale of the target.
        mean_change: Mean of the absolute difference.
        most_moved: (item, first count, second count) of the items whose forecast moved most.
        labelled: Number of items whose label is known.
        errors: Metric -> its values for both, and second minus first with a 95 % bootstrap interval over the items. Empty if
            fewer than two labels are known.
    """

    target_name: str
    items: int
    mean_difference: float
    mean_change: float
    most_moved: list[tuple[str, float, float]]
    labelled: int
    errors: dict[str, tuple[float, float, Interval]]


def pair_forecasts(first: pl.DataFrame, second: pl.DataFrame, *, without: Collection[str] = ()) -> pl.DataFrame:
    """Return one row per item and target that both forecast.

    Args:
        first: Forecasts, as from `served_forecasts_of`.
        second: Forecasts under the other versions.
        without: Items that are left out, because one side was fitted on them.

    Returns:
        The columns of `first`, those of the second forecast with the suffix `_second`, and `difference`, second minus first
        on the scale of the target.
    """
    kept = first.filter(~pl.col("item").is_in(list(without)))
    own = second.select("item", "target_name", "model", "predicted", "predicted_count")
    both = kept.join(own, on=["item", "target_name"], suffix="_second", maintain_order="left")
    return both.with_columns((pl.col("predicted_second") - pl.col("predicted")).alias("difference"))


def compare_pairs(pairs: pl.DataFrame) -> list[Comparison]:
    """Return the comparison of every target.

    Args:
        pairs: As from `pair_forecasts`.
    """
    return [_compare(name, part) for (name,), part in pairs.group_by("target_name", maintain_order=True)]


def _compare(name: str, pairs: pl.DataFrame) -> Comparison:
    moved = pairs.filter(pl.col("difference") != 0).sort(pl.col("difference").abs(), descending=True).head(MOST_MOVED)
    known = pairs.drop_nulls("target")
    columns = [known[column].to_numpy() for column in ("target", "predicted", "predicted_second")]
    metrics = {"nMSE": nmse, "MAE": mae} if len(known) > 1 else {}
    return Comparison(
        target_name=name,
        items=len(pairs),
        mean_difference=float(pairs["difference"].mean()),
        mean_change=float(np.abs(pairs["difference"]).mean()),
        most_moved=list(moved.select("item", "predicted_count", "predicted_count_second").iter_rows()),
        labelled=len(known),
        errors={
            title: (
                float(metric(columns[0], columns[1])),
                float(metric(columns[0], columns[2])),
                bootstrap(columns[0], columns[2], metric, other=columns[1]),
            )
            for title, metric in metrics.items()
        },
    )
