"""The packets of a video track: how many frames it shows, in what order, and which packets a frame needs.

Reading packets without decoding them costs some milliseconds for a whole micro-video, and it tells nearly everything:
the frames' number and times, and where decoding may start. So the way to a set of frames is planned from the file
itself, and no seek, whose landing point varies by container, is involved.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from av.video.stream import VideoStream

# Codecs of which every packet shows exactly one frame, but for those marked `discard` and the hidden frames of VP8.
# Others, such as MPEG-4 in AVI with packed B-frames, are counted by decoding.
_ONE_FRAME_A_PACKET = frozenset({"h264", "hevc", "vp8", "vp9", "av1", "mjpeg", "png", "prores", "rawvideo", "ffv1"})
_HELD = 256 << 20  # bytes of a file whose packets are held in memory
_H264_SLICE, _H264_IDR = 1, 5  # nal_unit_type, Rec. ITU-T H.264 table 7-1


@dataclass(frozen=True)
class PacketTable:
    """One row a packet, in decoding order.

    Attributes:
        pts: (p,) int64 presentation times in units of the track's time base.
        start: (p,) bool, decoding may start here: nothing that follows it, in both orders, refers to what came before.
        shown: (p,) bool, the packet's frame is shown (an edit list can hide frames).
        reliable: Whether the table says exactly what a decode of all packets yields. If not, only a decode can tell.
    """

    pts: np.ndarray
    start: np.ndarray
    shown: np.ndarray
    reliable: bool

    @property
    def display_order(self) -> np.ndarray:
        """(n,) int64: the packet of each shown frame, in presentation order."""
        shown = np.flatnonzero(self.shown)
        return shown[np.argsort(self.pts[shown], kind="stable")]

    def runs(self, packets: Iterable[int]) -> list[tuple[int, list[int]]]:
        """The shortest stretches of packets that must be decoded for the frames of the given packets.

        Returns:
            list of (first, wanted): decode from packet `first`, a place where decoding may start, to the last of
            `wanted`, which ascend. Stretches don't overlap and ascend too.
        """
        starts = np.flatnonzero(self.start)
        runs: list[tuple[int, list[int]]] = []
        for packet in sorted(packets):
            # A frame shown before the start that precedes it in decoding order (open group of pictures) needs the one
            # before that.
            possible = starts[(starts <= packet) & (self.pts[starts] <= self.pts[packet])]
            first = int(possible[-1])
            if runs and first <= runs[-1][1][-1]:
                runs[-1][1].append(packet)
            else:
                runs.append((first, [packet]))
        return runs


def too_large_to_hold(path: str | Path) -> bool:
    """Whether a file is read once more rather than kept in memory between planning and decoding."""
    return Path(path).stat().st_size > _HELD


def kept(packets: Iterable[av.Packet], keep: list[av.Packet]) -> Iterator[av.Packet]:
    """The packets as they pass by, each of them put into `keep` too."""
    for packet in packets:
        keep.append(packet)
        yield packet


def read_table(stream: VideoStream, packets: Iterable[av.Packet]) -> PacketTable:
    """The table of a track's packets; a damaged or unusual track gives one that isn't `reliable`."""
    codec = stream.codec_context.codec.canonical_name
    prefix = _nal_length_size(stream) if codec == "h264" else None
    pts: list[int | None] = []
    start, shown, sound = [], [], True
    try:
        for packet in packets:
            if not packet.size:
                continue
            pts.append(packet.pts)
            start.append(packet.is_keyframe and (codec != "h264" or _holds_idr(packet, prefix)))
            shown.append(not packet.is_discard and (codec != "vp8" or _shows_vp8(packet)))
            sound = sound and not packet.is_corrupt
    except av.FFmpegError:  # a container cut short: the packets before the cut are all there is
        sound = False
    complete = all(time is not None for time in pts)
    times = np.array([time if time is not None else 0 for time in pts], dtype=np.int64)
    visible = times[np.array(shown, dtype=bool)]
    reliable = (
        sound
        and complete
        and codec in _ONE_FRAME_A_PACKET
        and len(visible) > 0
        and len(np.unique(times)) == len(times)
        and start[0]
        and times[0] == times.min()  # nothing is shown before the first place where decoding may start
    )
    return PacketTable(
        pts=times, start=np.array(start, dtype=bool), shown=np.array(shown, dtype=bool), reliable=bool(reliable)
    )


def _shows_vp8(packet: av.Packet) -> bool:
    """The show_frame bit of a VP8 frame's header (RFC 6386, 9.1)."""
    return bool(memoryview(packet)[0] >> 4 & 1)


def _nal_length_size(stream: VideoStream) -> int | None:
    """Bytes of the length before each NAL unit (avcC box, ISO/IEC 14496-15); None for start codes (Annex B)."""
    extradata = stream.codec_context.extradata
    return (extradata[4] & 3) + 1 if extradata and len(extradata) > 6 and extradata[0] == 1 else None


def _holds_idr(packet: av.Packet, prefix: int | None) -> bool:
    """Whether an H.264 packet is an IDR picture, which resets all references; other keyframes are recovery points."""
    data = bytes(packet)
    position = 0
    while position + (prefix or 3) < len(data):
        if prefix is None:
            position = data.find(b"\x00\x00\x01", position)
            if position < 0:
                return False
            kind, position = data[position + 3] & 31 if position + 3 < len(data) else 0, position + 3
        else:
            length = int.from_bytes(data[position : position + prefix], "big")
            kind, position = data[position + prefix] & 31, position + prefix + length
        if kind == _H264_IDR:
            return True
        if kind == _H264_SLICE:
            return False
    return False
