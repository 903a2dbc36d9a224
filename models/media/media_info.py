"""What a media file says about itself."""

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
    """What a file says about itself, without decoding more than its first frame.

    Attributes:
        duration: Seconds, of the longest track; from the packets where the header has none; None where nothing tells.
        fps: Frames a second on average, or None.
        width, height: Pixels of the upright picture as it is shown: a picture whose pixels aren't square is given the
            width that it has with square ones.
        rotation: Degrees clockwise (0, 90, 180, 270) by which the stored picture is turned to be upright.
        has_audio: Whether there is a sound track that can be decoded.
        video_codec, audio_codec: FFmpeg's names of the codecs, e.g. `h264`, `aac`; audio_codec is None without sound.
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
    """Return what a file says about itself.

    Args:
        path: The file.

    Raises:
        FileNotFoundError: No such file.
        MediaError: `empty_file`, `not_media`, `truncated`, `no_video`.
    """
    with open_media(path) as container:
        return describe(container, video_track(container, path), audio_track(container, path))


def describe(
    container: InputContainer, video: VideoStream, audio: AudioStream | None, *, rotation: int | None = None
) -> MediaInfo:
    """Return the `MediaInfo` of an open container. Call this last: it reads from the container if the header lacks something.

    Args:
        container: The open file.
        video: The track that is shown.
        audio: The track that is played, if there is one.
        rotation: The first frame's if it is known already; otherwise one frame is decoded.
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
    """Return the seconds between the first and the last moment of a track, by its packets' clocks."""
    start = end = None
    try:
        container.seek(0)
        for packet in read_packets(container, video):
            if packet.pts is not None:
                start = packet.pts if start is None else min(start, packet.pts)
                last = packet.pts + (packet.duration or 0)
                end = last if end is None else max(end, last)
    except av.FFmpegError:
        pass  # a damaged tail: what was read so far is what there is
    return float((end - start) * video.time_base) if start is not None else None
