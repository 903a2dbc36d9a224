"""Choice of the video track and the sound track that a player plays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.stream import Disposition, Stream
from av.video.stream import VideoStream

from models.media.container import open_media, read_packets
from models.media.errors import MediaError

# Pictures that belong to another track or to the file: cover art, chapter pictures, the tiles of a larger picture.
_NOT_A_VIDEO = Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.dependent
_FOR_SOME = Disposition.hearing_impaired | Disposition.visual_impaired | Disposition.comment | Disposition.descriptions
_SILENCE = 1e-4  # of full scale: -80 dB

Track = TypeVar("Track", VideoStream, AudioStream)


def video_track(container: InputContainer, path: str | Path) -> VideoStream:
    """Return the video track that a player shows.

    Of several tracks, it prefers one with more than one frame, then the one marked as default, then the one with the most
    data.

    Args:
        container: The open file.
        path: The same file. It is read once more if it has several video tracks.

    Returns:
        The track.

    Raises:
        MediaError: `no_video`; the reason lists the file's tracks.
    """
    videos = [stream for stream in container.streams.video if not stream.disposition & _NOT_A_VIDEO]
    stream = _best(videos, path, lambda content: content.packets > 1)
    if stream is None:
        tracks = ", ".join(stream.type for stream in container.streams) or "none"
        raise MediaError("no_video", path, f"no video track that can be decoded; tracks found: {tracks}")
    return stream


def audio_track(container: InputContainer, path: str | Path) -> AudioStream | None:
    """Return the sound track that a player plays.

    Of several tracks, it prefers one that is not silent, then the one marked as default, then the one with the most data.

    Args:
        container: The open file.
        path: The same file. It is read once more if it has several sound tracks.

    Returns:
        The track; None if there is no sound track that can be decoded.
    """
    return _best(container.streams.audio, path, lambda content: content.heard)


@dataclass
class _Content:
    """Content of a track, to compare it with others.

    Attributes:
        packets: Number of packets.
        size: Bytes of the packets.
        heard: Whether it has a sample that is not silence.
    """

    packets: int = 0
    size: int = 0
    heard: bool = False


def _best(streams: Sequence[Track], path: str | Path, plays: Callable[[_Content], bool]) -> Track | None:
    streams = [stream for stream in streams if stream.codec_context is not None]
    if len(streams) < 2:
        return streams[0] if streams else None
    contents = _read_contents(path, [stream.index for stream in streams])

    def rank(stream: Stream) -> tuple[bool, bool, int, int]:
        content = contents[stream.index]
        marks = bool(stream.disposition & Disposition.default) - bool(stream.disposition & _FOR_SOME)
        return content.packets > 0, plays(content), marks, content.size

    return max(streams, key=rank)  # the first one of equal rank


def _read_contents(path: str | Path, indices: Sequence[int]) -> dict[int, _Content]:
    """Return the content of several tracks; sound is decoded up to the first sample that is not silence."""
    contents = {index: _Content() for index in indices}
    with open_media(path) as container, suppress(av.FFmpegError):  # of a damaged file the part before the damage counts
        for packet in read_packets(container, *(container.streams[index] for index in indices)):
            content = contents[packet.stream.index]
            content.packets += packet.size > 0
            content.size += packet.size
            if packet.stream.type == "audio" and not content.heard:
                content.heard = _is_heard(packet)
    return contents


def _is_heard(packet: av.Packet) -> bool:
    with suppress(av.FFmpegError):
        for frame in packet.decode():
            for part in av.AudioResampler(format="flt", layout="mono").resample(frame):
                if np.abs(part.to_ndarray()).max(initial=0) > _SILENCE:
                    return True
    return False
