"""One vector per video, of its captions, sound descriptions and title as one text (R in M3TR, section 3.3; MUFM eq. 23)."""

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
    """Return the stage's columns: the text that was embedded (`prompt`), and its `embedding` (width) of unit length."""
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
    """Embed captions, sound descriptions and title as one text. A video with none of them gets a missing row."""
    return encoder_stage(settings).run(context, settings)


def encoder_stage(settings: Settings) -> EncoderStage:
    """Return how the stage's rows are computed."""
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
    )


def prompt_hashes(store: Store) -> dict[str, str]:
    """Return a hash of each item's captions, descriptions and title, without items whose captions failed."""
    captions, sounds, titles = (
        outputs(VISUAL_CAPTIONS.open(store)),
        outputs(AUDIO_CAPTIONS.open(store)),
        known_titles(store),
    )
    return combined(captions, sounds, titles, items=[item for item in titles if item in captions and item in sounds])


def prepare_prompt(_preparation: Preparation, row: Mapping[str, Any]) -> Prepared | Missing:
    """Return the text to embed, also as the note for `sentence_row`, or `Missing` if there is no text."""
    text = prompt(row.get("captions", []), row.get("descriptions", []), visible_title(row["title"]))
    return Prepared(text, text) if text else Missing("no caption, sound or title")


def prompt(captions: Sequence[str], descriptions: Sequence[str], title: str) -> str:
    """Return the text to embed (MUFM eq. 23).

    Args:
        captions: One caption per frame. Each distinct caption is used once.
        descriptions: Descriptions of the sound.
        title: The title, or an empty string.

    Example:
        >>> prompt(["a dog", "a dog", "a beach"], ["waves"], "Holidays")
        'a dog. a beach. waves. Holidays'
    """
    return ". ".join([*dict.fromkeys(captions), *descriptions, *([title] if title else [])])


def encode_sentences(encoder: TextEncoder, prompts: Sequence[str]) -> list[np.ndarray]:
    """Return one vector (width,) of unit length per text."""
    return list(encoder.encode_sentences(prompts))


def sentence_row(vector: np.ndarray, text: str) -> dict[str, object]:
    """Return the row of a text and its vector."""
    return {"prompt": text, "embedding": vector}


def unit_vector(rows: np.ndarray) -> dict[str, object]:
    """Return the row of an imported vector (1, width), scaled to unit length.

    Raises:
        ValueError: The vector is zero.
    """
    length = np.linalg.norm(rows[0].astype(np.float64))
    if not length:
        raise ValueError("the vector is zero and has no direction; remove its row from the file or correct it")
    return {"prompt": "", "embedding": (rows[0] / length).astype(np.float32)}


retrieval_vectors_failed_share = failed_share_check(retrieval_vectors, NAME)
