"""[embeddings] acoustic_embeddings: one vector an audio segment (AST in M3TR appendix E)."""

import dagster as dg

from assets.encoding.aligned_embeddings import embed_aligned, import_vectors_of_parts
from assets.encoding.encoding_tasks import prepare_segments
from assets.encoding.imported_files import imported
from assets.engine.failure_checks import failed_share_check
from assets.engine.gates import BEHIND_SPLITS
from assets.engine.pools import ON_THE_DEVICE
from assets.engine.store_access import open_store
from assets.ingest.videos import import_items
from assets.sampling import audio as upstream
from assets.settings import Settings

NAME = "acoustic_embeddings"


@dg.asset(
    group_name="embeddings",
    kinds={"parquet"},
    deps=[upstream.audio, BEHIND_SPLITS],
    description=__doc__,
    code_version="1",
    **ON_THE_DEVICE,
)
def acoustic_embeddings(context: dg.AssetExecutionContext, settings: Settings) -> dg.MaterializeResult:
    """Embed every kept segment of sound."""
    if NAME in imported(settings):
        return import_vectors_of_parts(context, settings, NAME, import_items(open_store(settings)))
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
