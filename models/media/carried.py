"""Data beside the pictures that later pictures need: parameter sets and orientation.

Decoding can start at a packet only if the skipped packets carry no such data.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from models.media.nal_units import NalUnits

_EXIF = 0xE1  # marker of the JPEG segment with the picture's orientation
_SCAN = 0xDA  # marker before the picture's data


class Carried(Protocol):
    """Reader of the data beside the pictures, for all packets of a track in decoding order."""

    @property
    def tells_orientation(self) -> bool:
        """Whether a packet read so far may state the orientation of its picture."""
        ...

    def read_packet(self, data: bytes) -> None:
        """Read the next packet."""
        ...

    def is_whole_from(self, starts: np.ndarray) -> bool:
        """Return whether decoding can start at any of the packets `starts` (s,) without missing data."""
        ...


class CarriedUnits:
    """Reader of the parameter sets and orientation messages of H.264 and HEVC."""

    def __init__(self, units: NalUnits):
        """Start with the parameter sets of the track's extradata."""
        self._units = units
        self._known = {unit.rstrip(b"\x00") for unit in units.of_extradata()}
        self._is_whole = True
        self._has_orientation: list[bool] = []  # one per packet

    @property
    def tells_orientation(self) -> bool:
        """Whether a packet read so far states an orientation."""
        return any(self._has_orientation)

    def begin_packet(self) -> None:
        """Begin the next packet, for a caller that splits packets into units itself."""
        self._has_orientation.append(False)

    def read_unit(self, unit: bytes) -> None:
        """Read the packet's next unit."""
        if self._units.is_parameters(unit):
            # Wherever decoding starts, the decoder knows the extradata's parameters. It would not know others.
            self._is_whole &= unit.rstrip(b"\x00") in self._known
        elif self._units.tells_orientation(unit):
            self._has_orientation[-1] = True

    def read_packet(self, data: bytes) -> None:
        """Read the next packet, up to its picture."""
        self.begin_packet()
        try:
            for unit in self._units.of_packet(data):
                self.read_unit(unit)
                if self._units.is_picture(unit):
                    return
        except IndexError:
            pass
        self._is_whole = False  # the decoder refuses this packet, or it has no picture

    def is_whole_from(self, starts: np.ndarray) -> bool:
        """Return whether decoding can start at any of the packets `starts` (s,) without missing data.

        This needs two conditions. All parameters are those of the extradata. Every start states the orientation, or no packet
        does.
        """
        has_orientation = np.array(self._has_orientation, dtype=bool)
        return self._is_whole and (not has_orientation.any() or bool(has_orientation[starts].all()))


class CarriedSegments:
    """Reader of the tables and the orientation of pictures that are complete files: JPEG, PNG."""

    def __init__(self, codec: str):
        """Make a reader for the codec `mjpeg` or `png`."""
        self._read = _jpeg_segments if codec == "mjpeg" else _png_orientation
        self._first: list[int | bytes] | None = None
        self._are_alike = True
        self.tells_orientation = False

    def read_packet(self, data: bytes) -> None:
        """Read the next picture's header."""
        header = self._read(data)
        self._first = self._first if self._first is not None else header
        self._are_alike &= header == self._first
        self.tells_orientation |= any(isinstance(part, bytes) for part in header)

    def is_whole_from(self, starts: np.ndarray) -> bool:
        """Return whether all pictures have the same kinds of segments; then none needs those of an earlier picture."""
        return self._are_alike


def carried_by(codec: str, extradata: bytes | None) -> Carried | None:
    """Return a reader for a codec whose pictures may need data of earlier packets.

    Args:
        codec: FFmpeg's name of the codec. H.264 is not handled here: `H264Track` has its own `CarriedUnits`.
        extradata: Extradata of the track.

    Returns:
        The reader; None for other codecs.
    """
    if codec == "hevc":
        return CarriedUnits(NalUnits(codec, extradata))
    return CarriedSegments(codec) if codec in ("mjpeg", "png") else None


def _jpeg_segments(data: bytes) -> list[int | bytes]:
    """Return the markers of a picture's segments, and the whole segment where it may state the orientation."""
    segments: list[int | bytes] = []
    position = 2
    while position + 4 <= len(data) and data[position] == 0xFF and data[position + 1] != _SCAN:
        marker, end = data[position + 1], position + 2 + int.from_bytes(data[position + 2 : position + 4], "big")
        segments.append(data[position:end] if marker == _EXIF else marker)
        position = end
    return segments


def _png_orientation(data: bytes) -> list[int | bytes]:
    """Return the chunk that may state a picture's orientation, if there is one."""
    position = data.find(b"eXIf")
    return (
        [data[position : position + 4 + int.from_bytes(data[position - 4 : position], "big")]] if position > 3 else []
    )
