"""Counters of the data set's items: one row per item, metric and time at which the count was read off."""

import dagster as dg
import polars as pl

from assets.engine.data_versions import version_of_table
from assets.engine.pools import IN_THE_CATALOG
from assets.engine.run_log import keep_table
from assets.engine.skip_unchanged import skip_unchanged, table_marks
from assets.engine.store_access import open_store, read_dataset
from assets.settings import Settings
from storage.datasets.clock import tell_moment
from storage.datasets.source_mark import source_mark
from storage.fingerprint import Fingerprint
from storage.store import Store

NAME = "counters"
CODE = 1  # raise it when the same inputs give another result
FINGERPRINT = Fingerprint(code=CODE)


@dg.asset(group_name="ingest", kinds={"parquet"}, description=__doc__, code_version=str(CODE), **IN_THE_CATALOG)
@skip_unchanged(
    "counters",
    reads=lambda store, settings: [source_mark(settings.data_folder())],
    makes=lambda store, settings: table_marks(store, NAME),
)
def counters(context: dg.AssetExecutionContext, settings: Settings) -> dg.MaterializeResult:
    """Store the data set's cleaned counters. The table exists, without rows, if the data set has none."""
    store = open_store(settings)
    dataset = read_dataset(store, settings)
    counts = dataset.counters
    keep_table(context, store, NAME, counts, FINGERPRINT)
    by_metric = counts["metric"].value_counts(sort=True)
    return dg.MaterializeResult(
        data_version=version_of_table(counts),
        metadata={
            "counts": len(counts),
            "items": counts["item"].n_unique(),
            "without_time": counts["time"].null_count(),
            "data_end_at": tell_moment(dataset.as_of),
            "metrics": dg.MetadataValue.json(dict(by_metric.iter_rows())),
        },
    )


def read_counters(store: Store) -> pl.DataFrame:
    """Return all counters: `item`, `metric`, `time` (unix ms; null for a final count without a time), `value`.

    Rows are sorted by item, metric and time; a count without a time comes after the others.
    """
    return store.table(NAME).read()
