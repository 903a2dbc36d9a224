"""[embeddings] retrieval_vectors: one vector of captions, sound and title together (R in M3TR section 3.3, MUFM eq. 23)."""

from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg
import numpy as np
import pyarrow as pa

from assets.captions.audio_captions import AUDIO_CAPTIONS
from assets.captions.visual_captions import VISUAL_CAPTIONS
from assets.encoding.encoder_loader import Missing, Preparation, Prepared
from assets.encoding.encoder_stage import EncoderStage, origin_mark
from assets.encoding.feature_imports import FeatureImport
from assets.engine.failure_checks import failed_share_check
from assets.engine.pools import ON_THE_DEVICE
from assets.engine.run_stage import unchanged_metadata
from assets.engine.skip_unchanged import skip_unchanged, stage_marks
from assets.engine.store_access import combined, outputs
from assets.ingest.videos import VIDEOS, import_items, known_titles, visible_title
from assets.settings import Settings
from models.encoders import TextEncoder
from storage.arrays import fixed
from storage.store import Store

NAME = "retrieval_vectors"
CODE = 1  # raise it when the same inputs give another result


def payload(width: int) -> pa.Schema:
    """Return the columns: the `prompt` that was embedded, and its `embedding` (width), of unit length."""
    return pa.schema([pa.field("prompt", pa.string()), fixed("embedding", (width,), "float32")])


@dg.asset(
    group_name="embeddings",
    kinds={"parquet"},
    deps=[VIDEOS.asset, VISUAL_CAPTIONS.asset, AUDIO_CAPTIONS.asset],
    description=__doc__,
    code_version=str(CODE),
    **ON_THE_DEVICE,
)
@skip_unchanged(
    "retrieval_vectors",
    reads=lambda store, settings: [
        *stage_marks(store, "videos", "visual_captions", "audio_captions"),
        origin_mark(settings, NAME, "text"),
    ],
    makes=lambda store, settings: stage_marks(store, NAME),
    when_skipped=unchanged_metadata,
)
def retrieval_vectors(context: dg.AssetExecutionContext, settings: Settings) -> dg.MaterializeResult:
    """Embed captions, sound descriptions and title as one text; an item with none of them has a missing row."""
    return EncoderStage(
        name=NAME,
        code=CODE,
        role="text",
        upstream=(VIDEOS.columns("title"), VISUAL_CAPTIONS.columns("captions"), AUDIO_CAPTIONS.columns("descriptions")),
        payload=payload,
        prepare=prepare_prompt,
        encode=encode_sentences,
        finish=sentence_row,
        inputs=prompt_hashes,
        parameters={"level": "sentence"},
        imports=FeatureImport(import_items, unit_vector),
    ).run(context, settings)


def prompt_hashes(store: Store) -> dict[str, str]:
    """Return the hash of each item's captions, descriptions and title; items whose captions failed are left out."""
    seen, heard, titles = outputs(VISUAL_CAPTIONS.open(store)), outputs(AUDIO_CAPTIONS.open(store)), known_titles(store)
    return combined(seen, heard, titles, items=[item for item in titles if item in seen and item in heard])


def prepare_prompt(_preparation: Preparation, row: Mapping[str, Any]) -> Prepared | Missing:
    """Return the prompt, also as the note for `sentence_row`."""
    text = prompt(row.get("captions", []), row.get("descriptions", []), visible_title(row["title"]))
    return Prepared(text, text) if text else Missing("no caption, sound or title")


def prompt(captions: Sequence[str], descriptions: Sequence[str], title: str) -> str:
    """Return the text that is embedded: distinct captions in order, then the sound, then the title (MUFM eq. 23)."""
    return ". ".join([*dict.fromkeys(captions), *descriptions, *([title] if title else [])])


def encode_sentences(encoder: TextEncoder, prompts: Sequence[str]) -> list[np.ndarray]:
    """Return a vector (width,) of unit length for each prompt."""
    return list(encoder.encode_sentences(prompts))


def sentence_row(vector: np.ndarray, text: str) -> dict[str, object]:
    """Return a prompt's row."""
    return {"prompt": text, "embedding": vector}


def unit_vector(rows: np.ndarray) -> dict[str, object]:
    """Return the row of an imported vector (1, width), brought to unit length.

    Raises:
        ValueError: The vector is all zeros.
    """
    length = np.linalg.norm(rows[0].astype(np.float64))
    if not length:
        raise ValueError("a vector of zeros has no direction, and so no similarity")
    return {"prompt": "", "embedding": (rows[0] / length).astype(np.float32)}


retrieval_vectors_failed_share = failed_share_check(retrieval_vectors, NAME)
