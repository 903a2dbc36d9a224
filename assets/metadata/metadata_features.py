"""Metadata of every video: publication, file, title, language, category, author, and the columns named in data.features."""

from collections.abc import Iterator, Sequence

import dagster as dg
import polars as pl
import pyarrow as pa

from assets.engine.failure_checks import failed_share_check
from assets.engine.run_stage import run_stage, unchanged_metadata
from assets.engine.skip_unchanged import skip_unchanged, stage_marks, table_marks
from assets.engine.store_access import open_store, read_dataset
from assets.ingest.videos import VIDEOS, known_items
from assets.metadata.author_statistics import UNDATED, author_statistics
from assets.metadata.row_digests import row_digests
from assets.metadata.static_columns import FACTS, TYPES, static_columns
from assets.protocol.popularity import popularity, read_popularity
from assets.settings import Settings
from storage.datasets import Dataset
from storage.datasets.source_mark import source_mark
from storage.fingerprint import Fingerprint
from storage.rows import Row
from storage.store import Store

NAME = "metadata_features"
CODE = 1  # raise it when the same inputs give another result


@dg.asset(
    group_name="metadata",
    kinds={"parquet"},
    deps=[VIDEOS.asset, popularity],
    description=__doc__,
    code_version=str(CODE),
)
@skip_unchanged(
    NAME,
    reads=lambda store, settings: [
        source_mark(settings.data_folder()),
        *stage_marks(store, "videos"),
        *table_marks(store, "popularity"),
    ],
    makes=lambda store, settings: stage_marks(store, NAME),
    when_skipped=unchanged_metadata,
)
def metadata_features(context: dg.AssetExecutionContext, settings: Settings) -> dg.MaterializeResult:
    """Compute the columns of `static_columns`, authors' given statistics, and the columns of `data.features`.

    A value that the data set does not have is null, so every video that could be read has a row.
    """
    store = open_store(settings)
    frame = metadata_of(store, read_dataset(store, settings), settings.metadata.time_zone)
    if marked := [name for name in frame.columns if name.endswith(UNDATED)]:
        context.log.info(
            "metadata_features: %s: the date of these statistics is unknown. If they were collected after the forecast, they "
            "leak; metadata.given_statistics = false leaves them out",
            ", ".join(marked),
        )
    rows = dict(zip(frame["item"].to_list(), frame.drop("item").iter_rows(named=True)))
    inputs = row_digests(frame)

    def compute(todo: Sequence[str]) -> Iterator[Row]:
        yield from (Row.ok(item, inputs[item], rows[item]) for item in todo)

    return run_stage(
        context,
        store,
        settings,
        store.stage(NAME, payload_of(frame)),
        inputs=inputs,
        fingerprint=Fingerprint(code=CODE, parameters={"columns": frame.columns}),
        compute=compute,
        is_quick=True,
    )


def metadata_of(store: Store, dataset: Dataset, time_zone: str) -> pl.DataFrame:
    """Return the stage's columns, one row per video without a failed row.

    Args:
        store: Store with the stage `videos` and the table `popularity`.
        dataset: The data set.
        time_zone: Time zone of hour and weekday.

    Returns:
        `item`, the columns of `static_columns`, `author_NAME` per statistic, `feature_NAME` per column of `data.features`.
    """
    given = dataset.details.rename({name: f"{name}_given" for name in ("duration", "width", "height")})
    facts = (
        known_items(store)
        .join(read_popularity(store).select("item", "t0"), on="item", how="left", maintain_order="left")
        .join(given, on="item", how="left", maintain_order="left")
        .with_columns(pl.coalesce(name, f"{name}_given").alias(name) for name in ("duration", "width", "height"))
        .select(FACTS.names())
        .cast(FACTS)
    )
    named = dataset.features.rename({name: f"feature_{name}" for name in dataset.features.columns if name != "item"})
    frame = metadata_of_facts(facts, dataset.authors, time_zone)
    return frame.join(named, on="item", how="left", maintain_order="left")


def metadata_of_facts(facts: pl.DataFrame, authors: pl.DataFrame | None, time_zone: str) -> pl.DataFrame:
    """Return the stage's columns without those of `data.features`.

    Args:
        facts: Columns of `FACTS`, one row per video.
        authors: See `Dataset.authors`.
        time_zone: Time zone of hour and weekday.
    """
    columns = [column.value.cast(TYPES[column.kind]).alias(name) for name, column in static_columns(time_zone).items()]
    frame = facts.select("item", *columns)
    if authors is None:
        return frame
    return frame.join(author_statistics(facts, authors), on="item", how="left", maintain_order="left")


def payload_of(frame: pl.DataFrame) -> pa.Schema:
    """Return the stage's columns; they depend on the data set's authors and on `data.features`.

    Args:
        frame: From `metadata_of`.
    """
    plain = {pl.Float64: pa.float64(), pl.String: pa.string(), pl.List(pl.String): pa.list_(pa.string())}
    return pa.schema({name: plain[kind] for name, kind in frame.drop("item").schema.items()})


def read_metadata(store: Store) -> pl.DataFrame:
    """Return the stored metadata: `item` and the columns of `metadata_of`, one row per video."""
    return pl.from_arrow(store.stages()[NAME].read())


metadata_features_failed_share = failed_share_check(metadata_features, NAME)
