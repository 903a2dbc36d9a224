"""M3TR and the trivial baselines on the test split, with whole observation windows and at younger ages."""

import dagster as dg
import numpy as np
import polars as pl

from assets.engine.data_versions import version_of_table
from assets.engine.dry_run import stop_if_plan_is_empty
from assets.engine.failure_checks import damages, failures
from assets.engine.pools import ON_THE_DEVICE
from assets.engine.run_log import keep_table, made_table
from assets.engine.skip_unchanged import artifact_marks, skip_unchanged, stage_marks, table_marks, verdict_stands
from assets.engine.store_access import open_store
from assets.ingest.interactions import read_events
from assets.memory.feature_join import usable_items
from assets.prediction.counted import at_least, counted_at
from assets.prediction.popularity_model import model_names, popularity_model
from assets.prediction.predictor_inputs import samples_of
from assets.prediction.results import MODEL, WRITTEN, baselines_ahead, cautions, evaluation_markdown, write_results
from assets.prediction.seed_predictions import forecasts, made_from
from assets.protocol.observation import HOUR_MS
from assets.protocol.popularity import read_popularity
from assets.protocol.splits import items_of
from assets.settings import Settings
from models import targets
from models.baselines import LogLinear, NotApplicable, neighbour_mean, training_mean
from models.metrics import evaluate, nmse
from models.predictors import Samples
from storage.file_marks import files_mark
from storage.fingerprint import Fingerprint
from storage.store import Store

NAME = "evaluation"
CODE = 3  # raise it when the same inputs give another result
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
        *table_marks(store, "interactions", "popularity", "splits", "neighbours"),
        *artifact_marks(store, "hawkes_process", "memory_bank", *model_names(settings)),
    ],
    makes=lambda store, settings: [
        *table_marks(store, NAME, ITEMS),
        files_mark(settings.results_folder() / file for file in WRITTEN),
    ],
)
def evaluation(context: dg.AssetExecutionContext, settings: Settings) -> dg.MaterializeResult:
    """Predict the test split with every seed's model and every baseline, and store the predictions and their metrics."""
    store = open_store(settings)
    fingerprint = Fingerprint(
        code=CODE, parameters={"target": settings.protocol.target, "ages": settings.protocol.ages}
    )
    training = _labels_of(np.array(items_of(usable_items(store), "train"), dtype=str), read_popularity(store))
    line = _extrapolation(training, training["observed_count"].to_numpy())
    frame = made_table(
        context,
        store,
        ITEMS,
        inputs_hash=made_from(store, settings, "test"),
        fingerprint=fingerprint,
        compute=lambda: _predict(store, settings, training),
    )
    table = _metrics(frame)
    if keep_table(context, store, NAME, table, fingerprint):
        store.append("metrics", table.with_columns(pl.lit(context.run.run_id).alias("run_id")))
    stop_if_plan_is_empty()
    folder = settings.results_folder()
    window = f"{settings.protocol.hours:g} h" if settings.protocol.first_k is None else "whole window"
    notes = [f"log-linear extrapolation does not apply: {line}"] if isinstance(line, NotApplicable) else []
    text = evaluation_markdown(table, frame, notes, window=window)
    write_results(folder, table=table, items=frame, text=text)
    failed = failures(store)
    for stage, item, kind, message in failed.iter_rows():
        context.log.warning("failed row: %s, item %s: %s: %s", stage, item, kind, message)
    for item, damage in damages(store).iter_rows():
        context.log.warning("damaged file, used in part: item %s: %s", item, damage)
    tested = frame.filter(pl.col("age_hours").is_null())["item"].n_unique()
    context.log.info("evaluation on %d test items\n%s\nresults: %s", tested, text, folder)
    for caution in cautions(table):
        context.log.warning("evaluation: %s", caution)
    return dg.MaterializeResult(
        data_version=version_of_table(frame),
        metadata={"table": dg.MetadataValue.md(text), "test_items": tested, "results": str(folder)},
    )


def _labels_of(items: np.ndarray, labels: pl.DataFrame) -> pl.DataFrame:
    frame = pl.DataFrame({"item": items.tolist()}, schema={"item": pl.String})
    return frame.join(labels, on="item", how="left", maintain_order="left")


def _extrapolation(training: pl.DataFrame, counts: np.ndarray) -> LogLinear | NotApplicable:
    """Fit the log-linear extrapolation to the training items' counts at some age, or return why it does not apply."""
    try:
        return LogLinear.fit(counts, training["count"].to_numpy())
    except NotApplicable as reason:
        return reason


def _predict(store: Store, settings: Settings, training: pl.DataFrame) -> pl.DataFrame:
    """Return every predictor's forecast of every test item, with its whole window and then at each younger age."""
    known, size = read_popularity(store), settings.retrieval.neighbours
    test = samples_of(store, "test", size=size)
    whole = _labels_of(test.items, known)["observed_count"].to_numpy()
    frames = [_forecast(store, settings, test, training, training["observed_count"].to_numpy(), whole, age=None)]
    events = read_events(store)
    for age in settings.protocol.ages:
        test = samples_of(store, "test", size=size, age=age)
        if len(test):
            observed = training.filter((pl.col("observed_until") - pl.col("t0")) / HOUR_MS > age)
            counts, counted = (
                counted_at(events, known, settings.protocol, items=items, age=age)
                for items in (observed["item"].to_list(), test.items.tolist())
            )
            frames.append(_forecast(store, settings, test, observed, counts, counted, age=age))
    return pl.concat(frames)


def _forecast(
    store: Store,
    settings: Settings,
    test: Samples,
    training: pl.DataFrame,
    counts: np.ndarray,
    counted: np.ndarray,
    *,
    age: float | None,
) -> pl.DataFrame:
    """Return every predictor's forecast of the test items at one age.

    Args:
        store: The store.
        settings: The settings.
        test: The test items, as they were at this age.
        training: Labels of the training items that were observed for longer.
        counts: (training items,) events counted by this age.
        counted: (test items,) events counted by this age.
        age: Age in hours; None for whole windows.
    """
    scale, nearest, known = settings.protocol.target, test.neighbourhood, training["target"].to_numpy()
    # Two forecasts are not raised to the count: the training mean, and a model without the temporal branch (no feedback).
    predicted: list[tuple[str, int | None, np.ndarray]] = [
        ("training mean", None, training_mean(known, len(test))),
        ("mean of neighbours", None, at_least(neighbour_mean(nearest.label, nearest.mask, known), counted, scale)),
    ]
    line = _extrapolation(training, counts)
    if isinstance(line, LogLinear):
        late = np.maximum(line.predict(counted), targets.smallest_count(scale))
        predicted.append(("log-linear extrapolation", None, at_least(targets.forward(late, scale), counted, scale)))
    by_seed = forecasts(store, settings, test)
    if settings.model.use_temporal:
        by_seed = at_least(by_seed, counted, scale)
    predicted += [(MODEL, seed, values) for seed, values in zip(settings.model.seeds, by_seed, strict=True)]
    frame = _per_item(test, _labels_of(test.items, read_popularity(store)), predicted, scale)
    return frame.with_columns(pl.lit(age, pl.Float64).alias("age_hours"))


def _per_item(
    test: Samples, labels: pl.DataFrame, predicted: list[tuple[str, int | None, np.ndarray]], scale: str
) -> pl.DataFrame:
    frames = [
        pl.DataFrame(
            {
                "predictor": [name] * len(test),
                "seed": [seed] * len(test),
                "item": test.items.tolist(),
                "target": test.target,
                "predicted": values,
                "count": labels["count"],
                "predicted_count": targets.inverse(values, scale),
            },
            schema_overrides={"seed": pl.Int64, "item": pl.String, "predictor": pl.String},
        )
        for name, seed, values in predicted
    ]
    return pl.concat(frames)


def _metrics(frame: pl.DataFrame) -> pl.DataFrame:
    """Return every metric of every predictor and seed, over the whole split in float64 (docs/protocol.md, rule Metrics)."""
    rows = []
    for (age, name, seed), part in frame.group_by("age_hours", "predictor", "seed", maintain_order=True):
        values = evaluate(
            part["target"].to_numpy(),
            part["predicted"].to_numpy(),
            count=part["count"].to_numpy(),
            predicted_count=part["predicted_count"].to_numpy(),
        )
        metrics = {metric: values[metric] for metric in METRICS}
        rows.append({"predictor": name, "seed": seed, "age_hours": age, "items": len(part), **metrics})
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

    With whole windows, every test item is scored. At a younger age, the items observed for longer are scored, the same items
    for every predictor.

    Args:
        table: The table `evaluation`.
        items: The table `evaluation_items`.
        sides: The split of the usable items.
    """
    test = sorted(items_of(sides, "test"))
    problems = []
    scored: dict[float | None, list[str]] = {None: test}
    for (age, name, seed), part in items.group_by("age_hours", "predictor", "seed", maintain_order=True):
        label = name if seed is None else f"{name}, seed {seed}"
        label += "" if age is None else f", at {age:g} h"
        here = sorted(part["item"])
        if here != scored.setdefault(age, here) or not set(here) <= set(test):
            problems.append(f"{label}: its items differ from the test split's")
        row = table.filter(
            pl.col("predictor") == name,
            pl.col("seed").eq_missing(pl.lit(seed, pl.Int64)),
            pl.col("age_hours").eq_missing(pl.lit(age, pl.Float64)),
        )
        again = float(nmse(part["target"].to_numpy(), part["predicted"].to_numpy()))
        if len(row) != 1 or not np.isclose(row["nMSE"][0], again, rtol=1e-9, equal_nan=True):
            problems.append(f"{label}: the stored nMSE differs from the recomputed one, {again:.6f}")
    return dg.AssetCheckResult(
        passed=not problems, metadata={"test_items": len(test), "problems": dg.MetadataValue.json(problems)}
    )


@dg.asset_check(asset=evaluation)
def model_beats_the_baselines(settings: Settings) -> dg.AssetCheckResult:
    """M3TR is better than every trivial predictor in nMSE and SRC: whole windows, mean over the seeds; else a warning."""
    ahead = baselines_ahead(open_store(settings).table(NAME).read())
    return dg.AssetCheckResult(
        passed=not ahead,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"better_baselines": dg.MetadataValue.json(ahead)},
    )


@dg.asset_check(asset=evaluation)
def younger_ages_beat_the_mean(settings: Settings) -> dg.AssetCheckResult:
    """At every younger age, M3TR's nMSE is no worse than the training mean's; else a warning."""
    return check_ages(open_store(settings).table(NAME).read())


def check_ages(table: pl.DataFrame) -> dg.AssetCheckResult:
    """Compare the model's nMSE, averaged over the seeds, with the training mean's at every younger age.

    Args:
        table: The table `evaluation`.
    """
    means = (
        table.filter(pl.col("age_hours").is_not_null()).group_by("age_hours", "predictor").agg(pl.col("nMSE").mean())
    )
    own, mean = (
        means.filter(pl.col("predictor") == name).select("age_hours", pl.col("nMSE").alias(name))
        for name in (MODEL, "training mean")
    )
    both = own.join(mean, on="age_hours").sort("age_hours")
    worse = both.filter(pl.col(MODEL) > pl.col("training mean"))
    return dg.AssetCheckResult(
        passed=worse.is_empty(),
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "worse_at_hours": dg.MetadataValue.json(worse["age_hours"].to_list()),
            "nmse": dg.MetadataValue.json({f"{age:g} h": value for age, value, _ in both.iter_rows()}),
        },
    )
