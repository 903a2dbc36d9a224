"""Metadata of a media file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.video.stream import VideoStream

from models.media.container import decoded, open_media, read_packets
from models.media.display_shape import display_size, pixel_aspect
from models.media.orientation import display_matrix, rotation_of
from models.media.tracks import audio_track, video_track


@dataclass(frozen=True)
class MediaInfo:
    """Metadata of a file, read without decoding more than its first frame.

    Attributes:
        duration: Seconds of the longest track, from the header or else from the packets; None if neither tells.
        fps: Average frames per second, or None.
        width: Pixels of the upright picture with square pixels; a stored picture with other pixels is stretched in width.
        height: Pixels of the same picture.
        rotation: Degrees clockwise (0, 90, 180, 270) by which the stored picture is turned upright.
        has_audio: Whether there is a sound track that can be decoded.
        video_codec: FFmpeg's name of the codec, such as `h264`.
        audio_codec: FFmpeg's name of the codec, such as `aac`; None without sound.
    """

    duration: float | None
    fps: float | None
    width: int
    height: int
    rotation: int
    has_audio: bool
    video_codec: str
    audio_codec: str | None


def probe(path: str | Path) -> MediaInfo:
    """Return the metadata of a file.

    Args:
        path: The file.

    Returns:
        The metadata.

    Raises:
        FileNotFoundError: There is no such file.
        MediaError: `empty_file`, `not_media`, `truncated`, `no_video`.
    """
    with open_media(path) as container:
        return describe(container, video_track(container, path), audio_track(container, path))


def describe(
    container: InputContainer, video: VideoStream, audio: AudioStream | None, *, rotation: int | None = None
) -> MediaInfo:
    """Return the metadata of an open container.

    Call this last, because it may read packets from the container.

    Args:
        container: The open file.
        video: The video track to describe.
        audio: The sound track to describe, or None.
        rotation: Rotation of the first frame in degrees, if it is known. None decodes one frame to find it.

    Returns:
        The metadata.
    """
    width, height = video.width, video.height
    duration = container.duration / av.time_base if container.duration else None
    first = None
    if rotation is None:
        first = _first_frame(container, video)
        rotation = rotation_of(display_matrix(first)) if first is not None else 0
    if first is not None and not (width and height):
        width, height = first.width, first.height
    if duration is None:
        duration = _duration_from_packets(container, video)
    width, height = display_size(width, height, pixel_aspect(video))
    if rotation in (90, 270):
        width, height = height, width
    rate = video.average_rate or video.guessed_rate
    return MediaInfo(
        duration=duration,
        fps=float(rate) if rate else None,
        width=width,
        height=height,
        rotation=rotation,
        has_audio=audio is not None,
        video_codec=video.codec_context.codec.canonical_name,
        audio_codec=audio.codec_context.codec.canonical_name if audio is not None else None,
    )


def _first_frame(container: InputContainer, video: VideoStream) -> av.VideoFrame | None:
    try:
        return next(decoded(container, video), None)
    except av.FFmpegError:
        return None


def _duration_from_packets(container: InputContainer, video: VideoStream) -> float | None:
    """Return a track's duration in seconds from its packets' timestamps; None if they have none."""
    start = end = None
    try:
        container.seek(0)
        for packet in read_packets(container, video):
            if packet.pts is not None:
                start = packet.pts if start is None else min(start, packet.pts)
                last = packet.pts + (packet.duration or 0)
                end = last if end is None else max(end, last)
    except av.FFmpegError:
        pass  # damaged end: use the packets before it
    return float((end - start) * video.time_base) if start is not None else None
