"""One vector per sampled frame (ViT; M3TR, appendix E)."""

from functools import partial

import dagster as dg

from assets.encoding.encoder_stage import EncoderStage, origin_mark
from assets.encoding.encoding_tasks import aligned_payload, padded, prepare_frames
from assets.encoding.feature_imports import FeatureImport
from assets.engine.failure_checks import failed_share_check
from assets.engine.gates import BEHIND_SPLITS
from assets.engine.pools import ON_THE_DEVICE
from assets.engine.run_stage import unchanged_metadata
from assets.engine.skip_unchanged import skip_unchanged, stage_marks
from assets.ingest.videos import import_items
from assets.sampling.frames import FRAMES
from assets.settings import Settings

NAME = "visual_embeddings"
CODE = 1  # raise it when the same inputs give another result


@dg.asset(
    group_name="embeddings",
    kinds={"parquet"},
    deps=[FRAMES.asset, BEHIND_SPLITS],
    description=__doc__,
    code_version=str(CODE),
    **ON_THE_DEVICE,
)
@skip_unchanged(
    "visual_embeddings",
    reads=lambda store, settings: [*stage_marks(store, "videos", "frames"), origin_mark(settings, NAME, "visual")],
    makes=lambda store, settings: stage_marks(store, NAME),
    when_skipped=unchanged_metadata,
)
def visual_embeddings(context: dg.AssetExecutionContext, settings: Settings) -> dg.MaterializeResult:
    """Embed every sampled frame."""
    return encoder_stage(settings).run(context, settings)


def encoder_stage(settings: Settings) -> EncoderStage:
    """Return how the stage's rows are computed."""
    count = settings.sampling.frames
    return EncoderStage(
        name=NAME,
        code=CODE,
        role="visual",
        upstream=(FRAMES.columns("frames"),),
        payload=partial(aligned_payload, count=count),
        prepare=prepare_frames,
        finish=partial(padded, count=count),
        parameters={"count": count},
        imports=FeatureImport(import_items, partial(padded, count=count)),
    )


visual_embeddings_failed_share = failed_share_check(visual_embeddings, NAME)
