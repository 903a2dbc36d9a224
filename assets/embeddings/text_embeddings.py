"""One vector per word of the title (AnglE; M3TR, appendix E)."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg
import numpy as np
import pyarrow as pa

from assets.encoding.encoder_loader import Missing, Preparation, Prepared
from assets.encoding.encoder_stage import EncoderStage, origin_mark
from assets.encoding.encoding_tasks import as_float16
from assets.encoding.feature_imports import FeatureImport
from assets.engine.failure_checks import failed_share_check
from assets.engine.gates import BEHIND_SPLITS
from assets.engine.pools import ON_THE_DEVICE
from assets.engine.run_stage import unchanged_metadata
from assets.engine.skip_unchanged import skip_unchanged, stage_marks
from assets.ingest.videos import VIDEOS, import_items, known_titles, visible_title
from assets.settings import Settings
from models.encoders import TextEncoder
from storage.arrays import ragged
from storage.store import Store

NAME = "text_embeddings"
CODE = 1  # raise it when the same inputs give another result


def payload(width: int) -> pa.Schema:
    """Return the stage's columns for vectors of `width` numbers: `embedding` (words, width)."""
    return pa.schema([ragged("embedding", width, "float16")])


@dg.asset(
    group_name="embeddings",
    kinds={"parquet"},
    deps=[VIDEOS.asset, BEHIND_SPLITS],
    description=__doc__,
    code_version=str(CODE),
    **ON_THE_DEVICE,
)
@skip_unchanged(
    "text_embeddings",
    reads=lambda store, settings: [*stage_marks(store, "videos"), origin_mark(settings, NAME, "text")],
    makes=lambda store, settings: stage_marks(store, NAME),
    when_skipped=unchanged_metadata,
)
def text_embeddings(context: dg.AssetExecutionContext, settings: Settings) -> dg.MaterializeResult:
    """Embed every title word by word. A video with an empty title gets a missing row."""
    return encoder_stage(settings).run(context, settings)


def encoder_stage(settings: Settings) -> EncoderStage:
    """Return how the stage's rows are computed."""
    return EncoderStage(
        name=NAME,
        code=CODE,
        role="text",
        upstream=(VIDEOS.columns("title"),),
        payload=payload,
        prepare=prepare_title,
        encode=encode_words,
        finish=words_row,
        inputs=title_hashes,
        parameters={"level": "words"},
        imports=FeatureImport(import_items, imported_words),
    )


def title_hashes(store: Store) -> dict[str, str]:
    """Return a hash of each item's title, the only column of `videos` that this stage reads."""
    return {item: hashlib.sha256(title.encode()).hexdigest() for item, title in known_titles(store).items()}


def prepare_title(_preparation: Preparation, row: Mapping[str, Any]) -> Prepared | Missing:
    """Return the title as encoder input, or `Missing` for a title without visible characters."""
    title = visible_title(row["title"])
    return Prepared(title) if title else Missing("empty title")


def encode_words(encoder: TextEncoder, titles: Sequence[str]) -> list[np.ndarray]:
    """Return an array (words, width) per title."""
    return encoder.encode_words(titles)


def words_row(vectors: np.ndarray, _note: None) -> dict[str, object] | Missing:
    """Return a title's row, or `Missing` if the encoder found no word in the title."""
    return imported_words(vectors) if len(vectors) else Missing("no word in the title")


def imported_words(vectors: np.ndarray) -> dict[str, object]:
    """Return a title's row. An imported vector of the whole title is stored as the vector of a single word.

    Raises:
        EncoderError: A number is too large for float16.
    """
    return {"embedding": as_float16(vectors)}


text_embeddings_failed_share = failed_share_check(text_embeddings, NAME)
