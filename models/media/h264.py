"""Order of an H.264 track's pictures according to its headers (Rec. ITU-T H.264, clauses in brackets).

A container's timestamps can contradict this order. AVI has no presentation times. A recording may lack packets. An encoder
may not state how many pictures a decoder must hold back to put them in order. A decoder follows the counts in the pictures'
headers, so its output is known in advance only where headers and timestamps agree.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.media.carried import CarriedUnits
from models.media.nal_units import NalUnits

_SLICE, _IDR, _PARAMETERS = 1, 5, 7  # nal_unit_type (table 7-1)
_HEADER = 24  # bytes of a slice that contain the fields which are read
_CHROMA = frozenset(
    {100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135}
)  # profiles that state chroma_format_idc (7.3.2.1.1)


class Bits:
    """Reader of the bit fields of a NAL unit's payload.

    Every method raises IndexError if the unit ends too early.
    """

    def __init__(self, unit: bytes):
        """Start at the unit's second byte."""
        payload = bytes(unit[1:]).replace(b"\x00\x00\x03", b"\x00\x00")  # emulation prevention (7.3.1)
        self._value, self._left = int.from_bytes(payload, "big"), 8 * len(payload)

    def u(self, count: int) -> int:
        """Read an unsigned number of `count` bits."""
        self._left -= count
        if self._left < 0:
            raise IndexError("the unit ends within a field")
        return self._value >> self._left & ((1 << count) - 1)

    def ue(self) -> int:
        """Read an unsigned Exp-Golomb code (9.1); a signed code has the same number of bits."""
        zeros = 0
        while not self.u(1):
            zeros += 1
        return (1 << zeros) - 1 + self.u(zeros)


@dataclass(frozen=True)
class Parameters:
    """Fields of a sequence parameter set (7.3.2.1.1) that decide the order of pictures.

    Attributes:
        frame_number_bits: Bits of frame_num.
        count_type: Type of the picture order count (pic_order_cnt_type).
        count_bits: Bits of pic_order_cnt_lsb, for type 0.
        frames_only: Whether there are no field pictures (frame_mbs_only_flag).
        separate_planes: Whether the colour planes are coded separately (separate_colour_plane_flag).
        reordered: Largest number of pictures that a decoder must hold back (max_num_reorder_frames, E.2.1); None if it is
            not stated.
    """

    frame_number_bits: int
    count_type: int
    count_bits: int
    frames_only: bool
    separate_planes: bool
    reordered: int | None

    @classmethod
    def read(cls, unit: bytes) -> Parameters:
        """Read a sequence parameter set; raises IndexError if it ends too early."""
        bits = Bits(unit)
        profile, _, _ = bits.u(8), bits.u(16), bits.ue()
        separate = 0
        if profile in _CHROMA:
            chroma = bits.ue()
            separate = bits.u(1) if chroma == 3 else 0
            bits.ue(), bits.ue(), bits.u(1)
            if bits.u(1):
                for number in range(12 if chroma == 3 else 8):
                    if bits.u(1):
                        _skip_scaling_list(bits, 16 if number < 6 else 64)
        frame_number_bits = bits.ue() + 4
        count_type, count_bits = bits.ue(), 0
        if count_type == 0:
            count_bits = bits.ue() + 4
        elif count_type == 1:
            bits.u(1), bits.ue(), bits.ue()
            for _ in range(bits.ue()):
                bits.ue()
        bits.ue(), bits.u(1), bits.ue(), bits.ue()
        frames_only = bits.u(1)
        if not frames_only:
            bits.u(1)
        bits.u(1)
        if bits.u(1):
            for _ in range(4):
                bits.ue()
        reordered = _reordered(bits) if bits.u(1) else None
        return cls(frame_number_bits, count_type, count_bits, bool(frames_only), bool(separate), reordered)


def _skip_scaling_list(bits: Bits, size: int) -> None:
    last = following = 8
    for _ in range(size):
        if following:
            code = bits.ue()
            following = (last + ((code + 1) // 2 if code % 2 else -(code // 2))) % 256
        last = following or last


def _reordered(bits: Bits) -> int | None:
    """Return max_num_reorder_frames of the video usability information (E.1.1); None if it is not stated."""
    if bits.u(1) and bits.u(8) == 255:
        bits.u(32)
    if bits.u(1):
        bits.u(1)
    if bits.u(1):
        bits.u(4)
        if bits.u(1):
            bits.u(24)
    if bits.u(1):
        bits.ue(), bits.ue()
    if bits.u(1):
        bits.u(65)
    described = [_skip_reference_decoder(bits) for _ in range(2) if bits.u(1)]
    if described:
        bits.u(1)
    bits.u(1)
    if not bits.u(1):
        return None
    bits.u(1)
    for _ in range(4):
        bits.ue()
    return bits.ue()


def _skip_reference_decoder(bits: Bits) -> None:
    count = bits.ue() + 1
    bits.u(8)
    for _ in range(count):
        bits.ue(), bits.ue(), bits.u(1)
    bits.u(20)


class H264Track:
    """Reader of a track's packets, in decoding order.

    Attributes:
        whole: Whether every packet read so far splits into units and contains the beginning of a picture.
        carried: Reader of the units beside the pictures.
    """

    def __init__(self, extradata: bytes | None):
        """Start with the parameter sets of the track's extradata."""
        self._units = NalUnits("h264", extradata)
        self.carried = CarriedUnits(self._units)
        self._parameters: Parameters | None = None
        self._unit = b""  # the unit that `_parameters` was read from
        self._counts: list[tuple[int, int]] = []  # per packet: the number of its group, its order count in the group
        self._groups = self._high = self._low = 0
        self._expected = 0  # frame_num of the next picture
        self.whole = True
        for unit in self._units.of_extradata():
            if self._units.kind(unit) == _PARAMETERS:
                self._read_parameters(unit)

    def is_idr(self, data: bytes) -> bool:
        """Read a packet, and return whether it is an IDR picture.

        Only an IDR picture resets all references. Other keyframes do not.
        """
        self.carried.begin_packet()
        try:
            for unit in self._units.of_packet(data):
                kind = self._units.kind(unit)
                self.carried.read_unit(unit)
                if kind == _PARAMETERS:
                    self._read_parameters(unit)
                elif kind in (_SLICE, _IDR):
                    self._read_slice(unit)
                    return kind == _IDR
        except IndexError:
            pass
        self.whole = False
        return False

    def in_order(self, times: np.ndarray, *, delay_known: bool) -> bool:
        """Return whether a decoder shows every packet's picture, in the order of the packets' timestamps.

        Two conditions are checked. In each group that begins with an IDR picture, the counts must ascend in equal steps;
        otherwise a picture is missing. If pictures are reordered, the number of pictures that a decoder holds back must be
        known; otherwise the decoder drops the first late pictures.

        Args:
            times: (p,) presentation times of the packets.
            delay_known: Whether the container states the number of held-back pictures, for a track that does not.

        Returns:
            Whether both conditions hold for all packets.
        """
        if not self.whole or self._parameters is None:
            return False
        groups, counts = np.array(self._counts, dtype=np.int64).reshape(-1, 2).T
        order = np.lexsort((times, groups))
        steps = np.diff(counts[order])[np.diff(groups[order]) == 0]
        if len(steps) and (steps[0] < 1 or (steps != steps[0]).any()):
            return False
        ranks = np.empty(len(times), dtype=np.int64)
        ranks[np.argsort(times, kind="stable")] = np.arange(len(times))
        held = int((np.arange(len(times)) - ranks).max(initial=0))
        stated = self._parameters.reordered
        return held == 0 or (delay_known if stated is None else held <= stated)

    def _read_parameters(self, unit: bytes) -> None:
        unit = unit.rstrip(b"\x00")
        if self._unit and unit != self._unit:  # which parameters a picture uses is not tracked here
            self.whole = False
        try:
            self._parameters, self._unit = Parameters.read(unit), unit
        except IndexError:
            self.whole = False

    def _read_slice(self, unit: bytes) -> None:
        """Append the picture's order count in its group (8.2.1), for the types 0 and 2."""
        known = self._parameters
        if known is None or unit[0] & 128:
            raise IndexError("a picture without parameters, or no picture")
        bits = Bits(unit[:_HEADER])
        if bits.ue() != 0:  # first_mb_in_slice: the picture's beginning is missing
            raise IndexError("a picture without its beginning")
        bits.ue(), bits.ue()
        if known.separate_planes:
            bits.u(2)
        number = bits.u(known.frame_number_bits)
        if not known.frames_only and bits.u(1):
            bits.u(1)
        if unit[0] & 31 == _IDR:
            bits.ue()
            self._groups += 1
            self._high = self._low = self._expected = 0
        referred = bool(unit[0] >> 5 & 3)
        if known.count_type == 0:
            low, size = bits.u(known.count_bits), 1 << known.count_bits
            high = self._high
            if low < self._low and self._low - low >= size // 2:
                high += size
            elif low > self._low and low - self._low > size // 2:
                high -= size
            if referred:
                self._high, self._low = high, low
            count = high + low
        elif known.count_type == 2:  # shown in decoding order; frame_num shows whether a picture is missing
            if number != self._expected:
                raise IndexError("a picture is missing")
            count = len(self._counts)
        else:
            raise IndexError("type 1, which no encoder writes")
        self._expected = (number + referred) % (1 << known.frame_number_bits)
        self._counts.append((self._groups, count))
