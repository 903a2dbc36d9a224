"""[embeddings] acoustic_embeddings: one vector an audio segment (AST in M3TR appendix E)."""

import dagster as dg

from assets import audio as upstream
from assets.aligned_embeddings import embed_aligned
from assets.encoding_tasks import prepare_segments
from assets.pools import ON_THE_DEVICE
from assets.settings import Settings
from assets.stages import failed_share_check

NAME = "acoustic_embeddings"


@dg.asset(group_name="embeddings", kinds={"parquet"}, deps=[upstream.audio], description=__doc__, **ON_THE_DEVICE)
def acoustic_embeddings(context: dg.AssetExecutionContext, settings: Settings) -> dg.MaterializeResult:
    """Embed every kept segment of sound."""
    return embed_aligned(
        context,
        settings,
        name=NAME,
        role="acoustic",
        upstream=upstream,
        columns=["segments", "rate"],
        prepare=prepare_segments,
    )


acoustic_embeddings_failed_share = failed_share_check(acoustic_embeddings, NAME)
