"""One forecast per item without a label, as a count and on the target's scale, with the neighbours it is based on."""

import dagster as dg
import numpy as np
import polars as pl

from assets.engine.data_versions import version_of_table
from assets.engine.dry_run import stop_if_plan_is_empty
from assets.engine.pools import ON_THE_DEVICE
from assets.engine.run_log import made_table
from assets.engine.skip_unchanged import artifact_marks, skip_unchanged, stage_marks, table_marks
from assets.engine.store_access import open_store
from assets.ingest.interactions import read_events
from assets.ingest.videos import known_items
from assets.memory.neighbours import read_neighbours
from assets.prediction.counted import at_least, counted_so_far
from assets.prediction.evaluation import evaluation
from assets.prediction.popularity_model import model_names
from assets.prediction.predictor_inputs import samples_of
from assets.prediction.seed_predictions import forecasts, made_from
from assets.protocol.popularity import read_popularity
from assets.settings import Settings
from models import targets
from storage.durable import write_text
from storage.file_marks import files_mark
from storage.fingerprint import Fingerprint
from storage.store import Store

NAME = "predictions"
CODE = 3  # raise it when the same inputs give another result
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
        *table_marks(store, "interactions", "popularity", "splits", "neighbours"),
        *artifact_marks(store, "hawkes_process", "memory_bank", *model_names(settings)),
    ],
    makes=lambda store, settings: [*table_marks(store, NAME), files_mark([settings.results_folder() / FILE])],
)
def predictions(context: dg.AssetExecutionContext, settings: Settings) -> dg.MaterializeResult:
    """Predict with every seed's model and average on the scale of the target; one row per item.

    No forecast is below the events counted of the item so far, including those after its observation window.
    """
    store = open_store(settings)
    frame = made_table(
        context,
        store,
        NAME,
        inputs_hash=made_from(store, settings, "predict"),
        fingerprint=Fingerprint(code=CODE, parameters={"target": settings.protocol.target}),
        compute=lambda: _predict(store, settings),
    )
    stop_if_plan_is_empty()
    folder = settings.results_folder()
    flat = frame.with_columns(pl.col("neighbours").list.eval(pl.element().struct.field("item")).list.join(" "))
    write_text(folder / FILE, flat.write_csv())
    context.log.info("predictions: %d items without a label, in %s", len(frame), folder / FILE)
    shown = (
        frame.sort("predicted", descending=True).head(10).select("item", "title", "predicted_count", "observed_events")
    )
    preview = ["| item | title | predicted count | events so far |", "|---|---|---:|---:|"]
    preview += [f"| {item} | {title or ''} | {count:.1f} | {seen} |" for item, title, count, seen in shown.iter_rows()]
    by_mode = dict(frame["retrieval"].value_counts(sort=True).iter_rows())
    return dg.MaterializeResult(
        data_version=version_of_table(frame),
        metadata={
            "items": len(frame),
            "retrieval": dg.MetadataValue.json(by_mode),
            "highest": dg.MetadataValue.md("\n".join(preview)),
            "results": str(folder),
        },
    )


def _predict(store: Store, settings: Settings) -> pl.DataFrame:
    samples = samples_of(store, "predict", size=settings.retrieval.neighbours)
    items = samples.items.tolist()
    scale = settings.protocol.target
    counted = counted_so_far(read_events(store), read_popularity(store), settings.protocol, items=items)
    values = at_least(forecasts(store, settings, samples), counted, scale)
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
    frame = pl.DataFrame(
        {
            "item": items,
            "predicted": values.mean(axis=0),
            "predicted_low": values.min(axis=0),
            "predicted_high": values.max(axis=0),
            "predicted_count": np.maximum(targets.inverse(values.mean(axis=0), scale), counted),
            "counted_so_far": counted.astype(np.int64),
            "seeds": np.full(len(items), len(values), dtype=np.int32),
        },
        schema_overrides={"item": pl.String},
    )
    known = read_popularity(store).select("item", "t0", "observed_until", "observed_events", "window_complete")
    return (
        frame.join(known_items(store).select("item", "title"), on="item", how="left", maintain_order="left")
        .join(known, on="item", how="left", maintain_order="left")
        .join(retrieved, on="item", how="left", maintain_order="left")
        .with_columns(pl.col("retrieval").fill_null("none"))
    )


def read_predictions(store: Store) -> pl.DataFrame:
    """Return one row per unlabelled item; `neighbours` lists the neighbours used, most similar first."""
    return store.table(NAME).read()
