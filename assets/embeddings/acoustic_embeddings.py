"""[embeddings] acoustic_embeddings: one vector an audio segment (AST in M3TR appendix E)."""

import dagster as dg

from assets.encoding.aligned_embeddings import embed_aligned, import_vectors_of_parts
from assets.encoding.encoder_stage import origin_mark
from assets.encoding.encoding_tasks import prepare_segments
from assets.encoding.imported_files import imported
from assets.engine.failure_checks import failed_share_check
from assets.engine.pools import ON_THE_DEVICE
from assets.engine.run_stage import unchanged_metadata
from assets.engine.skip_unchanged import skip_unchanged, stage_marks
from assets.engine.store_access import open_store
from assets.ingest.videos import import_items
from assets.sampling import audio as upstream
from assets.settings import Settings

NAME = "acoustic_embeddings"


@dg.asset(group_name="embeddings", kinds={"parquet"}, deps=[upstream.audio], description=__doc__, **ON_THE_DEVICE)
@skip_unchanged(
    "acoustic_embeddings",
    reads=lambda store, settings: [*stage_marks(store, "videos", "audio"), origin_mark(settings, NAME, "acoustic")],
    makes=lambda store, settings: stage_marks(store, NAME),
    when_skipped=unchanged_metadata,
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
