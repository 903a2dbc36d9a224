"""[embeddings] visual_embeddings: one vector a frame (ViT in M3TR appendix E)."""

import dagster as dg

from assets.encoding.aligned_embeddings import embed_aligned, import_vectors_of_parts
from assets.encoding.encoding_tasks import prepare_frames
from assets.encoding.imported_files import imported
from assets.engine.failure_checks import failed_share_check
from assets.engine.gates import BEHIND_SPLITS
from assets.engine.pools import ON_THE_DEVICE
from assets.engine.store_access import open_store
from assets.ingest.videos import import_items
from assets.sampling import frames as upstream
from assets.settings import Settings

NAME = "visual_embeddings"


@dg.asset(
    group_name="embeddings",
    kinds={"parquet"},
    deps=[upstream.frames, BEHIND_SPLITS],
    description=__doc__,
    code_version="1",
    **ON_THE_DEVICE,
)
def visual_embeddings(context: dg.AssetExecutionContext, settings: Settings) -> dg.MaterializeResult:
    """Embed every kept frame."""
    if NAME in imported(settings):
        return import_vectors_of_parts(context, settings, NAME, import_items(open_store(settings)))
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
