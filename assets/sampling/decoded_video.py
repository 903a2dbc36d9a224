"""What the stages `videos`, `frames` and `audio` keep of one media file, computed without a store.

This module imports little, because every worker process imports it when it starts.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from assets.engine.media_tasks import inspect_file, take_audio, take_frames

if TYPE_CHECKING:
    from assets.settings import Settings


@dataclass(frozen=True)
class DecodingOptions:
    """The settings that determine what is taken from a file.

    Attributes:
        frames: Arguments of `take_frames` after the path.
        rate: Sampling rate of the sound in Hz.
        seconds: Length of a segment of sound.
    """

    frames: tuple[Any, ...]
    rate: int
    seconds: float

    @classmethod
    def of(cls, settings: Settings) -> DecodingOptions:
        """Return the options that the settings name."""
        sampling = settings.sampling
        frames = (sampling.frames, sampling.method, sampling.stride, sampling.max_side, sampling.jpeg_quality)
        return cls(frames, settings.audio_rate(), sampling.segment_seconds)


@dataclass(frozen=True)
class DecodedVideo:
    """One file's rows.

    Attributes:
        facts: Columns of `videos` that come from the file.
        frames: Columns of `frames`.
        audio: Columns of `audio`; None for a file without sound.
        seconds: How long the decoding took.
    """

    facts: Mapping[str, Any]
    frames: Mapping[str, Any]
    audio: Mapping[str, Any] | None
    seconds: float


def decode_video(path: str, options: DecodingOptions) -> DecodedVideo:
    """Decode one file.

    Args:
        path: The media file.
        options: What is taken from it.

    Raises:
        models.media.MediaError: The file is empty, damaged or not a video.
        OSError: The file cannot be read.
    """
    started = time.monotonic()
    facts = inspect_file(path)
    frames = take_frames(path, *options.frames)
    audio = take_audio(path, frames["timestamps"], options.rate, options.seconds) if facts["has_audio"] else None
    return DecodedVideo(facts, frames, audio, time.monotonic() - started)
