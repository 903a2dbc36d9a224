"""[prediction] evaluation: M3TR on the test split beside the trivial baselines, once over the whole split."""

import dagster as dg
import numpy as np
import polars as pl

from assets.engine.data_versions import version_of_table
from assets.engine.dry_run import stop_if_plan_is_empty
from assets.engine.failure_checks import damages, failures
from assets.engine.pools import ON_THE_DEVICE
from assets.engine.run_log import keep_table, made_table
from assets.engine.store_access import open_store
from assets.memory.feature_join import usable_items
from assets.prediction.popularity_model import popularity_model
from assets.prediction.predictor_inputs import samples_of
from assets.prediction.results import MODEL, baselines_ahead, cautions, evaluation_markdown, write_results
from assets.prediction.seed_predictions import forecasts, made_from
from assets.protocol.popularity import read_popularity
from assets.protocol.splits import items_of
from assets.settings import Settings
from models import targets
from models.baselines import LogLinear, NotApplicable, neighbour_mean, training_mean
from models.metrics import evaluate, nmse
from models.predictors import Samples
from storage.fingerprint import Fingerprint
from storage.store import Store

NAME = "evaluation"
CODE = 1  # raise it when the same inputs give another result
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
def evaluation(context: dg.AssetExecutionContext, settings: Settings) -> dg.MaterializeResult:
    """Predict the test split with every seed's model and every baseline; keep the predictions and their metrics."""
    store = open_store(settings)
    training = _of(read_popularity(store), np.array(items_of(usable_items(store), "train"), dtype=str))
    line, notes = _extrapolation(training)
    fingerprint = Fingerprint(code=CODE, parameters={"target": settings.protocol.target})
    frame = made_table(
        context,
        store,
        ITEMS,
        inputs_hash=made_from(store, settings, "test"),
        fingerprint=fingerprint,
        compute=lambda: _predict(store, settings, training, line),
    )
    table = _metrics(frame)
    if keep_table(context, store, NAME, table, fingerprint):
        store.append("metrics", table.with_columns(pl.lit(context.run.run_id).alias("run_id")))
    stop_if_plan_is_empty()
    folder = settings.results_folder()
    text = evaluation_markdown(table, frame, notes)
    write_results(folder, table=table, items=frame, text=text)
    failed = failures(store)
    for stage, item, kind, message in failed.iter_rows():
        context.log.warning("failed row: %s, item %s: %s: %s", stage, item, kind, message)
    for item, damage in damages(store).iter_rows():
        context.log.warning("damaged file, used up to there: item %s: %s", item, damage)
    tested = frame["item"].n_unique()
    context.log.info("evaluation on %d test items\n%s\nresults: %s", tested, text, folder)
    for caution in cautions(table):
        context.log.warning("evaluation: %s", caution)
    return dg.MaterializeResult(
        data_version=version_of_table(frame),
        metadata={"table": dg.MetadataValue.md(text), "test_items": tested, "results": str(folder)},
    )


def _of(labels: pl.DataFrame, items: np.ndarray) -> pl.DataFrame:
    wanted = pl.DataFrame({"item": items.tolist()}, schema={"item": pl.String})
    return wanted.join(labels, on="item", how="left", maintain_order="left")


def _extrapolation(training: pl.DataFrame) -> tuple[LogLinear | None, list[str]]:
    """The log-linear extrapolation fitted on the training items; where it does not apply, None and a note that says why."""
    try:
        return LogLinear.fit(training["observed_count"].to_numpy(), training["count"].to_numpy()), []
    except NotApplicable as reason:
        return None, [f"log-linear extrapolation does not apply: {reason}"]


def _predict(store: Store, settings: Settings, training: pl.DataFrame, line: LogLinear | None) -> pl.DataFrame:
    """Every predictor's forecast of every test item, trivial predictors first."""
    test = samples_of(store, "test", size=settings.retrieval.neighbours)
    labels, scale = _of(read_popularity(store), test.items), settings.protocol.target
    known, found = training["target"].to_numpy(), test.neighbourhood
    predicted: list[tuple[str, int | None, np.ndarray]] = [
        ("training mean", None, training_mean(known, len(test))),
        ("mean of neighbours", None, neighbour_mean(found.label, found.mask, known)),
    ]
    if line is not None:
        counts = np.maximum(line.predict(labels["observed_count"].to_numpy()), targets.smallest_count(scale))
        predicted.append(("log-linear extrapolation", None, targets.forward(counts, scale)))
    for seed, values in zip(settings.model.seeds, forecasts(store, settings, test), strict=True):
        predicted.append((MODEL, seed, values))
    return _per_item(test, labels, predicted, scale)


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
    """Every metric of every predictor and seed, once over the whole split in float64 (design section 5, rule 6)."""
    rows = []
    for (name, seed), part in frame.group_by("predictor", "seed", maintain_order=True):
        metrics = evaluate(
            part["target"].to_numpy(),
            part["predicted"].to_numpy(),
            count=part["count"].to_numpy(),
            predicted_count=part["predicted_count"].to_numpy(),
        )
        rows.append(
            {"predictor": name, "seed": seed, "items": len(part), **{metric: metrics[metric] for metric in METRICS}}
        )
    return pl.DataFrame(rows, schema_overrides={"seed": pl.Int64})


@dg.asset_check(asset=evaluation, blocking=True)
def metrics_are_over_the_whole_split(settings: Settings) -> dg.AssetCheckResult:
    """Each metric is one figure over exactly the test items, none of which was trained on (design section 5, rule 6)."""
    store = open_store(settings)
    return check_evaluation(store.table(NAME).read(), store.table(ITEMS).read(), usable_items(store))


def check_evaluation(table: pl.DataFrame, items: pl.DataFrame, sides: pl.DataFrame) -> dg.AssetCheckResult:
    """Recompute nMSE from the stored predictions and compare the items with the split."""
    wanted = sorted(items_of(sides, "test"))
    problems = []
    for (name, seed), part in items.group_by("predictor", "seed", maintain_order=True):
        label = name if seed is None else f"{name}, seed {seed}"
        if sorted(part["item"]) != wanted:
            problems.append(f"{label}: its items are not the test split's")
        row = table.filter((pl.col("predictor") == name) & pl.col("seed").eq_missing(pl.lit(seed, pl.Int64)))
        again = float(nmse(part["target"].to_numpy(), part["predicted"].to_numpy()))
        if len(row) != 1 or not np.isclose(row["nMSE"][0], again, rtol=1e-9, equal_nan=True):
            problems.append(f"{label}: nMSE is not {again:.6f}")
    return dg.AssetCheckResult(
        passed=not problems, metadata={"test_items": len(wanted), "problems": dg.MetadataValue.json(problems)}
    )


@dg.asset_check(asset=evaluation)
def model_beats_the_baselines(settings: Settings) -> dg.AssetCheckResult:
    """Warn where a trivial predictor is at least as good as the model: mean over the seeds, nMSE and SRC."""
    ahead = baselines_ahead(open_store(settings).table(NAME).read())
    return dg.AssetCheckResult(
        passed=not ahead,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"better_baselines": dg.MetadataValue.json(ahead)},
    )
