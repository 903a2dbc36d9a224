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

from models.media.carried import carried_by
from models.media.h264 import H264Track

# Codecs of which every packet shows exactly one frame, but for those marked `discard` and the hidden frames of VP8.
# Others, such as MPEG-4 in AVI with packed B-frames, are counted by decoding.
_ONE_FRAME_A_PACKET = frozenset({"h264", "hevc", "vp8", "vp9", "av1", "mjpeg", "png", "prores", "rawvideo", "ffv1"})
# What a packet may hand to the decoder for all that follows: headers (FLV, mp4 with several descriptions), a palette.
_CHANGES = ("new_extradata", "palette", "param_change")
_HELD = 256 << 20  # bytes of a file whose packets are held in memory


@dataclass(frozen=True)
class PacketTable:
    """One row a packet, in decoding order.

    Attributes:
        pts: (p,) int64 presentation times in units of the track's time base.
        start: (p,) bool, decoding may start here: nothing that follows it, in both orders, refers to what came before.
        shown: (p,) bool, the packet's frame is shown (an edit list can hide frames).
        reliable: Whether the table says exactly what a decode of all packets yields. If not, only a decode can tell.
        tells_orientation: Whether packets, rather than the container, tell how to turn pictures.
    """

    pts: np.ndarray
    start: np.ndarray
    shown: np.ndarray
    reliable: bool
    tells_orientation: bool = False

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
    codec, extradata = stream.codec_context.codec.canonical_name, stream.codec_context.extradata
    h264 = H264Track(extradata) if codec == "h264" else None
    carried = h264.carried if h264 is not None else carried_by(codec, extradata)
    pts: list[int | None] = []
    start, shown, sound, latest = [], [], True, None
    try:
        for packet in packets:
            if not packet.size:
                continue
            pts.append(packet.pts)
            is_start = packet.is_keyframe
            if h264 is not None:
                is_start = h264.is_idr(bytes(packet)) and is_start
            elif carried is not None:
                carried.read_packet(bytes(packet))
            start.append(is_start)
            shown.append(not packet.is_discard and (codec != "vp8" or _shows_vp8(packet)))
            # A clock that jumps back: pieces of several videos, which a decoder shows one after another.
            jumps = latest is not None and packet.dts is not None and packet.dts < latest
            latest = packet.dts if packet.dts is not None else latest
            changes = any(packet.has_sidedata(kind) for kind in _CHANGES)
            sound = sound and not (packet.is_corrupt or jumps or changes)
    except av.FFmpegError:  # a container cut short: the packets before the cut are all there is
        sound = False
    complete = all(time is not None for time in pts)
    times = np.array([time if time is not None else 0 for time in pts], dtype=np.int64)
    visible = times[np.array(shown, dtype=bool)]
    starts = np.flatnonzero(start)
    reliable = (
        sound
        and complete
        and codec in _ONE_FRAME_A_PACKET
        and len(visible) > 0
        and len(np.unique(times)) == len(times)
        and start[0]
        and times[0] == times.min()  # nothing is shown before the first place where decoding may start
        and (
            np.maximum.accumulate(times)[starts[1:] - 1] < times[starts[1:]]
        ).all()  # nor before a later one, read sooner
        and (h264 is None or h264.in_order(times, delay_known="mp4" in stream.container.format.name))
        and (carried is None or carried.is_whole_from(starts))
    )
    return PacketTable(
        pts=times,
        start=np.array(start, dtype=bool),
        shown=np.array(shown, dtype=bool),
        reliable=bool(reliable),
        tells_orientation=carried is not None and carried.tells_orientation,
    )


def _shows_vp8(packet: av.Packet) -> bool:
    """The show_frame bit of a VP8 frame's header (RFC 6386, 9.1)."""
    return bool(memoryview(packet)[0] >> 4 & 1)
