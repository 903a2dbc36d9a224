"""Sentences that say what a leaderboard shows: whether the best row is ahead, and which printed orders do not appear."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import polars as pl

from assets.reports.published import numbers_of
from models.predictor_table import STACK, TRIVIAL, predictor_class

TREES = ("boosting", "boosting_content")  # names in the table of predictors: tuned CatBoost on the table of metadata


def findings(rows: pl.DataFrame) -> list[str]:
    """Return the findings of one arm and target with whole windows, one sentence each.

    Args:
        rows: Rows of `assets.reports.scores.score_rows`.
    """
    first = rows.filter("first")
    if first.is_empty():
        return ["No row has a finite nMSE, so no row is first."]
    best = first["predictor"][0]
    return [*_against_trees(rows, best), *_against_trivial(best), *_orders(rows)]


def _against_trees(rows: pl.DataFrame, best: str) -> Iterator[str]:
    trees = [predictor_class(name).title for name in TREES]
    if best in trees:
        yield f"The best row is {best}, which is tuned CatBoost: no other model is ahead of it."
    for row in rows.filter(pl.col("predictor").is_in(trees), pl.col("behind").is_not_null()).iter_rows(named=True):
        ahead = "ahead of" if row["behind_low"] > 0 else "not ahead of"
        yield (
            f"{best} is {ahead} {row['predictor']} (tuned CatBoost), whose nMSE differs by {row['behind']:+.3f}, 95 % of "
            f"resampled test sets in [{row['behind_low']:+.3f}, {row['behind_high']:+.3f}]."
        )


def _against_trivial(best: str) -> Iterator[str]:
    if best in TRIVIAL:
        yield f"The best row is {best}, which is not trained: no model is ahead of it."


def _orders(rows: pl.DataFrame) -> Iterator[str]:
    """Yield, per printed table, the pairs of neighbouring rows whose printed order does not appear here."""
    ours = dict(rows.filter(pl.col("predictor") != STACK).select("predictor", "nMSE").iter_rows())
    for (paper, table, dataset), printed in numbers_of(ours).group_by("paper", "table", "dataset", maintain_order=True):
        metric = "nMSE" if printed["nMSE"].null_count() < len(printed) else "MAE"
        order = printed.drop_nulls(metric).sort(metric)["predictor"].to_list()
        turned = [f"{better} before {worse}" for better, worse in pairwise(order) if ours[better] > ours[worse]]
        if turned:
            yield (
                f"{paper}, {table} ({dataset}) orders its rows by {metric} otherwise; not found here: {'; '.join(turned)}. The "
                "items, the label and the split differ (see the printed numbers)."
            )
