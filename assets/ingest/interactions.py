"""The audience's feedback: one row per event, in time order within its item."""

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

NAME = "interactions"
CODE = 1  # raise it when the same inputs give another result
FINGERPRINT = Fingerprint(code=CODE)


@dg.asset(group_name="ingest", kinds={"parquet"}, description=__doc__, code_version=str(CODE), **IN_THE_CATALOG)
@skip_unchanged(
    "interactions",
    reads=lambda store, settings: [source_mark(settings.data_folder())],
    makes=lambda store, settings: table_marks(store, NAME),
)
def interactions(context: dg.AssetExecutionContext, settings: Settings) -> dg.MaterializeResult:
    """Store the data set's events with their rank within the item (`order`, from 0)."""
    store = open_store(settings)
    dataset = read_dataset(store, settings)
    events = dataset.events.with_columns(pl.int_range(pl.len(), dtype=pl.Int64).over("item").alias("order"))
    keep_table(context, store, NAME, events, FINGERPRINT)
    by_type = events["type"].value_counts(sort=True)
    return dg.MaterializeResult(
        data_version=version_of_table(events),
        metadata={
            "events": len(events),
            "items": events["item"].n_unique(),
            "users": events["user"].n_unique(),
            "duplicates_dropped": dataset.duplicates,
            "data_end_at": tell_moment(dataset.as_of),
            "types": dg.MetadataValue.json(dict(by_type.iter_rows())),
        },
    )


def read_events(store: Store) -> pl.DataFrame:
    """Return all events: `item`, `user`, `type`, `time` (unix ms), `order` (rank within the item, from 0)."""
    return store.table(NAME).read()
