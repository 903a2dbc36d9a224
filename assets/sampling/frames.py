"""K sampled frames per video as JPEG, with their timestamps and perceptual hashes (M3TR, appendix E)."""

from collections.abc import Iterable, Sequence

import dagster as dg
import pyarrow as pa

from assets.engine.decoding_workers import in_processes, worker_count
from assets.engine.failure_checks import failed_share_check
from assets.engine.gates import BEHIND_LABELS
from assets.engine.media_tasks import take_frames
from assets.engine.run_stage import row_of, run_stage, unchanged_metadata
from assets.engine.skip_unchanged import skip_unchanged, stage_marks
from assets.engine.stage_declaration import StageDeclaration
from assets.engine.store_access import combined, computed_items, open_store
from assets.ingest.videos import known_items, videos
from assets.sampling.contact_sheet import VIDEOS as SHOWN
from assets.sampling.contact_sheet import contact_sheet
from assets.settings import Settings
from storage.fingerprint import Fingerprint
from storage.rows import Row
from storage.store import Store

NAME = "frames"
CODE = 2  # raise it when the same inputs give another result
PAYLOAD = pa.schema(
    {
        "frames": pa.list_(pa.binary()),
        "timestamps": pa.list_(pa.float64()),
        "indices": pa.list_(pa.int64()),
        "hashes": pa.list_(pa.uint64()),
        "damage": pa.string(),
    }
)


@dg.asset(
    group_name="sampling", kinds={"parquet"}, deps=[videos, BEHIND_LABELS], description=__doc__, code_version=str(CODE)
)
@skip_unchanged(
    "frames",
    reads=lambda store, settings: stage_marks(store, "videos"),
    makes=lambda store, settings: stage_marks(store, NAME),
    when_skipped=unchanged_metadata,
    shows=lambda store, settings: _first_frames(store),
)
def frames(context: dg.AssetExecutionContext, settings: Settings) -> dg.MaterializeResult:
    """Decode and store each video's sampled frames.

    A renamed file with the same bytes is not decoded again. A video without a file has a missing row.
    """
    store, sampling = open_store(settings), settings.sampling
    items = known_items(store)
    paths = dict(items.select("item", "path").iter_rows())
    contents = {item: digest or "" for item, digest in items.select("item", "sha256").iter_rows()}
    inputs = combined(contents, items=contents)
    options = (sampling.frames, sampling.method, sampling.stride, sampling.max_side, sampling.jpeg_quality)

    def compute(todo: Sequence[str]) -> Iterable[Row]:
        yield from (Row.missing(item, inputs[item], "no video file") for item in todo if not contents[item])
        calls = ((item, (paths[item], *options)) for item in todo if contents[item])
        workers = worker_count(settings.run.workers)
        for item, outcome in in_processes(take_frames, calls, workers=workers, timeout=sampling.timeout_seconds):
            yield row_of(item, inputs[item], outcome)

    parameters = dict(zip(("frames", "method", "stride", "max_side", "jpeg_quality"), options))
    stage = store.stage(NAME, PAYLOAD)
    return run_stage(
        context,
        store,
        settings,
        stage,
        inputs=inputs,
        fingerprint=Fingerprint(code=CODE, parameters=parameters),
        compute=compute,
    )


FRAMES = StageDeclaration(NAME, PAYLOAD, frames)
frames_failed_share = failed_share_check(frames, NAME)


def _first_frames(store: Store) -> dict[str, dg.MetadataValue]:
    stage = FRAMES.open(store)
    table = stage.read(items=computed_items(stage)[:SHOWN], columns=["frames", "timestamps"])
    items = table["item"].to_pylist()
    seconds = [[f"{at:.1f} s" for at in row] for row in table["timestamps"].to_pylist()]
    return contact_sheet(store, dict(zip(items, table["frames"].to_pylist())), dict(zip(items, seconds)))
