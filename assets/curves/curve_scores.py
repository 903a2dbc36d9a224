"""The tables of curve scores, and what they say in words. No model is loaded, so that commands that print them start fast."""

from __future__ import annotations

import polars as pl

from assets.settings.target import horizon_name
from models.curves.scores import INTERVALS
from storage.store import Store

SCORES, ITEMS = "curve_scores", "curve_items"
OURS = "curve"
SCHEMA = {
    "row": pl.String,
    "target_name": pl.String,
    "age_hours": pl.Float64,
    "horizon_hours": pl.Float64,
    "items": pl.Int64,
    **dict.fromkeys(("crps", "pinball"), pl.Float64),
    **{f"{measure}_{name}": pl.Float64 for name in INTERVALS for measure in ("coverage", "width", "count_width")},
    "coverage_80_deciles": pl.List(pl.Float64),
}


def read_curve_scores(store: Store) -> pl.DataFrame:
    """Return the scores of all rows by target, age and horizon (`SCHEMA`); no rows before they are made."""
    table = store.table(SCORES)
    return pl.DataFrame(schema=SCHEMA) if table.state() is None else table.read()


def curve_summary(table: pl.DataFrame) -> list[str]:
    """Return two sentences per target: coverage over all ages and horizons, and CRPS with whole windows at the longest horizon.

    Args:
        table: The table `curve_scores`.
    """
    lines = []
    for (target,), own in table.group_by("target_name", maintain_order=True):
        ours = own.filter(pl.col("row") == OURS)
        if ours.is_empty():
            continue
        covered = 100 * ours["coverage_80"]
        last = ours.filter(pl.col("age_hours").is_null()).sort("horizon_hours").tail(1)
        rows = own.join(last.select("age_hours", "horizon_hours"), on=["age_hours", "horizon_hours"], nulls_equal=True)
        scores = ", ".join(f"{row} {score:.3f}" for row, score in rows.sort("crps").select("row", "crps").iter_rows())
        lines.append(
            f"curves of {target}: 80 % intervals cover {covered.mean():.1f} % on average, {covered.min():.1f} to "
            f"{covered.max():.1f} % over {len(ours)} ages and horizons"
            + (f"; CRPS at {horizon_name(last['horizon_hours'][0])}: {scores}" if len(last) else "")
        )
    return lines
