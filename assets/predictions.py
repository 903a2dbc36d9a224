"""[prediction] predictions: every item without a label yet, on both scales, with the neighbours it rests on."""

from pathlib import Path

import dagster as dg
import numpy as np
import polars as pl

from assets.bookkeeping import keep_table
from assets.encoding import device_of
from assets.evaluation import evaluation
from assets.neighbours import read_neighbours
from assets.popularity import read_popularity
from assets.popularity_model import load_model
from assets.samples import bank_of, samples_of
from assets.settings import Settings
from assets.stages import open_store
from assets.videos import known_items
from models import targets
from models.predictors import Samples, predict
from storage.fingerprint import Fingerprint
from storage.store import Store

NAME = "predictions"


@dg.asset(group_name="prediction", kinds={"parquet"}, deps=[evaluation], description=__doc__)
def predictions(context: dg.AssetExecutionContext, settings: Settings) -> dg.MaterializeResult:
    """Predict with every seed's model and average on the scale of the target; one row an item."""
    store = open_store(settings)
    samples = samples_of(store, "predict", size=settings.retrieval.neighbours)
    frame = _predict(store, settings, samples)
    fingerprint = Fingerprint(code=1, parameters={"target": settings.protocol.target})
    keep_table(context, store, NAME, frame, fingerprint)
    folder = Path(settings.store.results).expanduser().resolve()
    folder.mkdir(parents=True, exist_ok=True)
    flat = frame.with_columns(pl.col("neighbours").list.eval(pl.element().struct.field("item")).list.join(" "))
    flat.write_csv(folder / "predictions.csv")
    context.log.info("predictions: %d items without a label, in %s", len(frame), folder / "predictions.csv")
    shown = (
        frame.sort("predicted", descending=True).head(10).select("item", "title", "predicted_count", "observed_events")
    )
    preview = ["| item | title | predicted count | events so far |", "|---|---|---:|---:|"]
    preview += [f"| {item} | {title or ''} | {count:.1f} | {seen} |" for item, title, count, seen in shown.iter_rows()]
    by_mode = dict(frame["retrieval"].value_counts(sort=True).iter_rows())
    return dg.MaterializeResult(
        metadata={
            "items": len(frame),
            "retrieval": dg.MetadataValue.json(by_mode),
            "highest": dg.MetadataValue.md("\n".join(preview)),
            "results": str(folder),
        }
    )


def _predict(store: Store, settings: Settings, samples: Samples) -> pl.DataFrame:
    items = samples.items.tolist()
    seeds = settings.model.seeds
    values = np.zeros((len(seeds), len(items)))
    if items:
        bank = bank_of(store)
        for row, seed in enumerate(seeds):
            values[row] = predict(load_model(store, seed), samples, bank, device=device_of(settings))
    rests_on = (
        read_neighbours(store)
        .sort("item", "rank")
        .group_by("item", maintain_order=True)
        .agg(
            pl.struct(pl.col("neighbour").alias("item"), "score", "ss_modal", "ss_temp", "label").alias("neighbours"),
            pl.col("mode").first().alias("retrieval"),
            pl.col("bank_version").first(),
        )
    )
    made = pl.DataFrame(
        {
            "item": items,
            "predicted": values.mean(axis=0),
            "predicted_low": values.min(axis=0),
            "predicted_high": values.max(axis=0),
            "predicted_count": targets.inverse(values.mean(axis=0), settings.protocol.target),
            "seeds": np.full(len(items), len(seeds), dtype=np.int32),
        },
        schema_overrides={"item": pl.String},
    )
    known = read_popularity(store).select("item", "t0", "observed_until", "observed_events", "window_complete")
    return (
        made.join(known_items(store).select("item", "title"), on="item", how="left", maintain_order="left")
        .join(known, on="item", how="left", maintain_order="left")
        .join(rests_on, on="item", how="left", maintain_order="left")
        .with_columns(pl.col("retrieval").fill_null("none"))
    )


def read_predictions(store: Store) -> pl.DataFrame:
    """One row an unlabelled item; `neighbours` lists what the prediction rests on, most similar first."""
    return store.table(NAME).read()
