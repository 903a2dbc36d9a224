"""[captions] visual_captions: a sentence for each frame (BLIP-2 in M3TR section 3.3)."""

from functools import partial

import dagster as dg
import pyarrow as pa

from assets.encoding.encoder_stage import encode_stage
from assets.encoding.encoding_tasks import captions_of_all, prepare_distinct_frames, prepare_frames
from assets.engine.failure_checks import failed_share_check
from assets.engine.gates import BEHIND_SPLITS
from assets.engine.pools import ON_THE_DEVICE
from assets.sampling import frames as upstream
from assets.settings import Settings

NAME = "visual_captions"
PAYLOAD = pa.schema({"captions": pa.list_(pa.string())})


@dg.asset(
    group_name="captions",
    kinds={"parquet"},
    deps=[upstream.frames, BEHIND_SPLITS],
    description=__doc__,
    code_version="1",
    **ON_THE_DEVICE,
)
def visual_captions(context: dg.AssetExecutionContext, settings: Settings) -> dg.MaterializeResult:
    """Caption every kept frame, or only those that differ (`encoders.repeated_frame_bits`)."""
    bits = settings.encoders.repeated_frame_bits
    return encode_stage(
        context,
        settings,
        name=NAME,
        payload=PAYLOAD,
        role="captions",
        upstream=upstream,
        columns=["frames"] if bits is None else ["frames", "hashes"],
        prepare=prepare_frames if bits is None else partial(prepare_distinct_frames, bits=bits),
        finish=captions_of_all,
        **({} if bits is None else {"repeated_frame_bits": bits}),
    )


visual_captions_failed_share = failed_share_check(visual_captions, NAME)
