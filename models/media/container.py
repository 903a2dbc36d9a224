"""Opening of a media file, and reading of its packets."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import av
from av.container import InputContainer
from av.stream import Stream
from av.video.stream import VideoStream

from models.media.data_references import lies_elsewhere
from models.media.demuxers import DEMUXERS
from models.media.errors import MediaError

av.logging.set_level(None)  # the errors raised here contain what FFmpeg would print about a damaged file

# First bytes of mp4/mov, Matroska/WebM, AVI and FLV. A file that has them but does not open has lost its index.
_SIGNATURES = ((4, b"ftyp"), (4, b"moov"), (4, b"mdat"), (0, b"\x1a\x45\xdf\xa3"), (0, b"RIFF"), (0, b"FLV\x01"))


@contextmanager
def open_media(path: str | Path) -> Iterator[InputContainer]:
    """Open a file for reading.

    Args:
        path: The file.

    Yields:
        The open container.

    Raises:
        FileNotFoundError: There is no such file.
        MediaError: `empty_file`, `not_media`, `truncated`.
    """
    path = Path(path)
    size = path.stat().st_size
    if not path.is_file():
        raise MediaError("not_media", path, "not a regular file")
    if size == 0:
        raise MediaError("empty_file", path, "the file has no bytes")
    with path.open("rb") as file:
        # FFmpeg gets an open file instead of a name, because a name can be a pattern for several files or an address. It
        # may use no other protocol, and no demuxer that opens further files.
        allowed = {"protocol_whitelist": "fd", "format_whitelist": ",".join(DEMUXERS), "enable_drefs": "0"}
        try:
            container = av.open(
                "fd:", container_options={"fd": str(file.fileno()), **allowed}, metadata_errors="replace"
            )
        except (av.FFmpegError, ValueError) as error:
            file.seek(0)  # FFmpeg shares the position in the file
            head = file.read(16)
            if any(head[offset : offset + len(mark)] == mark for offset, mark in _SIGNATURES):
                raise MediaError(
                    "truncated", path, f"cut short or damaged before its index could be read: {_message(error)}"
                ) from error
            raise MediaError("not_media", path, f"no container that may be read: {_message(error)}") from error
    if "mp4" in container.format.name and lies_elsewhere(path):
        container.close()
        raise MediaError("not_media", path, "its pictures or its sound lie in another file, which is not opened")
    with container:
        yield container


def read_packets(container: InputContainer, *streams: Stream) -> Iterator[av.Packet]:
    """Yield all packets of the streams, then an empty packet per stream, which makes the decoder return held-back frames."""
    # For a track that appears late (FLV, transport streams) PyAV raises an IndexError after the last packet.
    with suppress(IndexError):
        yield from container.demux(*streams)


def decoded(container: InputContainer, stream: VideoStream) -> Iterator[av.VideoFrame]:
    """Yield all frames of a plain sequential decode."""
    for packet in read_packets(container, stream):
        yield from packet.decode()


def _message(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
