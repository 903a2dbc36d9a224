"""Tasks on one media file in a worker process. Imports stay light, because every worker pays for them at its start."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import numpy as np
from PIL import Image

from models.media import perceptual_hash, probe, sample_audio, sample_frames


def inspect_file(path: str) -> dict[str, object]:
    """Return the columns of `videos` that come from a media file: its digest, size, duration and format.

    Args:
        path: The media file.

    Raises:
        models.media.MediaError: The file is empty, damaged or not a video.
        OSError: The file cannot be read.
    """
    with Path(path).open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    info = probe(path)
    return {
        "sha256": digest,
        "bytes": Path(path).stat().st_size,
        "duration": info.duration,
        "fps": info.fps,
        "width": info.width,
        "height": info.height,
        "rotation": info.rotation,
        "has_audio": info.has_audio,
    }


def take_frames(
    path: str, count: int, method: str, stride: int | None, max_side: int, quality: int
) -> dict[str, object]:
    """Sample a video's frames.

    Args:
        path: The media file.
        count: K, number of frames.
        method: "even" or "stride".
        stride: Frames between two samples with "stride", else None.
        max_side: Longest side of a stored frame, in pixels.
        quality: JPEG quality.

    Returns:
        The columns of `frames`: JPEG bytes, timestamps in seconds, frame indices, 64-bit perceptual hashes, and a description
        of the file's damage or None.
    """
    frames = sample_frames(path, count=count, method=method, stride=stride, max_side=max_side)
    return {
        "frames": [encode_jpeg(image, quality) for image in frames.images],
        "timestamps": [float(second) for second in frames.timestamps],
        "indices": [int(index) for index in frames.indices],
        "hashes": [int(value) for value in perceptual_hash(frames.images)],
        "damage": frames.damage,
    }


def take_audio(path: str, timestamps: list[float], rate: int, seconds: float) -> dict[str, object] | None:
    """Cut the audio segments that belong to the sampled frames.

    Args:
        path: The media file.
        timestamps: Times of the frames in seconds.
        rate: Sampling rate in Hz.
        seconds: Length of a segment.

    Returns:
        The columns of `audio`: 16-bit samples per segment, the rate, and a description of the track's damage or None. None if
        there is no sound.
    """
    segments = sample_audio(path, np.asarray(timestamps), rate=rate, seconds=seconds)
    if segments is None:
        return None
    samples = [np.round(np.clip(segment, -1.0, 1.0) * 32767).astype("<i2").tobytes() for segment in segments]
    return {"segments": samples, "rate": rate, "damage": segments.damage}


def encode_jpeg(image: np.ndarray, quality: int) -> bytes:
    """Return a frame (h, w, 3) uint8 as JPEG bytes, as they are stored."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="JPEG", quality=quality)
    return buffer.getvalue()


def decode_jpeg(data: bytes) -> np.ndarray:
    """Return a stored frame as (h, w, 3) uint8."""
    with Image.open(io.BytesIO(data), formats=("JPEG",)) as image:
        return np.asarray(image.convert("RGB"))


def decode_segment(data: bytes) -> np.ndarray:
    """Return a stored audio segment as (samples,) float32 in [-1, 1]."""
    return np.frombuffer(data, dtype="<i2").astype(np.float32) / 32767.0
