"""Each item's observation window, and its label for every target (docs/protocol.md)."""

import dagster as dg
import polars as pl

from assets.engine.data_versions import version_of_table
from assets.engine.pools import IN_THE_CATALOG
from assets.engine.run_log import keep_table
from assets.engine.skip_unchanged import skip_unchanged, table_marks, verdict_stands
from assets.engine.store_access import open_store, read_dataset
from assets.ingest.counters import NAME as COUNTERS
from assets.ingest.counters import counters, read_counters
from assets.ingest.interactions import interactions, read_events
from assets.ingest.videos import videos
from assets.protocol.label_check import check_labels
from assets.protocol.label_histogram import label_histogram
from assets.protocol.labels import NAME as LABELS
from assets.protocol.labels import read_labels
from assets.protocol.learnable_labels import check_learnable, describe_followed
from assets.protocol.observation import measure_popularity
from assets.settings import Settings
from storage.datasets.clock import tell_moment
from storage.datasets.source_mark import source_mark
from storage.fingerprint import Fingerprint
from storage.store import Store

NAME = "popularity"
CODE = 1  # raise it when the same inputs give another result


@dg.asset(
    group_name="labels",
    kinds={"parquet"},
    deps=[videos, interactions, counters],
    description=__doc__,
    code_version=str(CODE),
    **IN_THE_CATALOG,
)
@skip_unchanged(
    "popularity",
    reads=lambda store, settings: [source_mark(settings.data_folder()), *table_marks(store, "interactions", COUNTERS)],
    makes=lambda store, settings: table_marks(store, NAME, LABELS),
    shows=lambda store, settings: label_histogram(read_labels(store)),
)
def popularity(context: dg.AssetExecutionContext, settings: Settings) -> dg.MaterializeResult:
    """Cut the observation windows, measure the label of every target, and transform it to the target's scale."""
    store = open_store(settings)
    # All items of the data set, also unreadable ones: a file that fails once must not change the split.
    dataset, events, protocol = read_dataset(store, settings), read_events(store), settings.protocol
    counts = read_counters(store)
    labels = measure_popularity(dataset.videos, events, protocol, counters=counts, as_of=dataset.as_of)
    for note in (*labels.notes, describe_followed(labels)):
        context.log.info("popularity: %s", note)
    check_learnable(labels, events, counts, protocol)
    fingerprint = Fingerprint(code=CODE, parameters=protocol.model_dump(exclude={*SPLIT_FIELDS, "ages"}))
    keep_table(context, store, NAME, labels.frame, fingerprint)
    keep_table(context, store, LABELS, labels.by_target, fingerprint)
    labelled = labels.frame.filter("labelled")
    known = labels.by_target.filter("known")
    primary = labelled["count"].drop_nulls()
    return dg.MaterializeResult(
        data_version=version_of_table(
            labels.by_target.join(labels.frame, on="item", how="left", maintain_order="left")
        ),
        metadata={
            "items": len(labels.frame),
            "labelled": len(labelled),
            "labels": dg.MetadataValue.json(dict(known.group_by("target", maintain_order=True).len().iter_rows())),
            "sources": dg.MetadataValue.json(dict(known.group_by("source", maintain_order=True).len().iter_rows())),
            "as_of_ms": labels.as_of,
            "data_end_at": tell_moment(labels.as_of),
            "count_min_median_max": f"{primary.min()} / {primary.median():g} / {primary.max()}",
            "observed_median": float(labelled["observed_events"].median()),
        },
    )


SPLIT_FIELDS = {"split", "split_file", "fractions", "split_seed", "duplicate_bits"}


def read_popularity(store: Store) -> pl.DataFrame:
    """Return the window and label of every item; see `assets.protocol.observation.measure_popularity`."""
    return store.table(NAME).read()


@dg.asset_check(asset=popularity, blocking=True)
@verdict_stands(
    "labels_lie_after_the_window",
    reads=lambda store, settings: table_marks(store, NAME, LABELS, "interactions", COUNTERS),
)
def labels_lie_after_the_window(settings: Settings) -> dg.AssetCheckResult:
    """Every label is the count at its horizon, is known by the end of the data, and lies after its window."""
    store = open_store(settings)
    return check_labels(
        read_popularity(store),
        read_labels(store),
        read_events(store),
        read_counters(store),
        settings.protocol,
        as_of=settings.data.as_of_ms,
    )
