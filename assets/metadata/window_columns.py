"""The columns of the window table: vocabularies and the list of columns that tell something, fitted on training items only."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import dagster as dg
import polars as pl

from assets.audience.recommendation_scores import NAME as SCORES
from assets.audience.recommendation_scores import recommendation_scores
from assets.engine.data_versions import version_of_artifacts
from assets.engine.dry_run import stop_if_planning
from assets.engine.pools import IN_THE_CATALOG
from assets.engine.refit_policy import DIGESTS, changed_since, fitted_on, keep_facts
from assets.engine.run_log import note_run
from assets.engine.skip_unchanged import artifact_marks, skip_unchanged, stage_marks, table_marks, verdict_stands
from assets.engine.store_access import open_store
from assets.ingest.counters import counters, read_counters
from assets.ingest.interactions import interactions, read_events
from assets.metadata.author_history import author_history
from assets.metadata.item_metadata import item_metadata
from assets.metadata.metadata_features import metadata_features
from assets.metadata.observed_counts import observed_snapshots
from assets.metadata.row_digests import row_digests
from assets.protocol.fitted_on_training import check_fitted
from assets.protocol.labels import NAME as LABELS
from assets.protocol.popularity import read_popularity
from assets.protocol.process_inputs import vocabulary
from assets.protocol.splits import items_of, read_splits
from assets.settings import Metadata, Settings
from storage.artifact_version import ArtifactVersion
from storage.durable import StoreError
from storage.fingerprint import Fingerprint
from storage.hashing import content_hash
from storage.store import Store

NAME = "window_columns"
CODE = 1  # raise it when the same inputs give another result
FILE = "columns.json"
RARE = "rare"


@dataclass(frozen=True)
class WindowColumns:
    """The columns of the window table.

    Attributes:
        numbers: Names of the numbers that are known before any feedback.
        categories: Name of each category -> its vocabulary; other values are `RARE`.
        tags: Name of each column of tags -> the tags that have a column.
        types: Types of events that are counted.
        metrics: Metrics of counters that are read.
    """

    numbers: list[str]
    categories: dict[str, list[str]]
    tags: dict[str, list[str]]
    types: list[str]
    metrics: list[str]


@dg.asset(
    group_name="metadata",
    kinds={"json"},
    deps=[metadata_features, author_history, recommendation_scores, interactions, counters],
    description=__doc__,
    code_version=str(CODE),
    **IN_THE_CATALOG,
)
@skip_unchanged(
    NAME,
    reads=lambda store, settings: [
        *stage_marks(store, "metadata_features"),
        *table_marks(store, "author_history", SCORES, "interactions", "counters", "popularity", LABELS, "splits"),
    ],
    makes=lambda store, settings: artifact_marks(store, NAME),
)
def window_columns(context: dg.AssetExecutionContext, settings: Settings) -> dg.MaterializeResult:
    """Fit the vocabularies on the training items.

    The version in service stays while less than `metadata.refit_share` of these items has changed, and no type of event,
    metric or column of metadata was added or lost.
    """
    store = open_store(settings)
    frame, types, metrics = fitted_from(store, settings)
    digests = row_digests(frame)
    fingerprint = _fingerprint(settings.metadata, frame.columns, types, metrics)
    artifact = store.artifact(NAME)
    service = artifact.current(verify=True)
    reason = "not fitted yet" if service is None else "its parameters or the names of its columns changed"
    if service is not None and service.fingerprint == fingerprint.hash:
        with service.reading() as folder:
            change = changed_since(folder, digests, set(digests))
        reason = str(change)
        if change.keeps(settings.metadata.refit_share):
            context.log.info("window_columns: version %d stays, %s", service.version, reason)
            return _result(service)
    stop_if_planning(reason=reason)
    columns = fit_columns(frame, types, metrics, settings.metadata)
    with artifact.new(inputs_hash=content_hash(digests), fingerprint=fingerprint.hash) as folder:
        (folder / FILE).write_text(json.dumps(asdict(columns)), encoding="utf-8")
        keep_facts(folder, {"columns": frame["item"].to_list()}, digests)
    note_run(context, store, NAME, computed=len(frame), seconds=0.0)
    return _result(artifact.current())


def fitted_from(store: Store, settings: Settings) -> tuple[pl.DataFrame, list[str], list[str]]:
    """Return what the columns are fitted on, of training items only.

    Returns:
        The items' rows of `item_metadata`; the types of events in their windows; and the metrics of the snapshots in them.
    """
    training = items_of(read_splits(store), "train")
    windows = read_popularity(store).filter(pl.col("item").is_in(training))
    frame = item_metadata(store, settings.metadata).filter(pl.col("item").is_in(training))
    types = vocabulary(read_events(store), windows, settings.protocol, training)
    metrics = observed_snapshots(read_counters(store), windows, settings.protocol)["metric"].unique().sort().to_list()
    return frame, types, metrics


def fit_columns(frame: pl.DataFrame, types: Sequence[str], metrics: Sequence[str], settings: Metadata) -> WindowColumns:
    """Return the columns that tell something about these items: those with at least two different values.

    Args:
        frame: Rows of `item_metadata`.
        types: Types of events.
        metrics: Metrics of counters.
        settings: Section `[metadata]`.

    Example:
        >>> frame = pl.DataFrame({"item": ["a", "b", "c"], "fps": [25.0] * 3, "language": ["en", "en", "is"]})
        >>> fit_columns(frame, ["like"], [], Metadata(min_count=2))
        WindowColumns(numbers=[], categories={'language': ['en']}, tags={}, types=['like'], metrics=[])
    """
    numbers = [name for name, kind in frame.schema.items() if kind == pl.Float64 and frame[name].n_unique() > 1]
    categories = {}
    for name in (name for name, kind in frame.schema.items() if kind == pl.String and name != "item"):
        values = _frequent(frame[name], settings.min_count)
        if named_categories(frame[name], values).n_unique() > 1:
            categories[name] = sorted(values)
    tags = {}
    for name in (name for name, kind in frame.schema.items() if kind == pl.List(pl.String)):
        each = pl.Series([tag for tags in frame[name].drop_nulls() for tag in tags], dtype=pl.String)
        values = _frequent(each, settings.min_count)
        tags[name] = [tag for tag in values if frame[name].list.contains(tag).n_unique() > 1][: settings.hashtags]
    return WindowColumns(numbers, categories, tags, list(types), list(metrics))


def named_categories(values: pl.Series, vocabulary: Sequence[str]) -> pl.Series:
    """Return categories as the vocabulary names them: values outside it are `RARE`, unknown ones empty."""
    column = pl.col(values.name)
    named = (
        pl.when(column.is_null())
        .then(pl.lit(""))
        .when(column.is_in(list(vocabulary)))
        .then(column)
        .otherwise(pl.lit(RARE))
    )
    return values.to_frame().select(named.alias(values.name)).to_series()


def _frequent(values: pl.Series, least: int) -> list[str]:
    """Return the values that occur at least `least` times, the most frequent first, equally frequent ones by name."""
    counts = values.drop_nulls().alias("value").value_counts().filter(pl.col("count") >= least)
    return counts.sort(["count", "value"], descending=[True, False])["value"].to_list()


def _fingerprint(settings: Metadata, names: Sequence[str], types: Sequence[str], metrics: Sequence[str]) -> Fingerprint:
    parameters = settings.model_dump(exclude={"refit_share", "time_zone"})
    return Fingerprint(
        code=CODE, parameters={**parameters, "names": list(names), "types": list(types), "metrics": list(metrics)}
    )


def _result(version: ArtifactVersion) -> dg.MaterializeResult:
    columns = _read(version)
    return dg.MaterializeResult(
        data_version=version_of_artifacts(version),
        metadata={
            "version": version.version,
            "numbers": dg.MetadataValue.json(columns.numbers),
            "categories": dg.MetadataValue.json({name: len(values) for name, values in columns.categories.items()}),
            "tags": dg.MetadataValue.json(columns.tags),
            "types": dg.MetadataValue.json(columns.types),
            "metrics": dg.MetadataValue.json(columns.metrics),
        },
    )


def _read(version: ArtifactVersion) -> WindowColumns:
    with version.reading() as folder:
        return WindowColumns(**json.loads((folder / FILE).read_text(encoding="utf-8")))


def columns_in_service(store: Store) -> tuple[ArtifactVersion, WindowColumns]:
    """Return the version of the columns in service, and the columns.

    Raises:
        storage.durable.StoreError: No version is in service.
    """
    version = store.artifact(NAME).current()
    if version is None:
        raise StoreError(f"no window columns are in service; fit them (dagster asset materialize --select '{NAME}+')")
    return version, _read(version)


@dg.asset_check(asset=window_columns, blocking=True)
@verdict_stands(
    "columns_are_fitted_on_training_items",
    reads=lambda store, settings: [
        *artifact_marks(store, NAME),
        *stage_marks(store, "metadata_features"),
        *table_marks(store, "author_history", SCORES, "interactions", "counters", "popularity", LABELS, "splits"),
    ],
)
def columns_are_fitted_on_training_items(settings: Settings) -> dg.AssetCheckResult:
    """The vocabularies were fitted on training items only; while these are unchanged, a new fit gives the same vocabularies."""
    return check_columns(open_store(settings), settings)


def check_columns(store: Store, settings: Settings) -> dg.AssetCheckResult:
    """Check the items that the columns in service were fitted on, and fit them again if these items are unchanged.

    Args:
        store: Store with the asset `window_columns`.
        settings: Sections `[protocol]` and `[metadata]` are used.
    """
    version, columns = columns_in_service(store)
    with version.reading() as folder:
        fitted, digests = fitted_on(folder), json.loads((folder / DIGESTS).read_text(encoding="utf-8"))
    frame, types, metrics = fitted_from(store, settings)
    result = check_fitted(fitted, read_splits(store))
    unchanged = row_digests(frame) == digests
    differs = unchanged and fit_columns(frame, types, metrics, settings.metadata) != columns
    return dg.AssetCheckResult(
        passed=result.passed and not differs, metadata={**result.metadata, "differs_from_a_new_fit": differs}
    )
