"""Every row's metrics on the test items, with intervals over seeds and over resampled items."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import polars as pl

from models.metrics import METRICS, interval
from models.predictor_table import TRIVIAL
from models.resampled_metrics import ResampledMetrics

RESAMPLES = 500
SHOWN = {  # metric -> its function in `models.metrics`, columns of labels and forecasts
    **{name: (name, "target", "predicted") for name in METRICS},
    **{f"{name}_count": (name, "count", "predicted_count") for name in ("nMSE", "MAE")},
}
GROUP = ("arm", "target_name", "age_hours")
STRATA = (50, 200, 500)  # M3TR tables 2 and 4; MUFM's 100 lies between


def score_rows(items: pl.DataFrame, *, against: str | None = None) -> pl.DataFrame:
    """Return the metrics of every row.

    Args:
        items: Forecasts of test items (`assets.prediction.item_forecasts`) with `arm`, the name of the run that made them.
        against: Row that `behind` compares with; None for the row with the lowest nMSE.

    Returns:
        One row per arm, target, age and predictor, the trivial rows first and then by nMSE: `items`, `seeds`, and per metric of
        `SHOWN` its mean over seeds, `_seed_low` and `_seed_high` (95 % interval over seeds; NaN with one seed), `_item_low`
        and `_item_high` (95 % of resampled test sets). `first` marks the row with the lowest nMSE. `behind` is the nMSE of a
        row minus that of `against`, over the same resampled items, with `behind_low` and `behind_high`.
    """
    frames = []
    for key, part in items.group_by(GROUP, maintain_order=True):
        sets = ResampledMetrics(part["item"].n_unique(), resamples=RESAMPLES)
        rows, resampled = [], {}
        for name, runs in runs_of_rows(part):
            scores, resampled[name] = _scores(runs, sets)
            rows.append({"predictor": name, **scores})
        finite = [row for row in rows if math.isfinite(row["nMSE"])]
        best = min(finite, key=lambda row: row["nMSE"], default=None)
        other = best if against is None else next((row for row in finite if row["predictor"] == against), None)
        for row in finite:
            row["first"] = row is best
            if other is not None and row is not other:
                row["behind"] = row["nMSE"] - other["nMSE"]
                row |= ends("behind", resampled[row["predictor"]] - resampled[other["predictor"]])
        rows.sort(key=lambda row: (row["predictor"] not in TRIVIAL, row["nMSE"] if row in finite else math.inf))
        frames.append(pl.DataFrame([{**dict(zip(GROUP, key)), **row} for row in rows], schema=_schema()))
    return pl.concat(frames).with_columns(pl.col("first").fill_null(False))


def _schema() -> dict[str, type[pl.DataType]]:
    ends = ("", "_seed_low", "_seed_high", "_item_low", "_item_high")
    return {
        **dict.fromkeys(("arm", "target_name"), pl.String),
        "age_hours": pl.Float64,
        "predictor": pl.String,
        "items": pl.Int64,
        "seeds": pl.Int64,
        "first": pl.Boolean,
        **{f"{metric}{end}": pl.Float64 for metric in SHOWN for end in ends},
        **dict.fromkeys(("behind", "behind_low", "behind_high"), pl.Float64),
    }


def runs_of_rows(items: pl.DataFrame) -> Iterator[tuple[str, dict[str, np.ndarray]]]:
    """Yield each row's labels and forecasts, in the order of the items' ids.

    Args:
        items: Forecasts of one run, target and age.

    Yields:
        Name of the row, and its `target` and `count` (n,), `predicted` and `predicted_count` (seeds, n).
    """
    for (name,), own in items.group_by("predictor", maintain_order=True):
        seeds = [run.sort("item") for _, run in own.group_by("seed", maintain_order=True)]
        labels = {column: seeds[0][column].to_numpy() for column in ("target", "count")}
        yield (
            name,
            labels | {c: np.stack([run[c].to_numpy() for run in seeds]) for c in ("predicted", "predicted_count")},
        )


def _scores(runs: dict[str, np.ndarray], sets: ResampledMetrics) -> tuple[dict[str, float | int], np.ndarray]:
    """Return a row's scores, and the nMSE of every resampled set, averaged over seeds."""
    scores: dict[str, float | int] = {"items": len(runs["target"]), "seeds": len(runs["predicted"])}
    resampled = {
        columns: [sets.metrics(runs[columns[0]], run, ranks=columns[0] == "target") for run in runs[columns[1]]]
        for columns in {tuple(place[1:]) for place in SHOWN.values()}
    }
    for name, (metric, *columns) in SHOWN.items():
        label, forecast = columns
        over_seeds = interval([float(METRICS[metric](runs[label], run)) for run in runs[forecast]])
        scores |= {name: over_seeds.value, f"{name}_seed_low": over_seeds.low, f"{name}_seed_high": over_seeds.high}
        scores |= ends(f"{name}_item", np.mean([found[metric] for found in resampled[tuple(columns)]], axis=0))
    return scores, np.mean([found["nMSE"] for found in resampled["target", "predicted"]], axis=0)


def ends(name: str, values: np.ndarray) -> dict[str, float]:
    """Return the ends of the interval that holds 95 % of the defined values; NaN if there are none.

    Args:
        name: Prefix of the keys `low` and `high`; empty for none.
        values: (resamples,) values.
    """
    defined = values[np.isfinite(values)]
    low, high = np.quantile(defined, [0.025, 0.975]) if len(defined) else (math.nan, math.nan)
    prefix = f"{name}_" if name else ""
    return {f"{prefix}low": float(low), f"{prefix}high": float(high)}


def strata(items: pl.DataFrame) -> pl.DataFrame:
    """Return the mean forecast of the test items with the highest and the lowest counts (M3TR table 4, MUFM table 4).

    Items are taken by count and then by id, because many of the lowest counts are equal. A stratum of more items than there are
    is left out.

    Args:
        items: As for `score_rows`; whole windows are used.

    Returns:
        `arm`, `target_name`, `predictor`, `stratum` (such as "top 50"), `true_mean` and `mean`, in counts; seeds are averaged.
    """
    rows = []
    whole = items.filter(pl.col("age_hours").is_null())
    for (arm, target, name), part in whole.group_by("arm", "target_name", "predictor", maintain_order=True):
        by_item = part.group_by("item").agg(pl.col("count").first(), pl.col("predicted_count").mean())
        ordered = by_item.sort("count", "item")
        for size in (size for size in STRATA if size <= len(ordered)):
            for side, taken in (("top", ordered.tail(size)), ("bottom", ordered.head(size))):
                rows.append(
                    {
                        "arm": arm,
                        "target_name": target,
                        "predictor": name,
                        "stratum": f"{side} {size}",
                        "true_mean": taken["count"].mean(),
                        "mean": taken["predicted_count"].mean(),
                    }
                )
    texts = dict.fromkeys(("arm", "target_name", "predictor", "stratum"), pl.String)
    return pl.DataFrame(rows, schema={**texts, "true_mean": pl.Float64, "mean": pl.Float64})
