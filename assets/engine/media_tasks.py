"""What is done to one file in a worker process. Imports stay light: a worker pays for them when it starts."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import numpy as np
from PIL import Image

from models.media import perceptual_hash, probe, sample_audio, sample_frames


def inspect_file(path: str) -> dict[str, object]:
    """Digest and facts of a media file: the columns of `videos` that come from the file.

    Raises:
        models.media.MediaError: empty, damaged or not a video.
        OSError: not readable.
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
    """Sample a video's frames: JPEG bytes, timestamps in seconds, perceptual hashes, and its damage in words or None."""
    frames = sample_frames(path, count=count, method=method, stride=stride, max_side=max_side)
    return {
        "frames": [encode_jpeg(image, quality) for image in frames.images],
        "timestamps": [float(second) for second in frames.timestamps],
        "indices": [int(index) for index in frames.indices],
        "hashes": [int(value) for value in perceptual_hash(frames.images)],
        "damage": frames.damage,
    }


def take_audio(path: str, timestamps: list[float], rate: int, seconds: float) -> dict[str, object] | None:
    """Cut the segments aligned with the frames' timestamps as 16-bit samples, with the track's damage in words or None.

    Returns:
        The columns of `audio`; None if there is no sound.
    """
    segments = sample_audio(path, np.asarray(timestamps), rate=rate, seconds=seconds)
    if segments is None:
        return None
    samples = [np.round(np.clip(segment, -1.0, 1.0) * 32767).astype("<i2").tobytes() for segment in segments]
    return {"segments": samples, "rate": rate, "damage": segments.damage}


def encode_jpeg(image: np.ndarray, quality: int) -> bytes:
    """Return a frame (h, w, 3) uint8 as the JPEG bytes that are kept."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="JPEG", quality=quality)
    return buffer.getvalue()


def decode_jpeg(data: bytes) -> np.ndarray:
    """Return a kept frame as (h, w, 3) uint8."""
    with Image.open(io.BytesIO(data), formats=("JPEG",)) as image:
        return np.asarray(image.convert("RGB"))


def decode_segment(data: bytes) -> np.ndarray:
    """Return a kept audio segment as (samples,) float32 in [-1, 1]."""
    return np.frombuffer(data, dtype="<i2").astype(np.float32) / 32767.0
