"""A video that is in no store, with what is known of it, and its rows of the stages that an encoder fills."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import polars as pl

from assets.captions import audio_captions, visual_captions
from assets.embeddings import acoustic_embeddings, retrieval_vectors, text_embeddings, visual_embeddings
from assets.encoding.encode_blocks import Result
from assets.encoding.encoder_loader import Missing
from assets.encoding.imported_files import imported
from assets.ingest.videos import visible_title
from assets.sampling.decoded_video import DecodedVideo
from assets.settings import Settings
from models.encoders import EncoderError
from storage.datasets import COUNTERS, EVENTS

ORDERED_EVENTS = pl.Schema({**EVENTS, "order": pl.Int64})
EMBEDDINGS = (visual_embeddings, acoustic_embeddings, text_embeddings, retrieval_vectors)


class NotComputable(ValueError):
    """A new video cannot be forecast with these settings; the message says why and what to do."""


@dataclass(frozen=True)
class NewVideo:
    """A video and what is known of it at the moment of the forecast.

    Attributes:
        item: Its id. Simulated feedback depends on it; an id that the bank knows is not retrieved.
        at: Moment of the forecast, unix ms. What happened later is not seen.
        title: Title, or None.
        author: Id of the author as in the data set, or None.
        category: Category or path of categories as in the data set, or None.
        published_at: Publication, unix ms, or None.
        events: Its feedback up to `at`: `item`, `user`, `type`, `time` (ms), `order` (rank by time, from 0).
        counters: Counts up to `at`: `item`, `metric`, `time` (ms), `value`.
        decoded: Its file, or None for a video without one.
    """

    item: str
    at: int
    title: str | None = None
    author: str | None = None
    category: str | None = None
    published_at: int | None = None
    events: pl.DataFrame = field(default_factory=ORDERED_EVENTS.to_frame)
    counters: pl.DataFrame = field(default_factory=COUNTERS.to_frame)
    decoded: DecodedVideo | None = None


ContentRows = dict[str, Mapping[str, Any] | None]


def content_rows(settings: Settings, videos: Sequence[NewVideo]) -> dict[str, ContentRows | EncoderError]:
    """Compute the rows that an encoder fills, with the same declarations as the stages.

    Args:
        settings: All settings.
        videos: Videos with distinct ids.

    Returns:
        Item -> stage -> payload, None for what is missing; or the error of the video's first row that failed.

    Raises:
        NotComputable: A stage is imported, so no encoder can make its row of a new video.
    """
    names = [module.NAME for module in EMBEDDINGS]
    if files := [name for name in imported(settings) if name in names]:
        raise NotComputable(
            f"{', '.join(files)}: imported from a file ([imports]), so nothing computes a new video's row; remove the import "
            "and run the graph with an encoder (docs/predict.md)"
        )
    frames = {video.item: None if video.decoded is None else video.decoded.frames for video in videos}
    sounds = {video.item: None if video.decoded is None else video.decoded.audio for video in videos}
    titles = {video.item: {"title": visible_title(video.title)} for video in videos}
    rows: dict[str, dict[str, Result]] = {video.item: {} for video in videos}

    def fill(stage: ModuleType, inputs: Mapping[str, Mapping[str, Any] | None]) -> None:
        for item, result in stage.encoder_stage(settings).payloads(settings, inputs).items():
            rows[item][stage.NAME] = result

    fill(visual_captions, frames)
    fill(audio_captions, sounds)
    fill(visual_embeddings, frames)
    fill(acoustic_embeddings, sounds)
    fill(text_embeddings, titles)
    captions = {item: _texts(rows[item], titles[item]) for item in rows}
    fill(retrieval_vectors, captions)
    return {item: _checked(of_item) for item, of_item in rows.items()}


def _texts(rows: Mapping[str, Result], title: Mapping[str, Any]) -> dict[str, Any]:
    """Return the columns that the text of a retrieval vector is made from."""
    parts = (rows[visual_captions.NAME], rows[audio_captions.NAME])
    return {name: value for part in parts if isinstance(part, Mapping) for name, value in part.items()} | dict(title)


def _checked(rows: Mapping[str, Result]) -> ContentRows | EncoderError:
    for result in rows.values():
        if isinstance(result, EncoderError):
            return result
    return {name: None if isinstance(result, Missing) else result for name, result in rows.items()}
