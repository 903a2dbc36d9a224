"""Which row of the tables of results is served as the forecast of a target."""

from __future__ import annotations

import numpy as np
import polars as pl

from models.predictor_table import STACK, row_title

BEST = "best"


def served_rows(validation: pl.DataFrame, *, serve: str) -> dict[str, str]:
    """Return the row that is served, per target.

    "best" is the row with the lowest squared error on the validation items, averaged over the ages at which they were
    scored (docs/predictor.md). The stack is preferred to a row that is better by less than a standard error of the
    difference, because with few validation items another row may be best by chance.

    Args:
        validation: The table `validation_items`.
        serve: The setting `model.serve`.
    """
    rows: dict[str, str] = {}
    for (target,), of_target in validation.group_by("target_name", maintain_order=True):
        rows[target] = _best(of_target) if serve == BEST else row_title(serve)
    return rows


def _best(validation: pl.DataFrame) -> str:
    ages = validation["age_hours"].n_unique()
    errors = (
        validation.with_columns(error=(pl.col("predicted") - pl.col("target")) ** 2)
        .group_by("predictor", "age_hours", "item", maintain_order=True)
        .agg(pl.col("error").mean())
    )
    # A row that lacks an age could not serve every window.
    everywhere = errors.filter(pl.col("age_hours").n_unique().over("predictor") == ages)
    at_age = everywhere.group_by("predictor", "age_hours", maintain_order=True).agg(pl.col("error").mean())
    scores = dict(at_age.group_by("predictor", maintain_order=True).agg(pl.col("error").mean()).iter_rows())
    best = min(scores, key=scores.__getitem__)
    if STACK not in scores:
        return best
    by_item = everywhere.group_by("predictor", "item").agg(pl.col("error").mean())
    own, other = (by_item.filter(pl.col("predictor") == name).select("item", "error") for name in (STACK, best))
    worse = own.join(other, on="item", suffix="_best")
    difference = (worse["error"] - worse["error_best"]).to_numpy()
    error = difference.std(ddof=1) / np.sqrt(len(difference)) if len(difference) > 1 else np.inf
    return STACK if difference.mean() <= error else best
