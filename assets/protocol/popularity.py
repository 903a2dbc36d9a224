"""Each item's observation window, its label, and whether it is labelled (docs/protocol.md)."""

import dagster as dg
import polars as pl

from assets.engine.data_versions import version_of_table
from assets.engine.pools import IN_THE_CATALOG
from assets.engine.run_log import keep_table
from assets.engine.skip_unchanged import skip_unchanged, table_marks, verdict_stands
from assets.engine.store_access import open_store, read_dataset
from assets.ingest.interactions import interactions, read_events
from assets.ingest.videos import videos
from assets.protocol.learnable_labels import check_learnable, describe_followed
from assets.protocol.observation import HOUR_MS, label_event, measure_popularity
from assets.settings import Protocol, Settings
from storage.datasets.clock import tell_moment
from storage.datasets.source_mark import source_mark
from storage.fingerprint import Fingerprint
from storage.store import Store

NAME = "popularity"
CODE = 1  # raise it when the same inputs give another result


@dg.asset(
    group_name="protocol",
    kinds={"parquet"},
    deps=[videos, interactions],
    description=__doc__,
    code_version=str(CODE),
    **IN_THE_CATALOG,
)
@skip_unchanged(
    "popularity",
    reads=lambda store, settings: [source_mark(settings.data_folder()), *table_marks(store, "interactions")],
    makes=lambda store, settings: table_marks(store, NAME),
)
def popularity(context: dg.AssetExecutionContext, settings: Settings) -> dg.MaterializeResult:
    """Cut the observation windows, count the labels up to the horizon, and transform them to the target's scale."""
    store = open_store(settings)
    # All items of the data set, also unreadable ones: a file that fails once must not change the split.
    dataset, events, protocol = read_dataset(store, settings), read_events(store), settings.protocol
    labels = measure_popularity(dataset.videos, events, protocol, as_of=dataset.as_of)
    for note in (*labels.notes, describe_followed(labels)):
        context.log.info("popularity: %s", note)
    check_learnable(labels, events, protocol)
    fingerprint = Fingerprint(code=CODE, parameters=protocol.model_dump(exclude={*SPLIT_FIELDS, "ages"}))
    keep_table(context, store, NAME, labels.frame, fingerprint)
    labelled = labels.frame.filter("labelled")
    counts = labelled["count"]
    return dg.MaterializeResult(
        data_version=version_of_table(labels.frame),
        metadata={
            "items": len(labels.frame),
            "labelled": len(labelled),
            "label_event": labels.label_event,
            "as_of_ms": labels.as_of,
            "data_end_at": tell_moment(labels.as_of),
            "count_min_median_max": f"{counts.min()} / {counts.median():g} / {counts.max()}",
            "observed_median": float(labelled["observed_events"].median()),
            "horizon_hours": protocol.horizon or "end of the data",
        },
    )


SPLIT_FIELDS = {"split", "split_file", "fractions", "split_seed", "duplicate_bits"}


def read_popularity(store: Store) -> pl.DataFrame:
    """Return the window and label of every item; see `assets.protocol.observation.measure_popularity`."""
    return store.table(NAME).read()


@dg.asset_check(asset=popularity, blocking=True)
@verdict_stands("labels_lie_after_the_window", reads=lambda store, settings: table_marks(store, NAME, "interactions"))
def labels_lie_after_the_window(settings: Settings) -> dg.AssetCheckResult:
    """Every label counts the events up to its horizon, is known by the end of the data, and lies after its window."""
    store = open_store(settings)
    return check_labels(read_popularity(store), read_events(store), settings.protocol, as_of=settings.data.as_of_ms)


def check_labels(
    frame: pl.DataFrame, events: pl.DataFrame, protocol: Protocol, *, as_of: int | None = None
) -> dg.AssetCheckResult:
    """Recount every label from the raw events, and check window, horizon and end of the data (docs/protocol.md, rule Label).

    Args:
        frame: The table `popularity`.
        events: All events: `item`, `type`, `time` (ms).
        protocol: Section `[protocol]` of the settings.
        as_of: End of the data (ms). Default: the last event.

    Returns:
        The check's result. Its metadata lists up to ten items per problem.
    """
    if as_of is None:
        as_of = events["time"].max()
    labelled = frame.filter("labelled")
    counted = label_event(protocol, events)
    until = events.join(labelled.select("item", "label_time"), on="item").filter(pl.col("time") <= pl.col("label_time"))
    if counted != "all":
        until = until.filter(pl.col("type") == counted)
    recount = labelled.join(until.group_by("item").len("recount"), on="item", how="left").with_columns(
        pl.col("recount").fill_null(0)
    )
    if protocol.first_k is None:
        too_long = pl.col("observed_until") - pl.col("t0") > round(protocol.hours * HOUR_MS)
    else:
        too_long = pl.col("observed_events") > protocol.first_k
    problems = {
        "label not yet known": labelled.filter(pl.col("label_time") > as_of),
        "window longer than allowed": frame.filter(too_long),
        "window longer than the horizon": labelled.filter(pl.col("observed_until") > pl.col("label_time")),
        "label given where none is known": frame.filter(~pl.col("labelled") & pl.col("count").is_not_null()),
        "count differs from the events": recount.filter(pl.col("count") != pl.col("recount")),
    }
    violations = {name: rows["item"].head(10).to_list() for name, rows in problems.items() if len(rows)}
    return dg.AssetCheckResult(
        passed=not violations, metadata={"labelled": len(labelled), "problems": dg.MetadataValue.json(violations)}
    )
