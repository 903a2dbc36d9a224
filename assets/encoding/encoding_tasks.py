"""Work on one video before and after an encoder of frames or sound. Imports stay light: worker processes pay for them."""

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
    """Decode the kept frames and prepare each."""
    return Prepared(preparation([_picture(data) for data in row["frames"]]))


def prepare_segments(preparation: Preparation, row: Mapping[str, Any]) -> Prepared:
    """Decode the kept segments of sound and prepare each."""
    return Prepared(preparation([decode_segment(data) for data in row["segments"]], row["rate"]))


def prepare_distinct_frames(preparation: Preparation, row: Mapping[str, Any], *, bits: int) -> Prepared:
    """Decode and prepare the frames that differ, and note for every frame which of those stands for it."""
    chosen, places = distinct(row["hashes"], bits=bits)
    return Prepared(preparation([_picture(row["frames"][index]) for index in chosen]), places)


def _picture(data: bytes) -> np.ndarray:
    try:
        return decode_jpeg(data)
    except (OSError, ValueError) as error:
        raise EncoderError(f"a kept frame is no JPEG that can be read: {error}") from error


def distinct(hashes: Sequence[int], *, bits: int) -> tuple[list[int], list[int]]:
    """Find the pictures that differ, by their perceptual hashes.

    Returns:
        (chosen, places): the indices of pictures that differ from all chosen before them by more than `bits` of 64; and for
        every picture the place in `chosen` of the nearest.
    """
    chosen: list[int] = []
    places: list[int] = []
    for index, value in enumerate(hashes):
        distances = [(value ^ hashes[other]).bit_count() for other in chosen]
        if not distances or min(distances) > bits:
            places.append(len(chosen))
            chosen.append(index)
        else:
            places.append(distances.index(min(distances)))
    return chosen, places


def aligned_payload(width: int, *, count: int) -> pa.Schema:
    """Return the columns of one vector per frame or segment: `embedding` (count, width), of which the first `rows` are real."""
    return pa.schema([fixed("embedding", (count, width), "float16"), pa.field("rows", pa.int32())])


def padded(rows: np.ndarray, _note: None = None, *, count: int) -> dict[str, object]:
    """Return a video's vectors (n, width) as (count, width) float16, of which the first `rows` are real."""
    embedding = np.zeros((count, rows.shape[1]), dtype=np.float16)
    embedding[: len(rows)] = as_float16(rows[:count])
    return {"embedding": embedding, "rows": min(len(rows), count)}


def as_float16(rows: np.ndarray) -> np.ndarray:
    """Return vectors as they are stored.

    Raises:
        EncoderError: A number is too large for float16, and would be stored as infinite.
    """
    largest = np.abs(rows).max(initial=0.0)
    if largest > np.finfo(np.float16).max:
        raise EncoderError(f"a vector holds {largest:.4g}, more than float16 can store")
    return rows.astype(np.float16)


def captions_of_all(captions: list[str], places: list[int] | None) -> dict[str, object]:
    """Return one caption per frame; `places` as `prepare_distinct_frames` notes them, None if each frame has its own."""
    return {"captions": captions if places is None else [captions[place] for place in places]}


def best_descriptions(described: list[list[tuple[str, float]]], _note: None, *, kept: int) -> dict[str, object]:
    """Return the descriptions that fit any segment best, with their highest scores."""
    best: dict[str, float] = {}
    for segment in described:
        for text, score in segment:
            best[text] = max(score, best.get(text, -np.inf))
    chosen = sorted(best, key=lambda text: (-best[text], text))[:kept]
    return {"descriptions": chosen, "scores": [best[text] for text in chosen]}
