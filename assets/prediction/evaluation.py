"""Every predictor and the trivial baselines on the test split, with whole observation windows and at younger ages."""

import math
from collections.abc import Mapping

import dagster as dg
import numpy as np
import polars as pl

from assets.engine.data_versions import version_of_table
from assets.engine.dry_run import stop_if_plan_is_empty
from assets.engine.failure_checks import damages, failures
from assets.engine.pools import ON_THE_DEVICE
from assets.engine.run_log import keep_table, made_table
from assets.engine.shown_tables import table_of
from assets.engine.skip_unchanged import artifact_marks, skip_unchanged, stage_marks, table_marks, verdict_stands
from assets.engine.store_access import open_store
from assets.memory.feature_join import usable_items
from assets.prediction.all_forecasts import all_forecasts
from assets.prediction.forecast_rows import ForecastRows, made_from
from assets.prediction.forecast_scatter import forecast_scatter
from assets.prediction.input_digests import FITS, TABLES
from assets.prediction.item_forecasts import KEYS, item_forecasts
from assets.prediction.kept_forecasts import KeptForecasts
from assets.prediction.model_obstacles import NAME as OBSTACLES
from assets.prediction.popularity_model import popularity_model
from assets.prediction.predictor_inputs import samples_by_age
from assets.prediction.results import WRITTEN, baselines_ahead, cautions, evaluation_markdown, write_results
from assets.prediction.served_row import served_rows
from assets.prediction.stacking import WEIGHTS
from assets.prediction.trained_models import artifact_names
from assets.prediction.tuned_options import tuned_names
from assets.prediction.validation import NAME as VALIDATION
from assets.prediction.validation import read_validation
from assets.protocol.splits import items_of
from assets.settings import Settings
from models.metrics import evaluate, nmse
from models.predictor_table import MEAN
from storage.file_marks import files_mark
from storage.fingerprint import Fingerprint

NAME = "evaluation"
CODE = 6  # raise it when the same inputs give another result
ITEMS = "evaluation_items"
METRICS = ("nMSE", "SRC", "PLCC", "MAE", "nMSE_count", "PLCC_count", "MAE_count")


@dg.asset(
    group_name="prediction",
    kinds={"parquet"},
    deps=[popularity_model],
    description=__doc__,
    code_version=str(CODE),
    **ON_THE_DEVICE,
)
@skip_unchanged(
    "evaluation",
    reads=lambda store, settings: [
        *stage_marks(store),
        *table_marks(store, *TABLES, OBSTACLES, VALIDATION, WEIGHTS),
        *artifact_marks(store, *FITS, *artifact_names(settings), *tuned_names(settings)),
    ],
    makes=lambda store, settings: [
        *table_marks(store, NAME, ITEMS),
        files_mark(settings.results_folder() / file for file in WRITTEN),
    ],
)
def evaluation(context: dg.AssetExecutionContext, settings: Settings) -> dg.MaterializeResult:
    """Predict the test split with every model and every baseline, and store the predictions and their metrics."""
    store = open_store(settings)
    fingerprint = Fingerprint(
        code=CODE,
        parameters={"target": settings.protocol.target, "ages": settings.protocol.ages, "train": settings.model.train},
    )
    rows = ForecastRows(store, settings)
    frame = made_table(
        context,
        store,
        ITEMS,
        inputs_hash=made_from(store, settings, "train", "val", "test"),
        fingerprint=fingerprint,
        compute=lambda: _predict(rows),
    )
    table = _metrics(frame)
    if keep_table(context, store, NAME, table, fingerprint):
        store.append("metrics", table.with_columns(pl.lit(context.run.run_id).alias("run_id")))
    stop_if_plan_is_empty()
    folder, served = settings.results_folder(), served_rows(read_validation(store), serve=settings.model.serve)
    hours = settings.protocol.hours if settings.protocol.first_k is None else None
    window = "whole window" if hours is None else f"{hours:g} h"
    notes = [f"log-linear extrapolation does not apply: {line}" for line in rows.why_no_line()]
    tested = frame.filter(pl.col("age_hours").is_null())["item"].unique(maintain_order=True).to_list()
    notes += [
        f"{number} of {len(tested)} test items have no count of {name} in their window. There log-linear extrapolation is the "
        "training mean"
        for name, number in rows.uncounted(tested).items()
    ]
    text = evaluation_markdown(table, frame, notes, window=window, served=served)
    write_results(folder, table=table, items=frame, text=text, hours=hours)
    failed = failures(store)
    for stage, item, kind, message in failed.iter_rows():
        context.log.warning("failed row: %s, item %s: %s: %s", stage, item, kind, message)
    for item, damage in damages(store).iter_rows():
        context.log.warning("damaged file, used in part: item %s: %s", item, damage)
    context.log.info("evaluation on %d test items\n%s\nresults: %s", len(tested), text, folder)
    for caution in cautions(table, served):
        context.log.warning("evaluation: %s", caution)
    return dg.MaterializeResult(
        data_version=version_of_table(frame),
        metadata={
            **scores_of_served(table, served),
            "scores": table_of(scores_by_row(table, target=next(iter(served)))),
            **forecast_scatter(frame, served),
            "test_items": len(tested),
            "results": str(folder),
        },
    )


def scores_by_row(table: pl.DataFrame, *, target: str) -> pl.DataFrame:
    """Return the mean metrics over the seeds of each row for one target with whole windows, best nMSE first.

    Args:
        table: The table `evaluation`.
        target: Name of the target.
    """
    return (
        table.filter(pl.col("age_hours").is_null(), pl.col("target_name") == target)
        .group_by(pl.col("predictor").alias("row"))
        .agg(pl.len().alias("fits"), pl.col("items").first(), pl.col("nMSE", "SRC", "PLCC", "MAE").mean())
        .sort("nMSE")
    )


def scores_of_served(table: pl.DataFrame, served: Mapping[str, str]) -> dict[str, float]:
    """Return the served row's nMSE, SRC and MAE per target as numbers, which Dagster plots over the runs.

    Args:
        table: The table `evaluation`.
        served: Target -> the row that is served.
    """
    return {
        f"{metric} of {target}": value
        for target, row in served.items()
        for own in scores_by_row(table, target=target).filter(row=row).iter_rows(named=True)
        for metric in ("nMSE", "SRC", "MAE")
        if math.isfinite(value := own[metric])
    }


def _predict(rows: ForecastRows) -> pl.DataFrame:
    """Return every row's forecast of every test item, with its whole window and then at each younger age."""
    store, settings, frames = rows.store, rows.settings, []
    kept = KeptForecasts(store, ITEMS)
    for age, test in samples_by_age(store, settings, "test", [None, *rows.ages[:-1]]).each():
        forecasts = all_forecasts(rows, test, kept=kept)
        frames.append(item_forecasts(store, settings, test, forecasts, age=age))
    kept.keep()
    return pl.concat(frames)


def _metrics(frame: pl.DataFrame) -> pl.DataFrame:
    """Return every metric of every predictor and seed, over the whole split in float64 (docs/protocol.md, rule Metrics)."""
    rows = []
    for key, part in frame.group_by(KEYS, maintain_order=True):
        values = evaluate(
            part["target"].to_numpy(),
            part["predicted"].to_numpy(),
            count=part["count"].to_numpy(),
            predicted_count=part["predicted_count"].to_numpy(),
        )
        metrics = {metric: values[metric] for metric in METRICS}
        rows.append({**dict(zip(KEYS, key, strict=True)), "items": len(part), **metrics})
    return pl.DataFrame(rows, schema_overrides={"seed": pl.Int64, "age_hours": pl.Float64})


@dg.asset_check(asset=evaluation, blocking=True)
@verdict_stands(
    "metrics_are_over_the_whole_split",
    reads=lambda store, settings: [*stage_marks(store), *table_marks(store, NAME, ITEMS, "splits")],
)
def metrics_are_over_the_whole_split(settings: Settings) -> dg.AssetCheckResult:
    """Each metric is one figure over exactly the test items, none of which was trained on (docs/protocol.md, rule Metrics)."""
    store = open_store(settings)
    return check_evaluation(store.table(NAME).read(), store.table(ITEMS).read(), usable_items(store))


def check_evaluation(table: pl.DataFrame, items: pl.DataFrame, sides: pl.DataFrame) -> dg.AssetCheckResult:
    """Recompute nMSE from the stored predictions, and compare the scored items with the split.

    With whole windows, every test item is scored for each of its known targets. At a younger age, the items observed for
    longer are scored, the same items for every predictor.

    Args:
        table: The table `evaluation`.
        items: The table `evaluation_items`.
        sides: The split of the usable items.
    """
    test = set(items_of(sides, "test"))
    problems = []
    scored: dict[tuple[str, float | None], list[str]] = {}
    for (name, seed, target, age), part in items.group_by(KEYS, maintain_order=True):
        label = " ".join(str(word) for word in (name, seed, target, age) if word is not None)
        here = sorted(part["item"])
        if here != scored.setdefault((target, age), here) or not set(here) <= test:
            problems.append(f"{label}: its items differ from the test split's")
        row = table.filter(
            pl.col("predictor") == name,
            pl.col("seed").eq_missing(pl.lit(seed, pl.Int64)),
            pl.col("target_name") == target,
            pl.col("age_hours").eq_missing(pl.lit(age, pl.Float64)),
        )
        again = float(nmse(part["target"].to_numpy(), part["predicted"].to_numpy()))
        if len(row) != 1 or not np.isclose(row["nMSE"][0], again, rtol=1e-9, equal_nan=True):
            problems.append(f"{label}: the stored nMSE differs from the recomputed one, {again:.6f}")
    whole = items.filter(pl.col("age_hours").is_null())
    if set(whole["item"]) != test:
        problems.append("whole windows: the scored items differ from the test split's")
    return dg.AssetCheckResult(
        passed=not problems, metadata={"test_items": len(test), "problems": dg.MetadataValue.json(problems)}
    )


@dg.asset_check(asset=evaluation)
def served_row_beats_the_others(settings: Settings) -> dg.AssetCheckResult:
    """The served row is better than every other in nMSE and SRC: whole windows, mean over the seeds; else a warning."""
    store = open_store(settings)
    served = served_rows(read_validation(store), serve=settings.model.serve)
    ahead = baselines_ahead(store.table(NAME).read(), served)
    return dg.AssetCheckResult(
        passed=not ahead,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"better_rows": dg.MetadataValue.json(ahead)},
    )


@dg.asset_check(asset=evaluation)
def younger_ages_beat_the_mean(settings: Settings) -> dg.AssetCheckResult:
    """At every younger age, the served row's nMSE is no worse than the training mean's; else a warning."""
    store = open_store(settings)
    return check_ages(store.table(NAME).read(), served_rows(read_validation(store), serve=settings.model.serve))


def check_ages(table: pl.DataFrame, served: Mapping[str, str]) -> dg.AssetCheckResult:
    """Compare the served row's nMSE, averaged over the seeds, with the training mean's at every younger age.

    Args:
        table: The table `evaluation`.
        served: Target -> the row that is served.
    """
    means = (
        table.filter(pl.col("age_hours").is_not_null())
        .group_by("target_name", "age_hours", "predictor")
        .agg(pl.col("nMSE").mean())
    )
    rows = pl.DataFrame({"target_name": list(served), "predictor": list(served.values())})
    own = means.join(rows, on=["target_name", "predictor"])
    mean = means.filter(pl.col("predictor") == MEAN).drop("predictor")
    both = own.join(mean, on=["target_name", "age_hours"], suffix="_mean").sort("target_name", "age_hours")
    worse = both.filter(pl.col("nMSE") > pl.col("nMSE_mean"))
    return dg.AssetCheckResult(
        passed=worse.is_empty(),
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "worse_at_hours": dg.MetadataValue.json(worse["age_hours"].to_list()),
            "nmse": dg.MetadataValue.json(
                {
                    f"{target} at {age:g} h": value
                    for target, age, value in both.select("target_name", "age_hours", "nMSE").iter_rows()
                }
            ),
        },
    )
