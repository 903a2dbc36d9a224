"""[embeddings] visual_embeddings: one vector a frame (ViT in M3TR appendix E)."""

import dagster as dg

from assets import frames as upstream
from assets.aligned_embeddings import embed_aligned
from assets.encoding_tasks import prepare_frames
from assets.pools import ON_THE_DEVICE
from assets.settings import Settings
from assets.stages import failed_share_check

NAME = "visual_embeddings"


@dg.asset(group_name="embeddings", kinds={"parquet"}, deps=[upstream.frames], description=__doc__, **ON_THE_DEVICE)
def visual_embeddings(context: dg.AssetExecutionContext, settings: Settings) -> dg.MaterializeResult:
    """Embed every kept frame."""
    return embed_aligned(
        context,
        settings,
        name=NAME,
        role="visual",
        upstream=upstream,
        columns=["frames"],
        prepare=prepare_frames,
    )


visual_embeddings_failed_share = failed_share_check(visual_embeddings, NAME)
