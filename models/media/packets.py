"""Table of a video track's packets: the number and order of its frames, and the packets that a frame needs.

Reading the packets of a micro-video without decoding takes some milliseconds. They give the number and times of the frames, and
the packets where decoding may start. So the decoding of a set of frames is planned without a seek. A seek is avoided because
its landing point differs between containers.
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

# Codecs with exactly one shown frame per packet, except packets marked `discard` and hidden frames of VP8. Frames of other
# codecs, such as MPEG-4 in AVI with packed B-frames, are counted by decoding.
_ONE_FRAME_PER_PACKET = frozenset({"h264", "hevc", "vp8", "vp9", "av1", "mjpeg", "png", "prores", "rawvideo", "ffv1"})
# Side data that affects all following packets: headers (FLV, mp4 with several descriptions), a palette.
_CHANGES = ("new_extradata", "palette", "param_change")
_HELD = 256 << 20  # bytes; the packets of a larger file are not held in memory


@dataclass(frozen=True)
class PacketTable:
    """Table with one row per packet, in decoding order.

    Attributes:
        pts: (p,) int64 presentation times in units of the track's time base.
        start: (p,) bool, True where decoding may start: no packet that follows in both orders refers to an earlier one.
        shown: (p,) bool, True where the packet's frame is shown; an edit list can hide frames.
        reliable: Whether the table states exactly the frames that a decode of all packets yields. If not, all packets must
            be decoded.
        tells_orientation: Whether packets, instead of the container, state the orientation of pictures.
    """

    pts: np.ndarray
    start: np.ndarray
    shown: np.ndarray
    reliable: bool
    tells_orientation: bool = False

    @property
    def display_order(self) -> np.ndarray:
        """(n,) int64, the packet of each shown frame, in presentation order."""
        shown = np.flatnonzero(self.shown)
        return shown[np.argsort(self.pts[shown], kind="stable")]

    def runs(self, packets: Iterable[int]) -> list[tuple[int, list[int]]]:
        """Return the shortest runs of packets to decode for the frames of some packets.

        Args:
            packets: Numbers of the wanted packets.

        Returns:
            List of (first, wanted): decode from packet `first`, where decoding may start, to the last packet of `wanted`.
            `wanted` is ascending. The runs are ascending and do not overlap.
        """
        starts = np.flatnonzero(self.start)
        runs: list[tuple[int, list[int]]] = []
        for packet in sorted(packets):
            # A frame may be shown before the start that precedes it in decoding order (open group of pictures). It needs
            # the start before that one.
            possible = starts[(starts <= packet) & (self.pts[starts] <= self.pts[packet])]
            first = int(possible[-1])
            if runs and first <= runs[-1][1][-1]:
                runs[-1][1].append(packet)
            else:
                runs.append((first, [packet]))
        return runs


def too_large_to_hold(path: str | Path) -> bool:
    """Return whether a file is too large to keep its packets in memory; it is then read a second time for decoding."""
    return Path(path).stat().st_size > _HELD


def kept(packets: Iterable[av.Packet], keep: list[av.Packet]) -> Iterator[av.Packet]:
    """Yield the packets, and append each of them to `keep`."""
    for packet in packets:
        keep.append(packet)
        yield packet


def read_table(stream: VideoStream, packets: Iterable[av.Packet]) -> PacketTable:
    """Return the table of a track's packets.

    Args:
        stream: The video track.
        packets: All of its packets, in decoding order.

    Returns:
        The table; it is not `reliable` for a damaged or unusual track.
    """
    codec, extradata = stream.codec_context.codec.canonical_name, stream.codec_context.extradata
    h264 = H264Track(extradata) if codec == "h264" else None
    carried = h264.carried if h264 is not None else carried_by(codec, extradata)
    pts: list[int | None] = []
    start, shown, intact, latest = [], [], True, None
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
            # Timestamps that jump back: parts of several videos, which a decoder shows one after another.
            jumps = latest is not None and packet.dts is not None and packet.dts < latest
            latest = packet.dts if packet.dts is not None else latest
            changes = any(packet.has_sidedata(kind) for kind in _CHANGES)
            intact = intact and not (packet.is_corrupt or jumps or changes)
    except av.FFmpegError:  # the container is cut: only the packets before the cut exist
        intact = False
    complete = all(time is not None for time in pts)
    times = np.array([time if time is not None else 0 for time in pts], dtype=np.int64)
    visible = times[np.array(shown, dtype=bool)]
    starts = np.flatnonzero(start)
    reliable = (
        intact
        and complete
        and codec in _ONE_FRAME_PER_PACKET
        and len(visible) > 0
        and len(np.unique(times)) == len(times)
        and start[0]
        and times[0] == times.min()  # no frame is shown before the first start
        and (
            np.maximum.accumulate(times)[starts[1:] - 1] < times[starts[1:]]
        ).all()  # no packet read before a later start is shown after it
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
    """Return the show_frame bit of a VP8 frame's header (RFC 6386, 9.1)."""
    return bool(memoryview(packet)[0] >> 4 & 1)
