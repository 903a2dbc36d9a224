"""[captions] visual_captions: a sentence for each frame (BLIP-2 in M3TR section 3.3)."""

import dagster as dg
import pyarrow as pa

from assets import frames as upstream
from assets.encoding import encoded, encoder_fingerprint, load
from assets.increment import run_stage
from assets.media_tasks import decode_jpeg
from assets.pools import ON_THE_DEVICE
from assets.settings import Settings
from assets.stages import failed_share_check, open_store, outputs

NAME = "visual_captions"
PAYLOAD = pa.schema({"captions": pa.list_(pa.string())})


@dg.asset(group_name="captions", kinds={"parquet"}, deps=[upstream.frames], description=__doc__, **ON_THE_DEVICE)
def visual_captions(context: dg.AssetExecutionContext, settings: Settings) -> dg.MaterializeResult:
    """Caption every kept frame."""
    store = open_store(settings)
    source = store.stage(upstream.NAME, upstream.PAYLOAD)
    inputs = outputs(source)
    return run_stage(
        context,
        store,
        settings.run,
        store.stage(NAME, PAYLOAD),
        inputs=inputs,
        fingerprint=encoder_fingerprint(settings, "captions", code=1),
        compute=lambda todo: encoded(
            todo,
            upstream=source,
            column="frames",
            inputs=inputs,
            decode=decode_jpeg,
            encode=lambda images: {"captions": load(settings, "captions").caption(images)},
        ),
    )


visual_captions_failed_share = failed_share_check(visual_captions, NAME)
