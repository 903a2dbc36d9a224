"""The three best descriptions of each video's sound, with scores (CLAP; M3TR, section 3.3)."""

from functools import partial

import dagster as dg
import pyarrow as pa

from assets.encoding.encoder_stage import EncoderStage, origin_mark
from assets.encoding.encoding_tasks import best_descriptions, prepare_segments
from assets.engine.failure_checks import failed_share_check
from assets.engine.gates import BEHIND_SPLITS
from assets.engine.pools import ON_THE_DEVICE
from assets.engine.run_stage import unchanged_metadata
from assets.engine.skip_unchanged import skip_unchanged, stage_marks
from assets.engine.stage_declaration import StageDeclaration
from assets.sampling.audio import AUDIO
from assets.settings import Settings

NAME = "audio_captions"
CODE = 1  # raise it when the same inputs give another result
PAYLOAD = pa.schema({"descriptions": pa.list_(pa.string()), "scores": pa.list_(pa.float32())})
KEPT = 3  # descriptions per video


@dg.asset(
    group_name="captions",
    kinds={"parquet"},
    deps=[AUDIO.asset, BEHIND_SPLITS],
    description=__doc__,
    code_version=str(CODE),
    **ON_THE_DEVICE,
)
@skip_unchanged(
    "audio_captions",
    reads=lambda store, settings: [*stage_marks(store, "audio"), origin_mark(settings, NAME, "sounds")],
    makes=lambda store, settings: stage_marks(store, NAME),
    when_skipped=unchanged_metadata,
)
def audio_captions(context: dg.AssetExecutionContext, settings: Settings) -> dg.MaterializeResult:
    """Describe the sound of every video that has sound."""
    return encoder_stage(settings).run(context, settings)


def encoder_stage(settings: Settings) -> EncoderStage:
    """Return how the stage's rows are computed."""
    return EncoderStage(
        name=NAME,
        code=CODE,
        role="sounds",
        upstream=(AUDIO.columns("segments", "rate"),),
        payload=PAYLOAD,
        prepare=prepare_segments,
        finish=partial(best_descriptions, kept=KEPT),
        parameters={"kept": KEPT},
    )


AUDIO_CAPTIONS = StageDeclaration(NAME, PAYLOAD, audio_captions)
audio_captions_failed_share = failed_share_check(audio_captions, NAME)
