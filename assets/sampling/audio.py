"""Audio segments aligned with the sampled frames, as mono 16-bit samples."""

from collections.abc import Iterable, Sequence

import dagster as dg
import pyarrow as pa

from assets.engine.decoding_workers import in_processes, worker_count
from assets.engine.failure_checks import failed_share_check
from assets.engine.media_tasks import take_audio
from assets.engine.run_stage import row_of, run_stage, unchanged_metadata
from assets.engine.skip_unchanged import skip_unchanged, stage_marks
from assets.engine.stage_declaration import StageDeclaration
from assets.engine.store_access import combined, computed_items, open_store, outputs
from assets.ingest.videos import known_items, videos
from assets.sampling.frames import FRAMES
from assets.sampling.spectrogram_picture import MOST_VIDEOS, spectrograms
from assets.settings import Settings
from storage.fingerprint import Fingerprint
from storage.rows import Row
from storage.store import Store

NAME = "audio"
CODE = 2  # raise it when the same inputs give another result
PAYLOAD = pa.schema({"segments": pa.list_(pa.binary()), "rate": pa.int32(), "damage": pa.string()})


@dg.asset(
    group_name="sampling", kinds={"parquet"}, deps=[videos, FRAMES.asset], description=__doc__, code_version=str(CODE)
)
@skip_unchanged(
    "audio",
    reads=lambda store, settings: stage_marks(store, "videos", "frames"),
    makes=lambda store, settings: stage_marks(store, NAME),
    when_skipped=unchanged_metadata,
    shows=lambda store, settings: _first_sounds(store),
)
def audio(context: dg.AssetExecutionContext, settings: Settings) -> dg.MaterializeResult:
    """Cut each video's sound at the timestamps of its frames.

    A video without an audio track, or with an empty one, has a missing row.
    """
    store, sampling = open_store(settings), settings.sampling
    items = known_items(store)
    paths = dict(items.select("item", "path").iter_rows())
    has_audio = dict(items.select("item", "has_audio").iter_rows())
    contents = {item: digest or "" for item, digest in items.select("item", "sha256").iter_rows()}
    sampled = FRAMES.open(store)
    rows = sampled.read(columns=["timestamps"])
    timestamps = dict(zip(rows["item"].to_pylist(), rows["timestamps"].to_pylist()))
    cuts = {item: repr(seconds) for item, seconds in timestamps.items()}
    # If `frames` did not run since, it may hold items that have left the data set.
    inputs = combined(contents, cuts, items=[item for item in outputs(sampled) if item in contents])
    rate, seconds = settings.audio_rate(), sampling.segment_seconds

    def compute(todo: Sequence[str]) -> Iterable[Row]:
        yield from (Row.missing(item, inputs[item], "no audio track") for item in todo if not has_audio[item])
        calls = ((item, (paths[item], timestamps[item], rate, seconds)) for item in todo if has_audio[item])
        workers = worker_count(settings.run.workers)
        for item, outcome in in_processes(take_audio, calls, workers=workers, timeout=sampling.timeout_seconds):
            if outcome is None:  # the container lists a track without sound in it
                yield Row.missing(item, inputs[item], "no sound in the audio track")
            else:
                yield row_of(item, inputs[item], outcome)

    fingerprint = Fingerprint(code=CODE, parameters={"rate": rate, "seconds": seconds})
    return run_stage(
        context,
        store,
        settings,
        store.stage(NAME, PAYLOAD),
        inputs=inputs,
        fingerprint=fingerprint,
        compute=compute,
    )


AUDIO = StageDeclaration(NAME, PAYLOAD, audio)
audio_failed_share = failed_share_check(audio, NAME)


def _first_sounds(store: Store) -> dict[str, dg.MetadataValue]:
    stage = AUDIO.open(store)
    table = stage.read(items=computed_items(stage)[:MOST_VIDEOS], columns=["segments", "rate"])
    sounds = zip(table["segments"].to_pylist(), table["rate"].to_pylist())
    return spectrograms(dict(zip(table["item"].to_pylist(), sounds)))
