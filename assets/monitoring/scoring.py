"""Scores of logged forecasts whose label has become known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl

from assets.monitoring.logged_forecasts import SCHEMA
from assets.protocol.target import HOUR_MS
from models import targets
from models.curves.scores import INTERVALS, coverage, crps

SCORES = pl.Schema(
    {
        "label_time": pl.Int64,
        "lead_hours": pl.Float64,
        "count": pl.Float64,
        "target": pl.Float64,
        "error": pl.Float64,
        "absolute_error": pl.Float64,
        "absolute_error_count": pl.Float64,
        "coverage_80": pl.Float64,
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
        `coverage_80`, the share of the count that the 80 % interval covers, and `crps` on the scale log2(1 + count); see
        `models.curves.scores.curve_scores`.
    """
    value = np.full(len(scorable), np.nan)
    for scale in scorable["scale"].unique():
        own = (scorable["scale"] == scale).to_numpy()
        counts = scorable["count"].to_numpy()[own]
        value[own] = targets.forward(np.maximum(counts, targets.smallest_count(scale)), scale)
    covered, loss = _of_quantiles(scorable)
    return (
        scorable.with_columns(
            pl.Series("target", value, dtype=pl.Float64),
            ((pl.col("label_time") - pl.col("data_end")) / HOUR_MS).alias("lead_hours"),
            pl.Series("coverage_80", covered).fill_nan(None),
            pl.Series("crps", loss).fill_nan(None),
        )
        .with_columns((pl.col("predicted") - pl.col("target")).alias("error"))
        .with_columns(
            pl.col("error").abs().alias("absolute_error"),
            (pl.col("predicted_count") - pl.col("count")).abs().alias("absolute_error_count"),
        )
        .select(*SCHEMA.names(), *SCORES.names())
    )


def _of_quantiles(scorable: pl.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Return the coverage of the 80 % interval, and the CRPS; NaN without quantiles."""
    covered, loss = np.full(len(scorable), np.nan), np.full(len(scorable), np.nan)
    rows = scorable.select("levels", "quantiles", "count").with_row_index().drop_nulls("levels")
    for (levels,), part in rows.group_by("levels"):
        at, quantiles = part["index"].to_numpy(), np.array(part["quantiles"].to_list(), dtype=np.float64)
        count = part["count"].to_numpy()
        loss[at] = crps(np.log2(1.0 + quantiles), levels, np.log2(1.5 + count))
        if set(INTERVALS[80]) <= set(levels):
            low, high = (quantiles[:, list(levels).index(level)] for level in INTERVALS[80])
            covered[at] = coverage(low, high, count)
    return covered, loss


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
        "coverage_80": "coverage_80",
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
    group = pl.when("window_complete").then(pl.lit(WHOLE))
    for age in ages:
        group = group.when(pl.col("age_hours") <= age).then(pl.lit(f"up to {age:g} h"))
    return group.otherwise(pl.lit("older"))
