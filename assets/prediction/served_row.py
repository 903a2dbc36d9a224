"""Which row of the tables of results is served as the forecast of a target, and what is served where it does not apply."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from assets.prediction.forecast import Forecast
from models import targets
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
    return {target: rows[0] for target, rows in ranked_rows(validation, serve=serve).items()}


def ranked_rows(validation: pl.DataFrame, *, serve: str) -> dict[str, list[str]]:
    """Return the row that is served, per target, and then the others that apply at every age, best on validation first.

    Args:
        validation: The table `validation_items`.
        serve: The setting `model.serve`.
    """
    rows: dict[str, list[str]] = {}
    for (target,), of_target in validation.group_by("target_name", maintain_order=True):
        best, scores = _best(of_target)
        first = best if serve == BEST else row_title(serve)
        rows[target] = [first, *sorted(scores.keys() - {first}, key=lambda row: (scores[row], row))]
    return rows


def served_forecasts(forecasts: Sequence[Forecast], rows: Sequence[str], column: int) -> pl.DataFrame:
    """Return the forecasts of the first row that applies to each of n items, with the mean over its seeds.

    A row does not apply to an item of which it lacks an input: the log-linear extrapolation needs a count.

    Args:
        forecasts: Forecasts of the n items by every row.
        rows: Names of rows, the preferred one first.
        column: Number of the target.

    Returns:
        n rows: `model`, `predicted`, `predicted_low` and `predicted_high` (lowest and highest seed), `seeds`.
    """
    n = len(forecasts[0].values)
    parts = []
    for row in rows:
        by_seed = [forecast.values[:, column] for forecast in forecasts if forecast.row == row]
        if not by_seed:
            continue
        values = np.stack(by_seed)
        parts.append(
            pl.DataFrame(
                {
                    "place": np.arange(n),
                    "model": [row] * n,
                    "predicted": values.mean(axis=0),
                    "predicted_low": values.min(axis=0),
                    "predicted_high": values.max(axis=0),
                    "seeds": np.full(n, len(values), dtype=np.int32),
                },
                schema_overrides={"model": pl.String},
            ).filter(pl.col("predicted").is_not_nan())
        )
    return pl.concat(parts).unique("place", keep="first", maintain_order=True).sort("place").drop("place")


def target_rows(
    forecasts: pl.DataFrame, counted: np.ndarray, items: list[str], *, scale: targets.Transform, target: str
) -> pl.DataFrame:
    """Return the forecasts of one target as the table `predictions` has them.

    Args:
        forecasts: From `served_forecasts`.
        counted: (n,) counts so far, below which no count is forecast; NaN where unknown.
        items: n ids.
        scale: Scale of the target.
        target: Name of the target.
    """
    count = np.fmax(targets.inverse(forecasts["predicted"].to_numpy(), scale), counted)
    return forecasts.select(
        pl.Series("item", items, dtype=pl.String),
        "predicted",
        "predicted_low",
        "predicted_high",
        pl.Series("predicted_count", count),
        pl.Series("counted_so_far", counted).fill_nan(None).cast(pl.Int64),
        "seeds",
        pl.lit(target).alias("target_name"),
        "model",
    )


def _best(validation: pl.DataFrame) -> tuple[str, dict[str, float]]:
    """Return the best row of a target, and the error of every row that applies at every age."""
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
        return best, scores
    by_item = everywhere.group_by("predictor", "item").agg(pl.col("error").mean())
    own, other = (by_item.filter(pl.col("predictor") == name).select("item", "error") for name in (STACK, best))
    worse = own.join(other, on="item", suffix="_best")
    difference = (worse["error"] - worse["error_best"]).to_numpy()
    error = difference.std(ddof=1) / np.sqrt(len(difference)) if len(difference) > 1 else np.inf
    return (STACK if difference.mean() <= error else best), scores
