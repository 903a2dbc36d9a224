"""Whether the newest videos, their audience and the errors of past forecasts differ from the training videos' (M3TR, H.3)."""

from collections.abc import Sequence
from dataclasses import asdict, fields

import dagster as dg
import numpy as np
import polars as pl

from assets.engine.data_versions import version_of_table
from assets.engine.dry_run import stop_if_plan_is_empty
from assets.engine.packed_rows import packed_rows
from assets.engine.pools import IN_THE_CATALOG
from assets.engine.run_log import keep_table
from assets.engine.skip_unchanged import skip_unchanged, stage_marks, table_marks, verdict_stands
from assets.engine.store_access import open_store
from assets.memory.feature_join import MODALITY_STAGES, content_keys, usable_items
from assets.monitoring.forecast_scores import NAME as SCORES
from assets.monitoring.forecast_scores import forecast_scores, read_scores
from assets.protocol.labels import matrix, read_labels, target_names
from assets.protocol.popularity import read_popularity
from assets.settings import Settings
from models.drift_tests import DriftTest, compare_shares, compare_values, compare_vectors, level
from models.predictors.features import MODALITIES
from storage.fingerprint import Fingerprint
from storage.store import Store

NAME = "drift"
CODE = 1  # raise it when the same inputs give another result
LEAST = 20  # values on each side of a test
SAMPLE = 2000  # training items whose vectors are read
SCHEMA = {
    **{field.name: pl.Float64 for field in fields(DriftTest)},
    **dict.fromkeys(("quantity", "part"), pl.String),
    **dict.fromkeys(("earlier", "newest"), pl.Int64),
    "drifted": pl.Boolean,
}


@dg.asset(
    group_name="monitoring",
    kinds={"parquet"},
    deps=[forecast_scores],
    description=__doc__,
    code_version=str(CODE),
    **IN_THE_CATALOG,
)
@skip_unchanged(
    NAME,
    reads=lambda store, settings: [*stage_marks(store), *table_marks(store, "popularity", "labels", "splits", SCORES)],
    makes=lambda store, settings: table_marks(store, NAME),
)
def drift(context: dg.AssetExecutionContext, settings: Settings) -> dg.MaterializeResult:
    """Test labels, counts in the window, embeddings and errors: training videos against the newest of the other videos."""
    store = open_store(settings)
    tests = drift_tests(store, settings.monitoring.newest)
    limit = level(len(tests), false_alarms=settings.monitoring.false_alarms)
    rows = [{**asdict(test), "drifted": test.p_value < limit} for test in tests]
    table = pl.DataFrame(rows, schema=SCHEMA)
    keep_table(context, store, NAME, table, Fingerprint(code=CODE))
    stop_if_plan_is_empty()
    largest = table.group_by("quantity", maintain_order=True).agg(pl.col("distance").max())
    return dg.MaterializeResult(
        data_version=version_of_table(table),
        metadata={
            "tests": len(table),
            "drifted": int(table["drifted"].sum()),
            "p_value_limit": limit,
            **{f"distance_{name.replace(' ', '_')}": distance for name, distance in largest.iter_rows()},
            "drifted_quantities": dg.MetadataValue.json(describe(table)),
        },
    )


@dg.asset_check(asset=drift)
@verdict_stands("nothing_drifted", reads=lambda store, settings: table_marks(store, NAME))
def nothing_drifted(settings: Settings) -> dg.AssetCheckResult:
    """The newest videos and forecasts are distributed as those before; else a warning (docs/monitoring.md)."""
    table = open_store(settings).table(NAME).read()
    return dg.AssetCheckResult(
        passed=not table["drifted"].any(),
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"tests": len(table), "drifted": dg.MetadataValue.json(describe(table))},
    )


def describe(table: pl.DataFrame) -> list[str]:
    """Return a sentence per test of the table `drift` that raised an alarm, the least probable first."""
    return [
        f"{row['quantity']}{row['part'] and ', ' + row['part']}: {row['newest']} newest against {row['earlier']} earlier "
        f"values, distance {row['distance']:.2f}, p = {row['p_value']:.1g}"
        + ("" if np.isnan(row["shift"]) else f", mean moved by {row['shift']:+.2f} standard deviations")
        for row in table.filter("drifted").sort("p_value").iter_rows(named=True)
    ]


def drift_tests(store: Store, newest: int) -> list[DriftTest]:
    """Return every test that the data allow: those with at least `LEAST` values on both sides.

    Args:
        store: The store.
        newest: Number of newest videos, and of newest scored forecasts, that are compared.
    """
    return [
        *_tests_of_labels(store, newest),
        *_tests_of_counts(store, newest),
        *_tests_of_vectors(store, newest),
        *_tests_of_errors(store, newest),
    ]


def _sides(store: Store) -> pl.DataFrame:
    """Return the usable items with a known t = 0, the newest first: `item`, `training`, `t0`, `window_complete`, `events`."""
    windows = read_popularity(store).select("item", "t0", "window_complete", pl.col("observed_events").alias("events"))
    sides = usable_items(store).select("item", (pl.col("split") == "train").alias("training"))
    return sides.join(windows, on="item", how="left").drop_nulls("t0").sort("t0", "item", descending=True)


def _both(items: pl.DataFrame, newest: int) -> tuple[pl.DataFrame, pl.DataFrame] | None:
    """Return the training items, and the newest of the others; None if a side has too few."""
    sides = items.filter("training"), items.filter(~pl.col("training")).head(newest)
    return sides if min(map(len, sides)) >= LEAST else None


def _tests_of_labels(store: Store, newest: int) -> list[DriftTest]:
    items, tests = _sides(store), []
    values = matrix(read_labels(store), items["item"].to_list(), "value")
    for column, name in enumerate(target_names(store)):
        labelled = items.with_columns(pl.Series("value", values[:, column])).filter(pl.col("value").is_not_nan())
        if sides := _both(labelled, newest):
            tests.append(compare_values(f"label {name}", *(side["value"].to_numpy() for side in sides)))
    return tests


def _tests_of_counts(store: Store, newest: int) -> list[DriftTest]:
    sides = _both(_sides(store).filter("window_complete"), newest)
    return [compare_values("events in the window", *(side["events"].to_numpy() for side in sides))] if sides else []


def _tests_of_vectors(store: Store, newest: int) -> list[DriftTest]:
    """Compare each video's mean vector per modality, and the shares of videos that have the modality."""
    tests, every = [], _sides(store)
    for name in (*MODALITIES, "content"):
        # a window that is still open looks like no training window
        sides = _both(every.filter("window_complete") if name == "temporal" else every, newest)
        if sides is None:
            continue
        vectors, present = zip(*(mean_vectors(store, name, _sample(side)["item"].to_list()) for side in sides))
        tests.append(compare_shares(name, *present, part="has it"))
        known = [vector[mask] for vector, mask in zip(vectors, present)]
        if min(map(len, known)) >= LEAST:
            tests += compare_vectors(name, *known)
    return tests


def _sample(side: pl.DataFrame) -> pl.DataFrame:
    """Return at most `SAMPLE` items in an order that does not depend on them."""
    return side.sort("item").sample(min(len(side), SAMPLE), shuffle=True, seed=0)


def mean_vectors(store: Store, name: str, items: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean vector of each item (n, d), and which items have one (n,).

    Args:
        store: The store.
        name: A modality, or "content" for the vectors by which neighbours are retrieved.
        items: n ids.
    """
    if name == "content":
        return content_keys(store, items)
    rows = packed_rows(store, store.stages()[MODALITY_STAGES[name]], items)
    values, mask = rows.read(np.arange(len(items)))
    total = (values.astype(np.float32) * mask[..., None]).sum(axis=1)
    return total / np.maximum(mask.sum(axis=1), 1)[:, None], mask.any(axis=1)


def _tests_of_errors(store: Store, newest: int) -> list[DriftTest]:
    """Compare the errors of the newest scored forecasts with those before: per item the first one of its whole window."""
    first = (
        read_scores(store)
        .filter("window_complete")
        .sort("made_at", "forecast")
        .unique(["item", "target_name", "source"], keep="first", maintain_order=True)
        .sort("label_time", "item")
    )
    tests = []
    for (target, source), own in first.group_by("target_name", "source", maintain_order=True):
        errors = own["error"].to_numpy()
        earlier, last = errors[:-newest], errors[-newest:]
        if min(len(earlier), len(last)) >= LEAST:
            tests.append(compare_values(f"error {target}", earlier, last, part=source))
    return tests
