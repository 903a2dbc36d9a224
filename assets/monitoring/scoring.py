"""Scores of logged forecasts whose label has become known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl

from assets.monitoring.logged_forecasts import SCHEMA
from models import targets

LOW, HIGH = 0.1, 0.9  # ends of the 80 % interval
SCORES = pl.Schema(
    {
        "label_time": pl.Int64,
        "lead_hours": pl.Float64,
        "count": pl.Float64,
        "target": pl.Float64,
        "error": pl.Float64,
        "absolute_error": pl.Float64,
        "absolute_error_count": pl.Float64,
        "inside_80": pl.Boolean,
        "crps": pl.Float64,
    }
)
WHOLE = "window complete"
SUMMARY = pl.Schema(
    {
        **dict.fromkeys(("by", "group", "source", "target_name"), pl.String),
        **dict.fromkeys(("forecasts", "items"), pl.Int64),
        **dict.fromkeys(("mean_error", "mae", "mae_count", "coverage_80", "crps"), pl.Float64),
    }
)


def states(log: pl.DataFrame, labels: pl.DataFrame, protocols: Mapping[str, str]) -> pl.DataFrame:
    """Return every logged forecast with its label and with what keeps it from being scored.

    Args:
        log: Rows of the log (`assets.monitoring.logged_forecasts`).
        labels: Known labels: `item`, `target_name`, `label_time` (unix ms; null if no one knows it), `count`.
        protocols: Target -> what a forecast and its label must have in common now.

    Returns:
        The rows of the log with `label_time`, `count`, and `state`, the first that applies:

        - `other protocol`: made for another window, scale or source of the target.
        - `waiting`: the label is not known yet.
        - `label without a time`: nobody knows whether the forecast was made before.
        - `after the label`: the data that the forecast saw reached the label's time.
        - `in training`: the item was in training when the forecast was made.
        - `scored`.
    """
    now = pl.col("target_name").replace_strict(dict(protocols), default=None, return_dtype=pl.String)
    state = (
        pl.when(pl.col("protocol").ne_missing(now))
        .then(pl.lit("other protocol"))
        .when(pl.col("count").is_null())
        .then(pl.lit("waiting"))
        .when(pl.col("label_time").is_null())
        .then(pl.lit("label without a time"))
        .when((pl.col("data_end") >= pl.col("label_time")).fill_null(True))
        .then(pl.lit("after the label"))
        .when("in_training")
        .then(pl.lit("in training"))
        .otherwise(pl.lit("scored"))
    )
    known = labels.select("item", "target_name", "label_time", "count")
    return log.join(known, on=["item", "target_name"], how="left", maintain_order="left").with_columns(
        state.alias("state")
    )


def score(scorable: pl.DataFrame) -> pl.DataFrame:
    """Return the scores of forecasts that `states` calls scored.

    Args:
        scorable: Rows of `states`.

    Returns:
        The log's columns and those of `SCORES`: `lead_hours` from the end of the data that the forecast saw to the label,
        `error` and `absolute_error` on the scale, `absolute_error_count` on counts, and, where the forecast has quantiles,
        `inside_80` (whether the count lies in the 80 % interval, ends included) and `crps` in counts.
    """
    value = np.full(len(scorable), np.nan)
    for scale in scorable["scale"].unique():
        own = (scorable["scale"] == scale).to_numpy()
        value[own] = targets.forward(scorable["count"].to_numpy()[own], scale)
    intervals = [_interval(*row) for row in scorable.select("count", "levels", "quantiles").iter_rows()]
    return (
        scorable.with_columns(
            pl.Series("target", value, dtype=pl.Float64),
            ((pl.col("label_time") - pl.col("data_end")) / 3_600_000).alias("lead_hours"),
            pl.Series("inside_80", [inside for inside, _ in intervals], dtype=pl.Boolean),
            pl.Series("crps", [loss for _, loss in intervals], dtype=pl.Float64),
        )
        .with_columns((pl.col("predicted") - pl.col("target")).alias("error"))
        .with_columns(
            pl.col("error").abs().alias("absolute_error"),
            (pl.col("predicted_count") - pl.col("count")).abs().alias("absolute_error_count"),
        )
        .select(*SCHEMA.names(), *SCORES.names())
    )


def _interval(
    count: float, levels: Sequence[float] | None, quantiles: Sequence[float] | None
) -> tuple[bool | None, float | None]:
    """Return whether a count lies in the 80 % interval, and its CRPS; None without quantiles."""
    if not levels:
        return None, None
    at, levels = dict(zip(levels, quantiles)), np.asarray(levels)
    above = count - np.asarray(quantiles)
    loss = 2 * np.maximum(levels * above, (levels - 1) * above).mean()
    inside = at[LOW] <= count <= at[HIGH] if {LOW, HIGH} <= at.keys() else None
    return inside, float(loss)


def summarise(scores: pl.DataFrame, ages: Sequence[float]) -> pl.DataFrame:
    """Return mean scores by age, by the row that was served, and by the versions that were in service.

    Args:
        scores: Rows of `score`.
        ages: Ages in hours, ascending, that separate the groups of incomplete windows.

    Returns:
        Rows of `SUMMARY`: one per kind of group (`by`: `all`, `age`, `model`, `bank`, `process`, `models`), group, source and
        target. An item counts once per forecast; `items` says how many there are.
    """
    groups = {
        "all": pl.lit("all"),
        "age": _age_group(ages),
        "model": pl.col("model"),
        "bank": pl.format("version {}", pl.col("bank_version")),
        "process": pl.format("version {}", pl.col("process_version")),
        "models": pl.col("model_versions"),
    }
    means = {
        "mean_error": "error",
        "mae": "absolute_error",
        "mae_count": "absolute_error_count",
        "coverage_80": "inside_80",
        "crps": "crps",
    }
    parts = [SUMMARY.to_frame()]
    for by, group in groups.items():
        part = (
            scores.with_columns(group.alias("group"))
            .group_by("group", "source", "target_name", maintain_order=True)
            .agg(
                pl.len().alias("forecasts"),
                pl.col("item").n_unique().alias("items"),
                *(pl.col(column).mean().alias(name) for name, column in means.items()),
            )
        )
        parts.append(part.select(pl.lit(by).alias("by"), pl.all()).select(SUMMARY.names()).cast(SUMMARY))
    return pl.concat(parts)


def _age_group(ages: Sequence[float]) -> pl.Expr:
    """Return the group of a forecast by the item's age, from columns `age_hours` and `window_complete`."""
    group, after = pl.when("window_complete").then(pl.lit(WHOLE)), 0.0
    for age in ages:
        group = group.when(pl.col("age_hours") <= age).then(pl.lit(f"{after:g} to {age:g} h"))
        after = age
    return group.otherwise(pl.lit(f"over {after:g} h"))
