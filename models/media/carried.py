"""What packets carry beside their pictures that later pictures need: parameters, and how to turn the pictures.

Decoding can begin at a packet only if nothing of this kind is lost with the packets before it.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from models.media.nal_units import NalUnits

_EXIF = 0xE1  # the marker of a JPEG segment that holds the orientation of the picture
_SCAN = 0xDA  # the marker after which the picture's data follow


class Carried(Protocol):
    """Reads a track's packets in decoding order.

    Attributes:
        tells_orientation: Whether a packet read so far may tell how to turn its picture.
    """

    @property
    def tells_orientation(self) -> bool: ...

    def read_packet(self, data: bytes) -> None:
        """Read the next packet."""
        ...

    def is_whole_from(self, starts: np.ndarray) -> bool:
        """Return whether decoding that begins at one of the packets `starts` (s,) lacks nothing."""
        ...


class CarriedUnits:
    """Parameter sets and orientation messages of H.264 and HEVC."""

    def __init__(self, units: NalUnits):
        self._units = units
        self._known = {unit.rstrip(b"\x00") for unit in units.of_extradata()}
        self._is_whole = True
        self._turned: list[bool] = []  # of each packet: it tells an orientation

    @property
    def tells_orientation(self) -> bool:
        """Whether a packet tells how to turn the pictures."""
        return any(self._turned)

    def begin_packet(self) -> None:
        """Begin the next packet, for a caller that cuts packets into units itself."""
        self._turned.append(False)

    def read_unit(self, unit: bytes) -> None:
        """Read the packet's next unit."""
        if self._units.is_parameters(unit):
            # The decoder reads the extradata first, wherever it begins; other parameters it would not know.
            self._is_whole &= unit.rstrip(b"\x00") in self._known
        elif self._units.tells_orientation(unit):
            self._turned[-1] = True

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
        self._is_whole = False  # a packet that the decoder refuses, or one without a picture

    def is_whole_from(self, starts: np.ndarray) -> bool:
        """Return whether the parameters are those of the extradata, and every start tells the orientation if any does."""
        told = np.array(self._turned, dtype=bool)
        return self._is_whole and (not told.any() or bool(told[starts].all()))


class CarriedSegments:
    """Tables and orientation of pictures that are whole files by themselves: JPEG, PNG."""

    def __init__(self, codec: str):
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
        """Return whether all pictures have the same kinds of segments: then none uses those of an earlier picture."""
        return self._are_alike


def carried_by(codec: str, extradata: bytes | None) -> Carried | None:
    """Return a reader for a codec whose pictures may need what earlier packets carry; None for other codecs.

    Args:
        codec: FFmpeg's name of it. (H.264 is read by `H264Track`, which has a `CarriedUnits` of its own.)
        extradata: The track's.
    """
    if codec == "hevc":
        return CarriedUnits(NalUnits(codec, extradata))
    return CarriedSegments(codec) if codec in ("mjpeg", "png") else None


def _jpeg_segments(data: bytes) -> list[int | bytes]:
    """Return the markers of a picture's segments, and the whole segments that may tell its orientation."""
    found: list[int | bytes] = []
    position = 2
    while position + 4 <= len(data) and data[position] == 0xFF and data[position + 1] != _SCAN:
        marker, end = data[position + 1], position + 2 + int.from_bytes(data[position + 2 : position + 4], "big")
        found.append(data[position:end] if marker == _EXIF else marker)
        position = end
    return found


def _png_orientation(data: bytes) -> list[int | bytes]:
    """Return the chunk that may tell a picture's orientation, if there is one."""
    position = data.find(b"eXIf")
    return (
        [data[position : position + 4 + int.from_bytes(data[position - 4 : position], "big")]] if position > 3 else []
    )
