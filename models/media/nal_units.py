"""NAL units, of which packets of H.264 and HEVC consist (Rec. ITU-T H.264 and H.265, clause 7)."""

from __future__ import annotations

from collections.abc import Iterator

_ORIENTATION = 47  # payloadType of the display orientation message (H.264 D.1.27, H.265 D.2.17)


class NalUnits:
    """Splitter of a track's packets into NAL units.

    Attributes:
        described: Whether the extradata is an avcC or hvcC box; then each unit follows its length instead of a start code.
    """

    def __init__(self, codec: str, extradata: bytes | None):
        """Make a splitter.

        Args:
            codec: `h264` or `hevc`.
            extradata: Extradata of the track.
        """
        self._hevc = codec == "hevc"
        self._extradata = extradata or b""
        # ISO/IEC 14496-15: the box has version 1. The size of the length field is at a different place in each codec.
        place = 21 if self._hevc else 4
        self.described = len(self._extradata) > place + 2 and self._extradata[0] == 1
        self._prefix = (self._extradata[place] & 3) + 1 if self.described else 0

    def kind(self, unit: bytes) -> int:
        """Return the unit's nal_unit_type."""
        return unit[0] >> 1 & 63 if self._hevc else unit[0] & 31

    def is_picture(self, unit: bytes) -> bool:
        """Return whether the unit is a part of a picture."""
        return self.kind(unit) < 32 if self._hevc else 1 <= self.kind(unit) <= 5

    def is_parameters(self, unit: bytes) -> bool:
        """Return whether the unit is a parameter set, which later pictures may use."""
        return self.kind(unit) in ((32, 33, 34) if self._hevc else (7, 8, 13, 15))

    def tells_orientation(self, unit: bytes) -> bool:
        """Return whether the unit contains a display orientation message."""
        if self.kind(unit) != (39 if self._hevc else 6):
            return False
        data = bytes(unit[2 if self._hevc else 1 :]).replace(b"\x00\x00\x03", b"\x00\x00")  # emulation prevention
        position = 0
        while position + 2 < len(data):
            numbers = []
            for _ in range(2):  # payloadType, then payloadSize: the sum of all bytes of 255 and the byte after them
                number = 0
                while position < len(data) and data[position] == 255:
                    number, position = number + 255, position + 1
                numbers.append(number + (data[position] if position < len(data) else 0))
                position += 1
            if numbers[0] == _ORIENTATION:
                return True
            position += numbers[1]
        return False

    def of_packet(self, data: bytes) -> Iterator[bytes]:
        """Yield the units of a packet.

        Args:
            data: The packet's bytes.

        Yields:
            The units, without length or start code.

        Raises:
            IndexError: A unit is empty, or the units' lengths do not add up to the packet's length. A decoder refuses such a
                packet.
        """
        if not self.described:
            yield from _between_start_codes(data)
            return
        position, places = 0, []
        while position < len(data):
            start = position + self._prefix
            position = start + int.from_bytes(data[position:start], "big")
            places.append((start, position))
        if position != len(data) or any(start >= end for start, end in places):
            raise IndexError("a unit is empty, or the units' lengths do not add up to the packet's length")
        for start, end in places:
            yield data[start:end]

    def of_extradata(self) -> list[bytes]:
        """Return the complete units of the track's extradata."""
        data, units = self._extradata, []
        if not self.described:
            return list(_between_start_codes(data))

        def take(count: int, position: int) -> int:
            for _ in range(count):
                start = position + 2
                position = start + int.from_bytes(data[position:start], "big")
                if start < position <= len(data):
                    units.append(data[start:position])
            return position

        if self._hevc:
            position = 23
            for _ in range(data[22]):  # each array follows its type and a count of two bytes
                position = take(int.from_bytes(data[position + 1 : position + 3], "big"), position + 3)
        else:
            position = take(data[5] & 31, 6)  # sequence parameters, then picture parameters
            take(int.from_bytes(data[position : position + 1], "big"), position + 1)
        return units


def _between_start_codes(data: bytes) -> Iterator[bytes]:
    """Yield the units of a byte stream (Annex B)."""
    position = data.find(b"\x00\x00\x01")
    while position >= 0:
        start = position + 3
        position = data.find(b"\x00\x00\x01", start)
        unit = data[start : position if position >= 0 else len(data)]
        if unit:
            yield unit
