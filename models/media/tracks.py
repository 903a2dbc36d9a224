"""Which of a file's tracks are used: the moving picture and the sound that a player plays."""

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
    """Return the moving picture that a player shows.

    Of several it is one with more than one frame, then the one marked as default, then the one with the most data.

    Args:
        container: The open file.
        path: The same file, which is read once more where it holds several such tracks.

    Raises:
        MediaError: `no_video`; the reason lists the tracks found.
    """
    videos = [stream for stream in container.streams.video if not stream.disposition & _NOT_A_VIDEO]
    stream = _best(videos, path, lambda content: content.packets > 1)
    if stream is None:
        tracks = ", ".join(stream.type for stream in container.streams) or "none"
        raise MediaError("no_video", path, f"no video track that can be decoded; tracks found: {tracks}")
    return stream


def audio_track(container: InputContainer, path: str | Path) -> AudioStream | None:
    """Return the sound that a player plays, or None without a sound track that can be decoded.

    Of several it is one that isn't silent, then the one marked as default, then the one with the most data.

    Args:
        container: The open file.
        path: The same file, which is read once more where it holds several such tracks.
    """
    return _best(container.streams.audio, path, lambda content: content.heard)


@dataclass
class _Content:
    """The content of one of several tracks: its packets, their bytes, and whether it has a sample that isn't silence."""

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

    return max(streams, key=rank)  # the first of equals


def _read_contents(path: str | Path, indices: Sequence[int]) -> dict[int, _Content]:
    """Read several tracks; sound is decoded up to the first sample that isn't silence."""
    contents = {index: _Content() for index in indices}
    with open_media(path) as container, suppress(av.FFmpegError):  # a damaged file is judged by its beginning
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
