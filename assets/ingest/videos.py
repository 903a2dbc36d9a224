"""Every item of the data set with its texts and the facts of its media file (duration, size, frame rate, sound)."""

import hashlib
import json
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import dagster as dg
import polars as pl
import pyarrow as pa

from assets.encoding.encoder_choice import check_encoders
from assets.encoding.feature_imports import ImportItems
from assets.encoding.imported_files import check_imports, import_mark, imported
from assets.engine.decoding_workers import in_processes, worker_count
from assets.engine.dry_run import foresee, foreseen, is_dry
from assets.engine.failure_checks import failed_share_check
from assets.engine.media_tasks import inspect_file
from assets.engine.run_stage import row_of, run_stage, unchanged_metadata
from assets.engine.skip_unchanged import skip_unchanged, stage_marks
from assets.engine.stage_declaration import StageDeclaration
from assets.engine.store_access import open_store, read_dataset
from assets.settings import Settings
from storage.datasets.dataset import natural_order
from storage.datasets.errors import DatasetError
from storage.datasets.source_mark import source_mark
from storage.fingerprint import Fingerprint
from storage.rows import Row
from storage.stage import Stage
from storage.store import Store

NAME = "videos"
CODE = 2  # raise it when the same inputs give another result
PAYLOAD = pa.schema(
    {
        "path": pa.string(),
        "sha256": pa.string(),
        "bytes": pa.int64(),
        "duration": pa.float64(),
        "fps": pa.float64(),
        "width": pa.int32(),
        "height": pa.int32(),
        "rotation": pa.int32(),
        "has_audio": pa.bool_(),
        "title": pa.string(),
        "category": pa.string(),
        "author": pa.string(),
        "published_at": pa.int64(),
    }
)
TEXTS = ("title", "category", "author", "published_at")


@dg.asset(group_name="ingest", kinds={"parquet"}, description=__doc__, code_version=str(CODE))
@skip_unchanged(
    "videos",
    reads=lambda store, settings: source_marks(settings),
    makes=lambda store, settings: stage_marks(store, NAME),
    when_skipped=unchanged_metadata,
)
def videos(context: dg.AssetExecutionContext, settings: Settings) -> dg.MaterializeResult:
    """Read the data set's items and inspect each file.

    An item without a file keeps its row; the columns about the file are null.
    """
    store = open_store(settings)
    check_encoders(settings)
    dataset = read_dataset(store, settings)
    for severity, note in dataset.notes:
        context.log.log(30 if severity == "warning" else 20, "%s: %s", settings.data.folder, note)
    items = {row["item"]: row for row in dataset.videos.iter_rows(named=True)}
    check_imports(settings, list(items))
    inputs = {item: _input_hash(row) for item, row in items.items()}

    def compute(todo: Sequence[str]) -> Iterable[Row]:
        for item in todo:
            if items[item]["path"] is None:
                yield Row.ok(item, inputs[item], {name: items[item].get(name) for name in PAYLOAD.names})
        calls = ((item, (items[item]["path"],)) for item in todo if items[item]["path"] is not None)
        workers = worker_count(settings.run.workers)
        for item, outcome in in_processes(
            inspect_file, calls, workers=workers, timeout=settings.sampling.timeout_seconds
        ):
            texts = {name: items[item][name] for name in ("path", *TEXTS)}
            yield row_of(item, inputs[item], outcome if isinstance(outcome, Exception) else {**texts, **outcome})

    stage = store.stage(NAME, PAYLOAD)
    check_files_are_there(stage, items, limit=settings.run.failure_limit, folder=settings.data.folder)
    if is_dry():
        foresee(NAME, *_planned_rows(stage, items))
    return run_stage(
        context,
        store,
        settings,
        stage,
        inputs=inputs,
        fingerprint=Fingerprint(code=CODE),
        compute=compute,
        is_quick=dataset.videos["path"].is_null().all(),
    )


def source_marks(settings: Settings) -> list[str | None]:
    """Return marks of the data set's files and of all imported features.

    The data set's mark is None if its state cannot be determined.
    """
    return [source_mark(settings.data_folder()), *(import_mark(settings, name) for name in imported(settings))]


def check_files_are_there(
    stage: Stage, items: Mapping[str, Mapping[str, object]], *, limit: float, folder: str
) -> None:
    """Stop the run if the files of many known videos are gone, for example because a disk is not mounted.

    Otherwise their frames, captions and embeddings would be dropped, and computed again once the files are back.

    Args:
        stage: The stage of videos as the last run left it.
        items: The data set's items as they are now, by id, each with its `path` or None.
        limit: Share of the stored videos with a file that may lose it; `run.failure_limit`.
        folder: Folder of the data set, for the error message.

    Raises:
        DatasetError: More than `limit` of the stored videos with a file have none now.
    """
    stored = pl.from_arrow(stage.read(columns=["path"])).filter(pl.col("path").is_not_null())["item"].to_list()
    gone = [item for item in stored if item not in items or items[item]["path"] is None]
    if len(gone) > limit * len(stored):
        raise DatasetError(
            [
                f"{folder}: {len(gone):,} of {len(stored):,} videos whose files were read before have no file now, first "
                f"{', '.join(gone[:5])}. Is the disk mounted? Their computed rows are kept. If the files are gone for good, "
                f"allow it for one run: run.failure_limit = 1 (it is {limit:g}; REELCAST_RUN__FAILURE_LIMIT=1)"
            ]
        )


def _planned_rows(stage: Stage, items: Mapping[str, dict[str, object]]) -> tuple[pl.DataFrame, frozenset[str]]:
    """Return the rows that a run would leave, as far as they are known without opening a file.

    Returns:
        The stored rows, with the data set's current texts where the file is unchanged; and the items whose row is certain.
    """
    hashes = dict(stage.states().select("item", "input_hash").iter_rows())
    stored, rows, certain = pl.from_arrow(stage.read()), [], set()
    for row in stored.iter_rows(named=True):
        now = items.get(row["item"])
        if now is None:
            certain.add(row["item"])
            continue
        # With the row's own texts, the input hash differs only if the file changed.
        if now["path"] == row["path"] and _input_hash(row) == hashes[row["item"]]:
            certain.add(row["item"])
            row.update({name: now[name] for name in TEXTS})
        rows.append(row)
    return pl.DataFrame(rows, schema=stored.schema), frozenset(certain)


def _input_hash(row: dict[str, object]) -> str:
    """Hash an item's texts and its file's path, size and modification time; planning must not read the file itself."""
    facts = [row[name] for name in TEXTS]
    if row["path"] is not None:
        stat = Path(str(row["path"])).stat()
        facts += [row["path"], stat.st_size, stat.st_mtime_ns]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


VIDEOS = StageDeclaration(NAME, PAYLOAD, videos)
videos_failed_share = failed_share_check(videos, NAME)


def known_items(store: Store) -> pl.DataFrame:
    """Return the items without a failed row, with their texts and file facts, in natural order.

    In a dry run, these are the rows that the run would leave.
    """
    frame = foreseen(NAME)
    if frame is None:
        frame = pl.from_arrow(store.stage(NAME, PAYLOAD).read())
    order = {item: rank for rank, item in enumerate(natural_order(frame["item"]))}
    return frame.sort(pl.col("item").replace_strict(order, return_dtype=pl.Int64))


def import_items(store: Store) -> ImportItems:
    """Return the data set's items as `ImportItems`, for reading imported features."""
    listed = store.stage(NAME, PAYLOAD).states()["item"].to_list()
    return ImportItems(listed=listed, readable=known_items(store)["item"].to_list())


def known_titles(store: Store) -> dict[str, str]:
    """Return the title of each item in `known_items`, cleaned by `visible_title`."""
    return {item: visible_title(title) for item, title in known_items(store).select("item", "title").iter_rows()}


def visible_title(title: str | None) -> str:
    """Return a title without surrounding white space; empty if it has no visible character.

    Example:
        >>> visible_title(" My cat "), visible_title(None)
        ('My cat', '')
    """
    return title.strip() if title and any(map(_is_visible, title)) else ""


def _is_visible(character: str) -> bool:
    """Whether a character is visible: no white space, control or format character (Unicode categories)."""
    return unicodedata.category(character) not in ("Cc", "Cf", "Zs", "Zl", "Zp")
