"""The table that predictors read beside content and feedback: one row per observation window, with names for its columns."""

from collections.abc import Sequence

import dagster as dg
import numpy as np
import polars as pl

from assets.audience.recommendation_scores import NAME as SCORES
from assets.engine.skip_unchanged import artifact_marks, stage_marks, table_marks, verdict_stands
from assets.engine.store_access import open_store
from assets.ingest.counters import read_counters
from assets.ingest.interactions import read_events
from assets.metadata.item_metadata import item_metadata
from assets.metadata.observed_counts import counter_columns, event_columns, windows_at
from assets.metadata.window_columns import WindowColumns, columns_in_service, named_categories, window_columns
from assets.protocol.labels import NAME as LABELS
from assets.protocol.observation import HOUR_MS
from assets.protocol.popularity import read_popularity
from assets.settings import Protocol, Settings
from models.predictors.table import Table
from storage.datasets import COUNTERS, EVENTS
from storage.store import Store


def window_table(store: Store, settings: Settings, items: Sequence[str], ages: Sequence[float | None]) -> Table:
    """Return one row per window: metadata, the author's history, and what was counted by the window's age.

    Args:
        store: Store with the asset `window_columns` and what it reads.
        settings: Sections `[protocol]` and `[metadata]` are used.
        items: (n,) ids; an item may have several windows. An item without metadata has unknown values.
        ages: (n,) hours since t = 0; None for an item's own window.

    Returns:
        n rows. The columns depend on the data set (docs/metadata.md) and are the same for all windows of a store.

    Raises:
        storage.durable.StoreError: No window columns are in service.
    """
    columns = columns_in_service(store)[1]
    popularity = read_popularity(store).filter(pl.col("item").is_in(list(set(items))))
    windows = windows_at(items, ages, popularity)
    static = windows.select("item").join(
        item_metadata(store, settings.metadata), on="item", how="left", maintain_order="left"
    )
    events = read_events(store) if columns.types else EVENTS.to_frame()
    counters = read_counters(store) if columns.metrics else COUNTERS.to_frame()
    return table_of(static, counted_columns(windows, events, counters, popularity, settings.protocol, columns), columns)


def counted_columns(
    windows: pl.DataFrame,
    events: pl.DataFrame,
    counters: pl.DataFrame,
    popularity: pl.DataFrame,
    protocol: Protocol,
    columns: WindowColumns,
) -> pl.DataFrame:
    """Return what each window holds of the types and metrics that have columns.

    Args:
        windows: From `windows_at`.
        events: The items' events: `item`, `user`, `type`, `time` (ms), `order`.
        counters: The items' counters: `item`, `metric`, `time` (ms or null), `value`.
        popularity: `item`, `t0`, `observed_until` (ms).
        protocol: Section `[protocol]` of the settings.
        columns: The columns in service.

    Returns:
        Float64 columns, one row per window.
    """
    counted = windows.select("age_hours")
    if columns.types:
        counted = counted.hstack(event_columns(windows, events, popularity, protocol, columns.types))
    if columns.metrics:
        counted = counted.hstack(counter_columns(windows, counters, popularity, protocol, columns.metrics))
    return counted


def table_of(static: pl.DataFrame, counted: pl.DataFrame, columns: WindowColumns) -> Table:
    """Return the table of some windows.

    Args:
        static: Rows of `item_metadata`, one per window.
        counted: Float64 columns, one row per window.
        columns: Columns and vocabularies. A column that `static` lacks is unknown.
    """
    known = static.select(
        *(_column(static, name, pl.Float64) for name in columns.numbers),
        *(
            _column(static, name, pl.List(pl.String)).list.contains(tag).cast(pl.Float64).alias(f"{name} {tag}")
            for name, tags in columns.tags.items()
            for tag in tags
        ),
    )
    numbers = pl.DataFrame([*known.get_columns(), *counted.get_columns()])
    categories = [
        named_categories(static.select(_column(static, name, pl.String)).to_series(), vocabulary).to_numpy()
        for name, vocabulary in columns.categories.items()
    ]
    categorical = np.empty((len(static), len(categories)), dtype=object)
    for place, values in enumerate(categories):
        categorical[:, place] = values
    numeric = numbers.cast(pl.Float64).fill_null(np.nan).to_numpy()
    return Table(numeric, tuple(numbers.columns), categorical, tuple(columns.categories))


def _column(frame: pl.DataFrame, name: str, kind: pl.DataType) -> pl.Expr:
    return pl.col(name) if name in frame.columns else pl.lit(None, kind).alias(name)


@dg.asset_check(asset=window_columns, blocking=True)
@verdict_stands(
    "nothing_after_the_age_is_in_the_table",
    reads=lambda store, settings: [
        *artifact_marks(store, "window_columns"),
        *stage_marks(store, "metadata_features"),
        *table_marks(store, "author_history", SCORES, "interactions", "counters", "popularity", LABELS, "splits"),
    ],
)
def nothing_after_the_age_is_in_the_table(settings: Settings) -> dg.AssetCheckResult:
    """The table's counts are those of the raw events and snapshots up to each window's age (docs/metadata.md)."""
    store = open_store(settings)
    windows, events, counters = read_popularity(store), read_events(store), read_counters(store)
    items, ages = windows["item"].to_list(), sorted({0.0, *settings.protocol.ages})
    each = [age for age in (None, *ages) for _ in items]
    table = window_table(store, settings, items * (len(ages) + 1), each)
    wrong = {}
    for place, age in enumerate((None, *ages)):
        part = table.take(np.arange(place * len(items), (place + 1) * len(items)))
        wrong |= check_window_table(part, windows, age, events, counters, settings.protocol)
    return dg.AssetCheckResult(passed=not wrong, metadata={"items": len(items), "wrong": dg.MetadataValue.json(wrong)})


def check_window_table(
    table: Table,
    windows: pl.DataFrame,
    age: float | None,
    events: pl.DataFrame,
    counters: pl.DataFrame,
    protocol: Protocol,
) -> dict[str, list[str]]:
    """Count events and snapshots up to an age again, from the raw times alone, and compare them with a table.

    Args:
        table: One row per row of `windows`.
        windows: The table `popularity`.
        age: Age of all windows, hours; None for the own windows.
        events: All events.
        counters: All counters.
        protocol: Section `[protocol]` of the settings.

    Returns:
        Up to ten items per column that differs; empty if all are right.
    """
    since, hours = pl.col("time") - pl.col("t0"), protocol.hours if protocol.first_k is None else np.inf
    limit = min(hours, np.inf if age is None else age) * HOUR_MS
    inside = (since < limit + 0.5) & pl.lit(limit > 0)  # whole milliseconds, so that rounding decides nothing
    if protocol.first_k is not None:
        inside &= pl.col("time") <= pl.col("observed_until")
    clocks = windows.select("item", "t0", "observed_until")
    seen = events.join(clocks, on="item").filter(inside)
    if protocol.first_k is not None:
        seen = seen.filter(pl.col("order") < protocol.first_k)
    expected = {"events": seen.group_by("item").len("expected")}
    snapshots = counters.join(clocks, on="item").filter(inside & (since >= 0))
    for metric in snapshots["metric"].unique():
        last = snapshots.filter(pl.col("metric") == metric).sort("time").group_by("item").agg(pl.col("value").last())
        expected[f"counter {metric}"] = last.rename({"value": "expected"})
    nothing = pl.DataFrame(schema={"item": pl.String, "expected": pl.Int64})
    wrong = {}
    # A metric that no training window holds has no column.
    for place, name in enumerate(table.numeric_names):
        if name != "events" and not name.startswith("counter "):
            continue
        right = pl.col("expected").cast(pl.Float64)
        both = windows.select("item").join(expected.get(name, nothing), on="item", how="left", maintain_order="left")
        both = both.with_columns(
            pl.Series("found", table.numeric[:, place]).fill_nan(None),
            right.fill_null(0.0) if name == "events" else right,
        )
        differing = both.filter(pl.col("found").ne_missing(pl.col("expected")))["item"].head(10).to_list()
        if differing:
            wrong[f"{name} at {'the own window' if age is None else f'{age:g} h'}"] = differing
    return wrong
