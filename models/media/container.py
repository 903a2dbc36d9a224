"""Opening a media file: which container it is, which of its tracks are used, and what it says about itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.stream import Disposition, Stream
from av.video.stream import VideoStream

from models.media.demuxers import DEMUXERS
from models.media.errors import MediaError
from models.media.orientation import display_matrix, rotation_of

av.logging.set_level(None)  # what FFmpeg would print about a damaged file is in the error that is raised

# A container whose first bytes are right but which doesn't open has lost its index: mp4/mov, Matroska/WebM, AVI, FLV.
_SIGNATURES = ((4, b"ftyp"), (4, b"moov"), (4, b"mdat"), (0, b"\x1a\x45\xdf\xa3"), (0, b"RIFF"), (0, b"FLV\x01"))


@dataclass(frozen=True)
class MediaInfo:
    """What a file says about itself, without decoding more than its first frame.

    Attributes:
        duration: Seconds, of the longest track; from the packets where the header has none; None where nothing tells.
        fps: Frames a second on average, or None.
        width, height: Pixels of the upright picture, as stored (a pixel's aspect ratio is not applied).
        rotation: Degrees clockwise (0, 90, 180, 270) by which the stored picture is turned to be upright.
        has_audio: Whether there is a sound track with a decoder.
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


@contextmanager
def open_media(path: str | Path) -> Iterator[InputContainer]:
    """Open a file for reading; FFmpeg's refusals become `MediaError`.

    Raises:
        FileNotFoundError: No such file.
        MediaError: `empty_file`, `not_media`, `truncated`.
    """
    path = Path(path)
    size = path.stat().st_size
    if not path.is_file():
        raise MediaError("not_media", path, "not a regular file")
    if size == 0:
        raise MediaError("empty_file", path, "the file has no bytes")
    with path.open("rb") as file:
        # FFmpeg gets an open file and no name: a name can be a pattern that stands for several files or an address. It may
        # use neither another protocol nor a demuxer that opens further files.
        allowed = {"protocol_whitelist": "fd", "format_whitelist": ",".join(DEMUXERS), "enable_drefs": "0"}
        try:
            container = av.open(
                "fd:", container_options={"fd": str(file.fileno()), **allowed}, metadata_errors="replace"
            )
        except (av.FFmpegError, ValueError) as error:
            file.seek(0)  # FFmpeg shares the place in the file
            head = file.read(16)
            if any(head[offset : offset + len(mark)] == mark for offset, mark in _SIGNATURES):
                raise MediaError(
                    "truncated", path, f"cut short or damaged before its index could be read: {_words(error)}"
                ) from error
            raise MediaError("not_media", path, f"no container that may be read: {_words(error)}") from error
    with container:
        yield container


def read_packets(container: InputContainer, *streams: Stream) -> Iterator[av.Packet]:
    """All packets of the streams, then an empty one each, at which their decoders give what they held back."""
    # A track that appears on the way (FLV, transport streams) is an IndexError in PyAV when all packets are through.
    with suppress(IndexError):
        yield from container.demux(*streams)


def decoded(container: InputContainer, stream: VideoStream) -> Iterator[av.VideoFrame]:
    """All frames of a plain sequential decode."""
    for packet in read_packets(container, stream):
        yield from packet.decode()


def video_stream(container: InputContainer) -> VideoStream | None:
    """The first moving picture with a decoder; cover art is not one."""
    for stream in container.streams.video:
        if stream.codec_context is not None and not stream.disposition & Disposition.attached_pic:
            return stream
    return None


def audio_stream(container: InputContainer) -> AudioStream | None:
    """The first sound track with a decoder, or None."""
    return next((stream for stream in container.streams.audio if stream.codec_context is not None), None)


def required_video(container: InputContainer, path: str | Path) -> VideoStream:
    """`video_stream`, or `MediaError("no_video")` that lists the tracks found."""
    stream = video_stream(container)
    if stream is None:
        tracks = ", ".join(stream.type for stream in container.streams) or "none"
        raise MediaError("no_video", path, f"no video track that can be decoded; tracks found: {tracks}")
    return stream


def probe(path: str | Path) -> MediaInfo:
    """What the file says about itself; see `MediaInfo`.

    Raises:
        FileNotFoundError: No such file.
        MediaError: `empty_file`, `not_media`, `truncated`, `no_video`.
    """
    with open_media(path) as container:
        return describe(container, required_video(container, path))


def describe(container: InputContainer, video: VideoStream, *, rotation: int | None = None) -> MediaInfo:
    """MediaInfo of an open container; reads from it (so do this last) where the header lacks something.

    Args:
        rotation: The first frame's where it is known already; otherwise one frame is decoded.
    """
    audio = audio_stream(container)
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
    """Seconds between the first and the last moment of the track, by its packets' clocks."""
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


def _words(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
