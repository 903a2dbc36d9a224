"""One vector per segment of sound (AST; M3TR, appendix E)."""

from functools import partial

import dagster as dg

from assets.encoding.encoder_stage import EncoderStage, origin_mark
from assets.encoding.encoding_tasks import aligned_payload, padded, prepare_segments
from assets.encoding.feature_imports import FeatureImport
from assets.engine.failure_checks import failed_share_check
from assets.engine.gates import BEHIND_SPLITS
from assets.engine.pools import ON_THE_DEVICE
from assets.engine.run_stage import unchanged_metadata
from assets.engine.skip_unchanged import skip_unchanged, stage_marks
from assets.ingest.videos import import_items
from assets.sampling.audio import AUDIO
from assets.settings import Settings

NAME = "acoustic_embeddings"
CODE = 1  # raise it when the same inputs give another result


@dg.asset(
    group_name="embeddings",
    kinds={"parquet"},
    deps=[AUDIO.asset, BEHIND_SPLITS],
    description=__doc__,
    code_version=str(CODE),
    **ON_THE_DEVICE,
)
@skip_unchanged(
    "acoustic_embeddings",
    reads=lambda store, settings: [*stage_marks(store, "videos", "audio"), origin_mark(settings, NAME, "acoustic")],
    makes=lambda store, settings: stage_marks(store, NAME),
    when_skipped=unchanged_metadata,
)
def acoustic_embeddings(context: dg.AssetExecutionContext, settings: Settings) -> dg.MaterializeResult:
    """Embed every stored segment of sound."""
    return encoder_stage(settings).run(context, settings)


def encoder_stage(settings: Settings) -> EncoderStage:
    """Return how the stage's rows are computed."""
    count = settings.sampling.frames
    return EncoderStage(
        name=NAME,
        code=CODE,
        role="acoustic",
        upstream=(AUDIO.columns("segments", "rate"),),
        payload=partial(aligned_payload, count=count),
        prepare=prepare_segments,
        finish=partial(padded, count=count),
        parameters={"count": count},
        imports=FeatureImport(import_items, partial(padded, count=count)),
    )


acoustic_embeddings_failed_share = failed_share_check(acoustic_embeddings, NAME)
