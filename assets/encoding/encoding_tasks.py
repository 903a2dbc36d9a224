"""What is done to one row before and after an encoder. Imports stay light: worker processes pay for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from assets.engine.media_tasks import decode_jpeg, decode_segment
from models.encoders import EncoderError


def prepare_frames(preparation: Callable[..., Any], row: Mapping[str, Any]) -> tuple[Any, None]:
    """Decode the kept frames and prepare each."""
    return preparation([_picture(data) for data in row["frames"]]), None


def prepare_segments(preparation: Callable[..., Any], row: Mapping[str, Any]) -> tuple[Any, None]:
    """Decode the kept segments of sound and prepare each."""
    return preparation([decode_segment(data) for data in row["segments"]], row["rate"]), None


def prepare_distinct_frames(
    preparation: Callable[..., Any], row: Mapping[str, Any], *, bits: int
) -> tuple[Any, list[int]]:
    """Decode and prepare the frames that differ, and note of every frame which of those stands for it."""
    chosen, places = distinct(row["hashes"], bits=bits)
    return preparation([_picture(row["frames"][index]) for index in chosen]), places


def _picture(data: bytes) -> np.ndarray:
    try:
        return decode_jpeg(data)
    except (OSError, ValueError) as error:
        raise EncoderError(f"a kept frame is no JPEG that can be read: {error}") from error


def distinct(hashes: Sequence[int], *, bits: int) -> tuple[list[int], list[int]]:
    """Which pictures differ, by their perceptual hashes.

    Returns:
        (chosen, places): the indices of those that differ from all chosen before them by more than `bits` of 64; and of
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


def padded(rows: np.ndarray, _note: None, *, count: int) -> dict[str, object]:
    """A video's vectors (n, width) as (count, width) float16, of which the first `rows` are real."""
    made = np.zeros((count, rows.shape[1]), dtype=np.float16)
    made[: len(rows)] = as_float16(rows[:count])
    return {"embedding": made, "rows": min(len(rows), count)}


def as_float16(rows: np.ndarray) -> np.ndarray:
    """Vectors as they are stored; EncoderError where a number is too large for that, and would be stored as infinite."""
    largest = np.abs(rows).max(initial=0.0)
    if largest > np.finfo(np.float16).max:
        raise EncoderError(f"a vector holds {largest:.4g}, more than float16 can store")
    return rows.astype(np.float16)


def captions_of_all(captions: list[str], places: list[int] | None) -> dict[str, object]:
    """A caption for each frame; `places` as `prepare_distinct_frames` notes them, None where each has its own."""
    return {"captions": captions if places is None else [captions[place] for place in places]}


def best_descriptions(described: list[list[tuple[str, float]]], _note: None, *, kept: int) -> dict[str, object]:
    """The descriptions that fit any segment best, with their highest scores."""
    best: dict[str, float] = {}
    for segment in described:
        for text, score in segment:
            best[text] = max(score, best.get(text, -np.inf))
    chosen = sorted(best, key=lambda text: (-best[text], text))[:kept]
    return {"descriptions": chosen, "scores": [best[text] for text in chosen]}
