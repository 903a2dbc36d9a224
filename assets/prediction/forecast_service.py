"""Everything that the forecast of one new video needs beside the bank and the models, as one folder (docs/predict.md)."""

import json
from dataclasses import astuple
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import polars as pl

from assets.engine.data_versions import version_of_artifacts
from assets.engine.dry_run import stop_if_planning
from assets.engine.pools import IN_THE_CATALOG
from assets.engine.run_log import note_run
from assets.engine.skip_unchanged import artifact_marks, skip_unchanged, stage_marks, table_marks
from assets.engine.store_access import open_store, read_dataset
from assets.ingest.videos import known_items
from assets.memory.feature_join import MODALITY_STAGES, video_features
from assets.memory.member_labels import MemberLabels
from assets.memory.memory_bank import bank_in_service, open_bank
from assets.metadata.author_history import labels_that_count, published_by
from assets.metadata.window_table import window_table
from assets.prediction.evaluation import evaluation
from assets.prediction.forecast_rows import ForecastRows, made_from
from assets.prediction.input_digests import FITS, TABLES
from assets.prediction.model_obstacles import NAME as OBSTACLES
from assets.prediction.served_row import ranked_rows
from assets.prediction.service_files import (
    FACTS,
    POST_LABELS,
    POSTS,
    RUN_AGAIN,
    SEARCHED_EXACTLY,
    STATISTICS,
    WEIGHTS,
    ServiceFiles,
)
from assets.prediction.stacking import WEIGHTS as STACK_WEIGHTS
from assets.prediction.trained_models import artifact_names
from assets.prediction.tuned_options import tuned_names
from assets.prediction.validation import NAME as VALIDATION
from assets.prediction.validation import read_validation
from assets.protocol.horizon_counts import (
    HorizonCounts,
    curve_horizons,
    end_of,
    horizon_counts,
    simulated_horizons,
)
from assets.protocol.labels import read_labels
from assets.protocol.splits import hash_matrix, items_of, read_splits
from assets.protocol.target import end_of_data
from assets.settings import Settings
from models.baselines import LogLinear
from models.predictors.features import PackedRows
from models.predictors.table import Table
from storage.datasets.source_mark import source_mark
from storage.durable import StoreError
from storage.fingerprint import Fingerprint
from storage.hashing import content_hash
from storage.store import Store

NAME = "forecast_service"
CODE = 4  # raise it when the same inputs give another result


@dg.asset(
    group_name="prediction",
    kinds={"parquet"},
    deps=[evaluation],
    description=__doc__,
    code_version=str(CODE),
    **IN_THE_CATALOG,
)
@skip_unchanged(
    NAME,
    reads=lambda store, settings: [
        source_mark(settings.data_folder()),
        *stage_marks(store),
        *table_marks(store, *TABLES, OBSTACLES, VALIDATION, STACK_WEIGHTS),
        *artifact_marks(store, *FITS, *artifact_names(settings), *tuned_names(settings)),
    ],
    makes=lambda store, settings: artifact_marks(store, NAME),
)
def forecast_service(context: dg.AssetExecutionContext, settings: Settings) -> dg.MaterializeResult:
    """Write what `reelcast predict` reads: tables of the bank's members, authors' posts, the served row and its weights."""
    store = open_store(settings)
    artifact = store.artifact(NAME)
    searched = {"index": settings.bank.index, "recall": settings.bank.recall}
    fingerprint = Fingerprint(code=CODE, parameters={**forecast_settings(settings), "searched": searched})
    features = video_features(store, [])
    packs = {modality: getattr(features, modality).keep.version.version for modality in MODALITY_STAGES}
    inputs_hash = content_hash(made_from(store, settings, "train", "val", "test", "predict"), packs)
    if not artifact.is_current(inputs_hash, fingerprint.hash):
        stop_if_planning(reason="what it is made from changed")
        with artifact.new(inputs_hash=inputs_hash, fingerprint=fingerprint.hash) as folder:
            members = _write(store, settings, folder, packs)
        artifact.prune(keep=1)
        note_run(context, store, NAME, computed=members, seconds=0.0)
    version = artifact.current()
    return dg.MaterializeResult(
        data_version=version_of_artifacts(version),
        metadata={
            "members": len(ServiceFiles.open(version).labels.value),
            "bytes": sum(size for size, _ in version.files.values()),
        },
    )


def _write(store: Store, settings: Settings, folder: Path, packs: dict[str, int]) -> int:
    """Write the files, and return the number of members."""
    bank, rows = open_bank(store), ForecastRows(store, settings)
    items = bank.items.tolist()
    table = window_table(store, settings, items, [None] * len(items))
    labels = MemberLabels.of(store, items)
    arrays = {"numeric": table.numeric, "label_value": labels.value, "label_since": labels.since}
    arrays["categorical"], vocabularies = _coded(table)
    features = video_features(store, items)
    for modality in MODALITY_STAGES:
        packed: PackedRows = getattr(features, modality)
        arrays |= {f"{modality}_starts": packed.starts, f"{modality}_lengths": packed.lengths}
    known = pl.DataFrame({"item": items}).join(
        known_items(store).select("item", "title", "sha256"), on="item", how="left", maintain_order="left"
    )
    titles = [(title or "").encode() for title in known["title"]]
    arrays["titles"] = np.frombuffer(b"".join(titles), np.uint8)
    arrays["title_offsets"] = np.concatenate([[0], np.cumsum([len(title) for title in titles], dtype=np.int64)])
    arrays["sha256"] = np.array([(digest or "").encode() for digest in known["sha256"]], "S64")
    arrays["hashes"] = hash_matrix(store, items)
    counts, simulated = _curve_counts(rows, items)
    arrays |= {"horizon_count": counts.count, "horizon_since": counts.since}
    for name, values in arrays.items():
        np.save(folder / f"{name}.npy", values)
    rows.weights.write_parquet(folder / f"{WEIGHTS}.parquet")
    _write_tables(store, settings, folder)
    lists = None
    if settings.bank.index == "auto":
        size, aim = settings.retrieval.neighbours, settings.bank.recall
        lists = bank.write_lists(folder, exact_up_to=SEARCHED_EXACTLY, size=size, aim=aim)
    extrapolation = rows.extrapolation
    lines = [
        [list(astuple(line)) if isinstance(line, LogLinear) else str(line) for line in at_age]
        for at_age in extrapolation.lines
    ]
    facts = {
        "code": CODE,
        "targets": [[target.metric, target.hours, target.source] for target in rows.targets],
        "means": rows.trivial.means,
        "extrapolation": [list(extrapolation.grid), extrapolation.whole, extrapolation.scale, lines],
        "settings": forecast_settings(settings),
        "ranked": ranked_rows(read_validation(store), serve=settings.model.serve),
        "numeric": table.numeric_names,
        "categorical": vocabularies,
        "packs": packs,
        "simulated": simulated.tolist(),
        "bank": bank.version.version,
        "lists": lists,
        "duplicate_bits": settings.protocol.duplicate_bits,
        "types": sorted(rows.events["type"].unique()),
        "metrics": sorted(rows.counters["metric"].unique()),
        "data_end": end_of_data(rows.events, rows.counters),
    }
    (folder / FACTS).write_text(json.dumps(facts), encoding="utf-8")
    return len(items)


def _curve_counts(rows: ForecastRows, members: list[str]) -> tuple[HorizonCounts, np.ndarray]:
    """Return the members' counts at the horizons of the curves, and the horizons up to which the process is continued."""
    settings, targets = rows.settings, rows.targets
    horizons, as_of = curve_horizons(settings, targets), end_of(settings, rows.events, rows.counters)

    def counts(items: list[str]) -> HorizonCounts:
        return horizon_counts(rows.events, rows.counters, rows.popularity, targets, horizons, as_of=as_of, items=items)

    training = items_of(read_splits(rows.store), "train")
    return counts(members), simulated_horizons(settings, targets, counts(training).count)


def _coded(table: Table) -> tuple[np.ndarray, dict[str, list[str]]]:
    """Return the categories as numbers, (n, q) int32, and the values that the numbers stand for per column."""
    codes, vocabularies = np.zeros(table.categorical.shape, np.int32), {}
    for place, name in enumerate(table.categorical_names):
        values, codes[:, place] = np.unique(table.categorical[:, place].astype(str), return_inverse=True)
        vocabularies[name] = values.tolist()
    return codes, vocabularies


def _write_tables(store: Store, settings: Settings, folder: Path) -> None:
    videos = published_by(store)
    posts = videos.drop_nulls(["author", "t0"]).sort("author", maintain_order=True)
    posts.write_parquet(folder / f"{POSTS}.parquet", row_group_size=ROWS)
    labels = labels_that_count(read_labels(store), videos, read_splits(store), settings.protocol.split)
    labels = labels.join(posts.select("item", "author"), on="item", maintain_order="left")
    labels.sort("author", maintain_order=True).write_parquet(folder / f"{POST_LABELS}.parquet", row_group_size=ROWS)
    authors = read_dataset(store, settings).authors
    if authors is not None:
        authors.write_parquet(folder / f"{STATISTICS}.parquet")


ROWS = 20_000  # rows per group of a file sorted by author, of which a reader opens those of its author


def forecast_settings(settings: Settings) -> dict[str, Any]:
    """Return the settings that a forecast depends on, as JSON would return them; those of encoders have their own check."""
    sections = ("protocol", "sampling", "process", "metadata", "retrieval")
    model = settings.model.model_dump(include={"train", "seeds", "serve", "variants"})
    curves = settings.curves.model_dump(include={"horizons", "simulated_until"})
    known = {name: getattr(settings, name).model_dump() for name in sections} | {"model": model, "curves": curves}
    return json.loads(json.dumps(known))


def service_files(store: Store, settings: Settings) -> ServiceFiles:
    """Open the files in service.

    Args:
        store: The store.
        settings: The settings of the forecasts.

    Raises:
        storage.durable.StoreError: There are none, or they belong to other settings, or to another version of reelcast or of
            the bank.
    """
    version = store.artifact(NAME).current()
    if version is None:
        raise StoreError(
            f"{store.root}: no model can forecast a new video yet; run the graph first (`make demo`, or `reelcast run`)"
        )
    files, bank = ServiceFiles.open(version), bank_in_service(store)
    if files.facts.get("code") != CODE:
        raise StoreError(f"forecasts of new videos were prepared by another version of reelcast; {RUN_AGAIN}")
    if files.facts["bank"] != bank.version:
        raise StoreError(
            f"version {bank.version} of the memory bank is in service, but forecasts of new videos were prepared for version "
            f"{files.facts['bank']}; {RUN_AGAIN}"
        )
    then, now = files.facts["settings"], forecast_settings(settings)
    differing = [
        f"{section}.{field}"
        for section, fields in now.items()
        for field, value in fields.items()
        if then.get(section, {}).get(field, value) != value
    ]
    if differing:
        raise StoreError(
            f"{', '.join(differing)}: changed since the models were trained; undo it, or run the graph (`reelcast run`)"
        )
    return files
