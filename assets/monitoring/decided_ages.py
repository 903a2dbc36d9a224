"""From which age on the interval of a forecast stays narrow."""

from __future__ import annotations

import math

import polars as pl

from assets.settings import Settings
from models.curves.scores import coverage
from storage.store import Store

SHARES = "decided_shares"  # the table of shares by age
WHOLE = "whole window"


def decided_ages(curves: pl.DataFrame, *, ratio: float) -> pl.DataFrame:
    """Return the first age of every item from which the 80 % interval stays narrow.

    Args:
        curves: One row per item, target and age, at the target's horizon: `item`, `target_name`, `age_hours` (null for the
            whole window, which is the last age), `q10`, `q90` and `observed` (null if unknown), in counts.
        ratio: An interval is narrow if (q90 + 1) / (q10 + 1) is below this.

    Returns:
        One row per item and target:

        - `decided`: whether the interval is narrow at the last age.
        - `decided_at`: the first age, such as "3 h", from which it is narrow at all later ages too; null if not decided.
        - `age_hours`: that age in hours; null for the whole window too.
        - `ratio`: the interval's ratio at that age; at the last age if not decided.
        - `coverage_80`: which share of the count's cell the interval at that age covers (`models.curves.scores`); null if not
          decided, or if the count is unknown.
    """
    width = ((pl.col("q90") + 1) / (pl.col("q10") + 1)).alias("ratio")
    ordered = (
        curves.with_columns(pl.col("age_hours").fill_null(math.inf).alias("order"), width)
        .sort("item", "target_name", "order")
        .with_columns((pl.col("ratio") < ratio).alias("narrow"))
    )
    # narrow at an age and at all later ones: no wide interval from here to the end
    wide_later = (~pl.col("narrow")).cast(pl.Int32).reverse().cum_sum().reverse().over("item", "target_name")
    ordered = ordered.with_columns((wide_later == 0).alias("decided"))
    covered = coverage(*(ordered[name].to_numpy() for name in ("q10", "q90", "observed")))
    return (
        ordered.with_columns(pl.Series("coverage_80", covered).fill_nan(None), _age_name().alias("decided_at"))
        .with_columns(pl.when("decided").then(name).alias(name) for name in ("decided_at", "age_hours", "coverage_80"))
        # the first decided age, else the last age
        .sort("item", "target_name", pl.col("decided"), pl.when("decided").then(-pl.col("order")).otherwise("order"))
        .group_by("item", "target_name", maintain_order=True)
        .last()
        .select("item", "target_name", "decided", "decided_at", "age_hours", "ratio", "coverage_80")
    )


def _age_name() -> pl.Expr:
    hours = pl.col("age_hours").map_elements(lambda age: f"{age:g} h", return_dtype=pl.String)
    return pl.when(pl.col("age_hours").is_null()).then(pl.lit(WHOLE)).otherwise(hours)


def decided_shares(decided: pl.DataFrame, curves: pl.DataFrame) -> pl.DataFrame:
    """Return which share of the items is decided by each age.

    Args:
        decided: The table from `decided_ages`.
        curves: The rows that it was made from.

    Returns:
        `target_name`, `age` (such as "3 h"), `age_hours`, `items`, `share` (decided at this age or before), in the order of
        the ages.
    """
    ages = (
        curves.select("target_name", "age_hours", _age_name().alias("age"))
        .unique(maintain_order=True)
        .sort(pl.col("age_hours").fill_null(math.inf), maintain_order=True)
    )
    at = decided.group_by("target_name", pl.col("decided_at").alias("age")).len("decided")
    items = decided.group_by("target_name").len("items")
    return (
        ages.join(at, on=["target_name", "age"], how="left", maintain_order="left")
        .join(items, on="target_name", how="left", maintain_order="left")
        .with_columns((pl.col("decided").fill_null(0).cum_sum().over("target_name") / pl.col("items")).alias("share"))
        .select("target_name", "age", "age_hours", "items", "share")
    )


def describe_shares(shares: pl.DataFrame, *, ratio: float) -> list[str]:
    """Return a sentence per target.

    Args:
        shares: The table from `decided_shares`.
        ratio: The setting `monitoring.decided_ratio`.
    """
    lines = []
    for (target,), part in shares.group_by("target_name", maintain_order=True):
        steps = ", ".join(f"{share:.0%} ({age})" for age, share in part.select("age", "share").iter_rows())
        lines.append(
            f"{target}: share of {part['items'][0]} test items whose 80 % interval stays within a factor of {ratio:g}, by the "
            f"age from which it does: {steps}"
        )
    return lines


def shares_in_words(store: Store, settings: Settings) -> list[str]:
    """Return a sentence per target on how early its forecasts were decided; none before the stage has run."""
    table = store.table(SHARES)
    return [] if table.state() is None else describe_shares(table.read(), ratio=settings.monitoring.decided_ratio)
