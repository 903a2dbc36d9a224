"""[captions] audio_captions: the descriptions that fit the sound best, with scores (CLAP in M3TR section 3.3)."""

import dagster as dg
import numpy as np
import pyarrow as pa

from assets import audio as upstream
from assets.encoding import encoded, encoder_fingerprint, load
from assets.increment import run_stage
from assets.media_tasks import decode_segment
from assets.pools import ON_THE_DEVICE
from assets.settings import Settings
from assets.stages import failed_share_check, open_store, outputs

NAME = "audio_captions"
PAYLOAD = pa.schema({"descriptions": pa.list_(pa.string()), "scores": pa.list_(pa.float32())})
KEPT = 3


@dg.asset(group_name="captions", kinds={"parquet"}, deps=[upstream.audio], description=__doc__, **ON_THE_DEVICE)
def audio_captions(context: dg.AssetExecutionContext, settings: Settings) -> dg.MaterializeResult:
    """Describe the sound of every video that has any."""
    store = open_store(settings)
    source = store.stage(upstream.NAME, upstream.PAYLOAD)
    inputs, rate = outputs(source), settings.audio_rate()

    def describe(segments: list[np.ndarray]) -> dict[str, object]:
        best: dict[str, float] = {}
        for described in load(settings, "sounds").describe(segments, rate):
            for text, score in described:
                best[text] = max(score, best.get(text, -np.inf))
        kept = sorted(best, key=lambda text: (-best[text], text))[:KEPT]
        return {"descriptions": kept, "scores": [best[text] for text in kept]}

    return run_stage(
        context,
        store,
        settings.run,
        store.stage(NAME, PAYLOAD),
        inputs=inputs,
        fingerprint=encoder_fingerprint(settings, "sounds", code=1, kept=KEPT),
        compute=lambda todo: encoded(
            todo, upstream=source, column="segments", inputs=inputs, decode=decode_segment, encode=describe
        ),
    )


audio_captions_failed_share = failed_share_check(audio_captions, NAME)
