"""The work on one video before and after an encoder of frames or sound.

This module imports little, because every worker process imports it when it starts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from assets.encoding.encoder_loader import Preparation, Prepared
from assets.engine.media_tasks import decode_jpeg, decode_segment
from models.encoders import EncoderError
from storage.arrays import fixed


def prepare_frames(preparation: Preparation, row: Mapping[str, Any]) -> Prepared:
    """Decode and prepare the stored frames."""
    return Prepared(preparation([_picture(data) for data in row["frames"]]))


def prepare_segments(preparation: Preparation, row: Mapping[str, Any]) -> Prepared:
    """Decode and prepare the stored segments of sound."""
    return Prepared(preparation([decode_segment(data) for data in row["segments"]], row["rate"]))


def prepare_distinct_frames(preparation: Preparation, row: Mapping[str, Any], *, bits: int) -> Prepared:
    """Decode and prepare the frames that differ from each other. The note has the prepared frame to use for each frame.

    Args:
        preparation: The encoder's preparation.
        row: The stored frames and their perceptual `hashes`.
        bits: Largest number of differing bits (of 64) at which two frames count as equal.
    """
    kept, places = distinct(row["hashes"], bits=bits)
    return Prepared(preparation([_picture(row["frames"][index]) for index in kept]), places)


def _picture(data: bytes) -> np.ndarray:
    try:
        return decode_jpeg(data)
    except (OSError, ValueError) as error:
        raise EncoderError(f"a stored frame can't be read as JPEG: {error}") from error


def distinct(hashes: Sequence[int], *, bits: int) -> tuple[list[int], list[int]]:
    """Find the frames that differ from each other, by their perceptual hashes.

    Args:
        hashes: One hash of 64 bits per frame.
        bits: A frame is kept if its hash differs by more than this number of bits from the hashes of all kept frames before it.

    Returns:
        (kept, places): the indices of the kept frames; and for every frame the place in `kept` of the nearest kept frame.

    Example:
        >>> distinct([0b0000, 0b0001, 0b1111], bits=1)
        ([0, 2], [0, 0, 1])
    """
    kept: list[int] = []
    places: list[int] = []
    for index, value in enumerate(hashes):
        distances = [(value ^ hashes[other]).bit_count() for other in kept]
        if not distances or min(distances) > bits:
            places.append(len(kept))
            kept.append(index)
        else:
            places.append(distances.index(min(distances)))
    return kept, places


def aligned_payload(width: int, *, count: int) -> pa.Schema:
    """Return the columns of one vector per frame or segment.

    `embedding` has shape (count, width). Its first `rows` rows are vectors, and the others are zero.
    """
    return pa.schema([fixed("embedding", (count, width), "float16"), pa.field("rows", pa.int32())])


def padded(rows: np.ndarray, _note: None = None, *, count: int) -> dict[str, object]:
    """Return a video's vectors (n, width) as the columns of `aligned_payload`, padded with zeros or cut to `count` rows.

    Raises:
        EncoderError: A number is too large for float16.
    """
    embedding = np.zeros((count, rows.shape[1]), dtype=np.float16)
    embedding[: len(rows)] = as_float16(rows[:count])
    return {"embedding": embedding, "rows": min(len(rows), count)}


def as_float16(rows: np.ndarray) -> np.ndarray:
    """Return vectors in the type in which they are stored.

    Raises:
        EncoderError: A number is too large for float16; it would be stored as infinite.
    """
    largest = np.abs(rows).max(initial=0.0)
    if largest > np.finfo(np.float16).max:
        raise EncoderError(f"a vector holds {largest:.4g}; float16 can store at most {np.finfo(np.float16).max:g}")
    return rows.astype(np.float16)


def captions_of_all(captions: list[str], places: list[int] | None) -> dict[str, object]:
    """Return one caption per frame.

    Args:
        captions: Captions of all prepared frames.
        places: For each frame, the place of its caption: the note of `prepare_distinct_frames`. None if every frame has its
            own caption.
    """
    return {"captions": captions if places is None else [captions[place] for place in places]}


def best_descriptions(described: list[list[tuple[str, float]]], _note: None, *, kept: int) -> dict[str, object]:
    """Return the best descriptions of a video, each with its highest score over all segments.

    Args:
        described: Descriptions and scores per segment.
        kept: Number of descriptions, at most.
    """
    best: dict[str, float] = {}
    for segment in described:
        for text, score in segment:
            best[text] = max(score, best.get(text, -np.inf))
    texts = sorted(best, key=lambda text: (-best[text], text))[:kept]
    return {"descriptions": texts, "scores": [best[text] for text in texts]}
