"""One forecast per item without a label, as a count and on the target's scale, with the neighbours it is based on."""

from collections.abc import Mapping, Sequence

import dagster as dg
import polars as pl

from assets.engine.data_versions import version_of_table
from assets.engine.dry_run import stop_if_plan_is_empty
from assets.engine.pools import ON_THE_DEVICE
from assets.engine.run_log import made_table
from assets.engine.shown_tables import table_of
from assets.engine.skip_unchanged import artifact_marks, skip_unchanged, stage_marks, table_marks
from assets.engine.store_access import open_store
from assets.ingest.videos import known_items
from assets.memory.neighbours import read_neighbours
from assets.prediction.all_forecasts import all_forecasts
from assets.prediction.counted import counted_so_far
from assets.prediction.evaluation import evaluation
from assets.prediction.forecast_rows import ForecastRows, made_from
from assets.prediction.input_digests import FITS, TABLES
from assets.prediction.kept_forecasts import KeptForecasts
from assets.prediction.model_obstacles import NAME as OBSTACLES
from assets.prediction.predictor_inputs import samples_of
from assets.prediction.provenance import Provenance
from assets.prediction.served_row import BEST, ranked_rows, served_forecasts, target_rows
from assets.prediction.stacking import WEIGHTS
from assets.prediction.trained_models import artifact_names
from assets.prediction.tuned_options import tuned_names
from assets.prediction.validation import NAME as VALIDATION
from assets.prediction.validation import read_validation
from assets.protocol.labels import target_names
from assets.protocol.popularity import read_popularity
from assets.settings import Settings
from storage.durable import write_text
from storage.file_marks import files_mark
from storage.fingerprint import Fingerprint
from storage.store import Store

NAME = "predictions"
CODE = 6  # raise it when the same inputs give another result
FILE = "predictions.csv"


@dg.asset(
    group_name="prediction",
    kinds={"parquet"},
    deps=[evaluation],
    description=__doc__,
    code_version=str(CODE),
    **ON_THE_DEVICE,
)
@skip_unchanged(
    "predictions",
    reads=lambda store, settings: [
        *stage_marks(store),
        *table_marks(store, *TABLES, OBSTACLES, VALIDATION, WEIGHTS),
        *artifact_marks(store, *FITS, *artifact_names(settings), *tuned_names(settings)),
    ],
    makes=lambda store, settings: [*table_marks(store, NAME), files_mark([settings.results_folder() / FILE])],
)
def predictions(context: dg.AssetExecutionContext, settings: Settings) -> dg.MaterializeResult:
    """Predict with the row that is best on the validation items; one row per item and target.

    The forecasts of the seeds are averaged on the scale of the target. `model.serve` names another row. No forecast is
    below the events counted of the item so far, including those after its observation window.
    """
    store = open_store(settings)
    ranked = ranked_rows(read_validation(store), serve=settings.model.serve)
    served = {target: rows[0] for target, rows in ranked.items()}
    for target, row in served.items():
        why = "it is best on the validation items" if settings.model.serve == BEST else "model.serve names it"
        context.log.info("predictions: %s is forecast by %s: %s", target, row, why)
    frame = made_table(
        context,
        store,
        NAME,
        inputs_hash=made_from(store, settings, "train", "val", "predict"),
        fingerprint=Fingerprint(
            code=CODE,
            parameters={
                "target": settings.protocol.target,
                "ages": settings.protocol.ages,
                "train": settings.model.train,
                "served": ranked,
            },
        ),
        compute=lambda: _predict(store, settings, ranked),
        metadata=Provenance.of(store, settings, code=CODE).facts(),
    )
    stop_if_plan_is_empty()
    _tell_other_rows(context, frame, served)
    folder = settings.results_folder()
    flat = frame.with_columns(pl.col("neighbours").list.eval(pl.element().struct.field("item")).list.join(" "))
    write_text(folder / FILE, flat.write_csv())
    context.log.info("predictions: %d items without a label, in %s", frame["item"].n_unique(), folder / FILE)
    shown = (
        frame.filter(pl.col("target_name") == next(iter(served)))
        .sort("predicted", descending=True)
        .head(10)
        .select("item", "title", "predicted_count", "observed_events")
    )
    by_mode = dict(frame["retrieval"].value_counts(sort=True).iter_rows())
    return dg.MaterializeResult(
        data_version=version_of_table(frame),
        metadata={
            "items": frame["item"].n_unique(),
            "served": dg.MetadataValue.json(served),
            "retrieval": dg.MetadataValue.json(by_mode),
            "highest": table_of(shown),
            "results": str(folder),
        },
    )


def _tell_other_rows(context: dg.AssetExecutionContext, frame: pl.DataFrame, served: Mapping[str, str]) -> None:
    """Log how many items got the forecast of another row, because the served one does not apply to them."""
    others = frame.filter(pl.col("model") != pl.col("target_name").replace(served))
    for target, row, items in others.group_by("target_name", "model", maintain_order=True).len().iter_rows():
        context.log.warning(
            "predictions: %s: %s does not apply to %d items, because it lacks an input; they are forecast by %s",
            *(target, served[target], items, row),
        )


def _predict(store: Store, settings: Settings, ranked: Mapping[str, Sequence[str]]) -> pl.DataFrame:
    samples = samples_of(store, settings, "predict")
    items, names, rows = samples.items.tolist(), target_names(store), ForecastRows(store, settings)
    counted = counted_so_far(rows.events, rows.counters, rows.popularity, rows.targets, items=items)
    kept = KeptForecasts(store, NAME)
    forecasts = all_forecasts(rows, samples, floor=counted, kept=kept)
    kept.keep()
    retrieved = (
        read_neighbours(store)
        .sort("item", "rank")
        .group_by("item", maintain_order=True)
        .agg(
            pl.struct(pl.col("neighbour").alias("item"), "score", "ss_modal", "ss_temp", "label").alias("neighbours"),
            pl.col("mode").first().alias("retrieval"),
            pl.col("bank_version").first(),
        )
    )
    frame = pl.concat(
        target_rows(
            served_forecasts(forecasts, ranked[name], column),
            counted[:, column],
            items,
            scale=settings.protocol.target,
            target=name,
        )
        for column, name in enumerate(names)
    )
    known = read_popularity(store).select("item", "t0", "observed_until", "observed_events", "window_complete")
    return (
        frame.join(known_items(store).select("item", "title"), on="item", how="left", maintain_order="left")
        .join(known, on="item", how="left", maintain_order="left")
        .join(retrieved, on="item", how="left", maintain_order="left")
        .with_columns(pl.col("retrieval").fill_null("none"))
    )


def read_predictions(store: Store) -> pl.DataFrame:
    """Return one row per unlabelled item and target; `neighbours` lists the neighbours used, most similar first."""
    return store.table(NAME).read()
