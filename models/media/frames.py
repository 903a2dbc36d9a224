"""Sampling of K frames of a video, identical to the frames of a full sequential decode."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import av
import numpy as np
from av.video.stream import VideoStream

from models.media.container import decoded, open_media, read_packets
from models.media.errors import MediaError
from models.media.packets import PacketTable, kept, read_table, too_large_to_hold
from models.media.picture_converter import Picture, PictureConverter
from models.media.tracks import video_track

SamplingMethod = Literal["even", "stride"]
_THREADED = 20_000_000  # pixels to decode; with fewer, starting decoder threads costs more than it saves
_MISCOUNT = 2  # if the numbers of packets and frames differ by more, a second decode is needed


@dataclass(frozen=True)
class Frames:
    """Sampled frames in presentation order.

    Attributes:
        images: n arrays (h, w, 3) uint8, RGB, upright.
        timestamps: (n,) float64 seconds on the file's own clock, which the sound shares. The clock need not start at 0.
        indices: (n,) int64, the frame's number among all frames of a sequential decode, from 0.
        rotation: Degrees clockwise (0, 90, 180, 270) by which the first frame was turned upright.
        damage: Reason why the video ends before its last packet; None if no damage was seen.
    """

    images: list[np.ndarray]
    timestamps: np.ndarray
    indices: np.ndarray
    rotation: int = 0
    damage: str | None = None


def sampled_indices(
    total: int, *, count: int = 10, method: SamplingMethod = "even", stride: int | None = None
) -> np.ndarray:
    """Return the indices of the frames to sample from a video.

    Args:
        total: Number of frames of the video.
        count: Largest number of frames to sample, K.
        method: "even" (M3TR appendix E: K key frames at certain intervals) splits the video into `count` equal parts in
            presentation order and takes the centre of each: `floor((2 j + 1) total / (2 count))`. A video of at most
            `count` frames yields all of them. "stride" (MMRA 2.2.1: temporal stride tau, T_o = floor(T / tau) frames)
            takes 0, tau, 2 tau, ..., at most `count` frames and at least the first.
        stride: tau, for "stride" only.

    Returns:
        (n,) int64, ascending, without repetition, n <= count.

    Raises:
        ValueError: An unknown method, a count below 1, or a stride that is missing, below 1 or not allowed.

    Example:
        >>> sampled_indices(100, count=4).tolist()
        [12, 37, 62, 87]
        >>> sampled_indices(100, count=4, method="stride", stride=30).tolist()
        [0, 30, 60]
    """
    if method not in get_args(SamplingMethod):
        raise ValueError(f"method must be one of {', '.join(get_args(SamplingMethod))}, given {method!r}")
    if count < 1:
        raise ValueError(f"count must be at least 1 frame, given {count}")
    if method == "stride":
        if stride is None or stride < 1:
            raise ValueError(f"method 'stride' needs a stride of at least 1 frame, given {stride!r}")
        return np.arange(min(count, max(1, total // stride)), dtype=np.int64) * stride
    if stride is not None:
        raise ValueError(f"stride is for method 'stride' only, given {stride!r} with method {method!r}")
    if total <= count:
        return np.arange(total, dtype=np.int64)
    return (2 * np.arange(count, dtype=np.int64) + 1) * total // (2 * count)


def sample_frames(
    path: str | Path,
    *,
    count: int = 10,
    method: SamplingMethod = "even",
    stride: int | None = None,
    max_side: int | None = None,
    threads: int | None = None,
) -> Frames:
    """Sample frames of a video.

    A damaged file is sampled from the frames before the first packet that the decoder refuses, as in a sequential decode. It
    is an error only if there are no such frames.

    Args:
        path: The file.
        count: Largest number of frames, see `sampled_indices`.
        method: "even" or "stride", see `sampled_indices`.
        stride: Stride in frames, for "stride" only.
        max_side: Longest side in pixels; larger pictures are scaled down during conversion (area average). None keeps the
            size, which costs more memory and time.
        threads: Decoder threads. None uses one thread for small clips and one per core for larger ones.

    Returns:
        The frames, with their timestamps and indices.

    Raises:
        FileNotFoundError: There is no such file.
        MediaError: `empty_file`, `not_media`, `no_video`, `truncated`, `decode`.
        ValueError: The count, method, stride or max_side is not allowed.
    """
    sampler = FrameSampler(path, count, method, stride, max_side, threads)
    with open_media(path) as container:
        stream = video_track(container, path)
        if too_large_to_hold(path):
            table = read_table(stream, read_packets(container, stream))
            with open_media(path) as again:  # read the packets again, one at a time
                stream = video_track(again, path)
                return sampler.sample(stream, read_packets(again, stream), table)
        packets: list[av.Packet] = []
        table = read_table(stream, kept(read_packets(container, stream), packets))
        return sampler.sample(stream, packets, table)


@dataclass(frozen=True)
class FrameSampler:
    """Decoder of the sampled frames of one file.

    Attributes:
        path: The file.
        count: As for `sample_frames`, like the attributes below.
        method: "even" or "stride".
        stride: Stride in frames, or None.
        max_side: Longest side in pixels, or None.
        threads: Decoder threads, or None.

    Raises:
        ValueError: The count, method, stride or max_side is not allowed.
    """

    path: str | Path
    count: int
    method: SamplingMethod
    stride: int | None
    max_side: int | None
    threads: int | None

    def __post_init__(self):
        """Check the values."""
        sampled_indices(1, count=self.count, method=self.method, stride=self.stride)
        if self.max_side is not None and self.max_side < 1:
            raise ValueError(f"max_side must be at least 1 pixel, given {self.max_side}")

    def sample(self, stream: VideoStream, packets: Iterable[av.Packet], table: PacketTable) -> Frames:
        """Return the sampled frames, decoding as few packets as an exact result needs.

        Args:
            stream: The video track.
            packets: All of its packets, in decoding order.
            table: The table of these packets.

        Returns:
            The frames.

        Raises:
            MediaError: `decode`: no frame can be decoded or converted.
        """
        order = table.display_order
        if table.reliable:
            indices = self._indices(len(order))
            pictures = self._decode_runs(stream, packets, table, order[indices])
            if pictures is not None:
                return _collect(pictures, indices, _frame_rate(stream))
        return self._decode_all(expected=len(order))

    def _decode_runs(
        self, stream: VideoStream, packets: Iterable[av.Packet], table: PacketTable, wanted: np.ndarray
    ) -> list[Picture] | None:
        """Decode only the packets that the wanted ones need; None if the decoder contradicts the table of packets."""
        decoder = stream.codec_context
        runs = table.runs(wanted.tolist())
        work = stream.width * stream.height * sum(run[-1] + 1 - first for first, run in runs)
        stream.thread_type = "AUTO"
        stream.thread_count = self.threads or (1 if work < _THREADED else 0)
        droppable = decoder.codec.canonical_name == "h264"  # nal_ref_idc = 0 proves that nothing refers to a picture
        converter = PictureConverter(self.path, stream, self.max_side)
        pictures: dict[int, Picture] = {}
        times = table.pts[wanted].tolist()
        targets = set(times)
        numbered = enumerate(packet for packet in packets if packet.size)
        try:
            for first, run in runs:
                latest = None
                converter.restart()
                for packet in _stretch(numbered, first, run[-1]):
                    if packet is not None and droppable:
                        decoder.skip_frame = "DEFAULT" if packet.pts in targets else "NONREF"
                    for frame in decoder.decode(packet):
                        if frame.is_corrupt or (latest is not None and frame.pts is not None and frame.pts <= latest):
                            return None
                        latest = frame.pts
                        if frame.pts in targets:
                            pictures[frame.pts] = converter.convert(frame)
                        else:
                            converter.pass_by(frame)
                decoder.flush_buffers()
        except (av.FFmpegError, MediaError):  # damage; a format that can't be converted
            return None
        return [pictures[time] for time in times] if len(pictures) == len(times) else None

    def _decode_all(self, expected: int) -> Frames:
        """Decode every packet in turn: the slower reference.

        One pass counts and converts the frames if the count is close to the expected one. Otherwise a second pass converts
        them.

        Args:
            expected: Number of frames according to the packets.
        """
        totals = range(max(1, expected - _MISCOUNT), expected + _MISCOUNT + 1)
        pictures, total, rate, damage = self._decode_in_sequence(
            {int(i) for total in totals for i in self._indices(total)}
        )
        if total == 0:
            raise MediaError("decode", self.path, damage or "the video track holds no frame")
        indices = self._indices(total)
        if not pictures.keys() >= set(indices.tolist()):
            pictures, *_ = self._decode_in_sequence(set(indices.tolist()), until=int(indices[-1]))
        return _collect([pictures[index] for index in indices.tolist()], indices, rate, damage=damage)

    def _decode_in_sequence(
        self, wanted: Set[int], until: int | None = None
    ) -> tuple[dict[int, Picture], int, float, str | None]:
        """Decode the track up to frame `until`, or up to the first packet that the decoder refuses.

        Returns:
            (pictures, total, rate, damage): the wanted pictures by index, the number of decoded frames, the track's frame
            rate, and the reason for an early end.
        """
        pictures: dict[int, Picture] = {}
        total, damage = 0, None
        with open_media(self.path) as container:
            stream = video_track(container, self.path)
            rate = _frame_rate(stream)
            converter = PictureConverter(self.path, stream, self.max_side)
            try:
                for frame in decoded(container, stream):
                    if total in wanted:
                        pictures[total] = converter.convert(frame)
                    else:
                        converter.pass_by(frame)
                    total += 1
                    if total - 1 == until:
                        break
            except av.FFmpegError as error:
                damage = f"the decoder refused what follows frame {total}: {error.strerror}"
        return pictures, total, rate, damage

    def _indices(self, total: int) -> np.ndarray:
        return sampled_indices(total, count=self.count, method=self.method, stride=self.stride)


def _frame_rate(stream: VideoStream) -> float:
    return float(stream.average_rate or stream.guessed_rate or 25)


def _collect(pictures: list[Picture], indices: np.ndarray, rate: float, *, damage: str | None = None) -> Frames:
    """Return the pictures as `Frames`; a track without timestamps gets them from its frame rate."""
    times = [
        picture.seconds if picture.seconds is not None else index / rate for picture, index in zip(pictures, indices)
    ]
    return Frames(
        images=[picture.image for picture in pictures],
        timestamps=np.array(times, dtype=np.float64),
        indices=indices,
        rotation=pictures[0].rotation,
        damage=damage,
    )


def _stretch(numbered: Iterator[tuple[int, av.Packet]], first: int, last: int) -> Iterator[av.Packet | None]:
    """Yield the packets from `first` to `last`, then None, which makes the decoder return the frames it held back.

    The iterator must not have passed `first` yet.
    """
    for number, packet in numbered:
        if number >= first:
            yield packet
        if number == last:
            break
    yield None
