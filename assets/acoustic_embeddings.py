"""[embeddings] acoustic_embeddings: one vector an audio segment (AST in M3TR appendix E)."""

import dagster as dg
import pyarrow as pa

from assets import audio as upstream
from assets.encoding import encoded, encoder_fingerprint, load, padded
from assets.increment import run_stage
from assets.media_tasks import decode_segment
from assets.settings import Settings
from assets.stages import failed_share_check, open_store, outputs
from storage.arrays import fixed

NAME = "acoustic_embeddings"


def payload(count: int, width: int) -> pa.Schema:
    """Columns: `embedding` (count, width), of which the first `rows` are real."""
    return pa.schema([fixed("embedding", (count, width), "float16"), pa.field("rows", pa.int32())])


@dg.asset(group_name="embeddings", kinds={"parquet"}, deps=[upstream.audio], description=__doc__)
def acoustic_embeddings(context: dg.AssetExecutionContext, settings: Settings) -> dg.MaterializeResult:
    """Embed every kept segment."""
    store = open_store(settings)
    source = store.stage(upstream.NAME, upstream.PAYLOAD)
    inputs, count = outputs(source), settings.sampling.frames
    encoder = load(settings, "acoustic")
    return run_stage(
        context,
        store,
        settings.run,
        store.stage(NAME, payload(count, encoder.width)),
        inputs=inputs,
        fingerprint=encoder_fingerprint(settings, "acoustic", code=1, count=count),
        compute=lambda todo: encoded(
            todo,
            upstream=source,
            column="segments",
            inputs=inputs,
            decode=decode_segment,
            encode=lambda segments: padded(encoder.encode(segments, settings.audio_rate()), count),
        ),
    )


acoustic_embeddings_failed_share = failed_share_check(acoustic_embeddings, NAME)
