"""Sampling K frames of a video, exactly: the picture that a full sequential decode has at that index."""

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
_THREADED = 20_000_000  # pixels to decode from which starting threads is repaid
_MISCOUNT = 2  # frames by which the number of packets may differ from that of the frames, without a second decode


@dataclass(frozen=True)
class Frames:
    """Sampled frames in presentation order.

    Attributes:
        images: n arrays (h, w, 3) uint8, RGB, upright.
        timestamps: (n,) float64 seconds on the file's own clock, which the sound shares; it need not start at 0.
        indices: (n,) int64, the place of each among all frames that a sequential decode yields, from 0.
        rotation: Degrees clockwise (0, 90, 180, 270) by which the first of them was turned to be upright.
        damage: Why the video ends before its last packet, in words; None for a video that is whole, as far as was seen.
    """

    images: list[np.ndarray]
    timestamps: np.ndarray
    indices: np.ndarray
    rotation: int = 0
    damage: str | None = None


def sampled_indices(
    total: int, *, count: int = 10, method: SamplingMethod = "even", stride: int | None = None
) -> np.ndarray:
    """Which frames of a video of `total` frames are sampled.

    `even` (M3TR appendix E: K key frames at certain intervals) takes the frame at the centre of each of `count` equal
    parts, in presentation order: `floor((2 j + 1) total / (2 count))`. A video of at most `count` frames gives each.
    `stride` (MMRA 2.2.1: temporal stride tau, T_o = floor(T / tau) frames) takes 0, tau, 2 tau, ..., at most `count` of
    them and at least the first.

    Returns:
        (n,) int64, ascending, without repetition, n <= count.
    """
    if method not in get_args(SamplingMethod):
        raise ValueError(f"method must be one of {', '.join(get_args(SamplingMethod))}, not {method!r}")
    if count < 1:
        raise ValueError(f"count must be at least 1 frame, not {count}")
    if method == "stride":
        if stride is None or stride < 1:
            raise ValueError(f"method 'stride' needs a stride of at least 1 frame, not {stride!r}")
        return np.arange(min(count, max(1, total // stride)), dtype=np.int64) * stride
    if stride is not None:
        raise ValueError("a stride goes with method 'stride' only")
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
    """Sample frames of a video; see `sampled_indices` for which, `Frames` for what is returned.

    A damaged file is sampled from the frames before the first packet that the decoder refuses, which is what a
    sequential decode yields; it fails only where that is nothing.

    Args:
        max_side: Longest side in pixels; larger pictures are scaled down while they are converted (area average).
        threads: Decoder threads; None takes one for small clips and one a core for larger ones.

    Raises:
        FileNotFoundError: No such file.
        MediaError: `empty_file`, `not_media`, `no_video`, `truncated`, `decode`.
        ValueError: A wrong count, method or stride.
    """
    sampler = FrameSampler(path, count, method, stride, max_side, threads)
    with open_media(path) as container:
        stream = video_track(container, path)
        if too_large_to_hold(path):
            table = read_table(stream, read_packets(container, stream))
            with open_media(path) as again:  # the packets a second time, one after another
                stream = video_track(again, path)
                return sampler.sample(stream, read_packets(again, stream), table)
        packets: list[av.Packet] = []
        table = read_table(stream, kept(read_packets(container, stream), packets))
        return sampler.sample(stream, packets, table)


@dataclass(frozen=True)
class FrameSampler:
    """Decodes the sampled frames from a track's packets; the arguments, checked here, are those of `sample_frames`."""

    path: str | Path
    count: int
    method: SamplingMethod
    stride: int | None
    max_side: int | None
    threads: int | None

    def __post_init__(self):
        sampled_indices(1, count=self.count, method=self.method, stride=self.stride)
        if self.max_side is not None and self.max_side < 1:
            raise ValueError(f"max_side must be at least 1 pixel, not {self.max_side}")

    def sample(self, stream: VideoStream, packets: Iterable[av.Packet], table: PacketTable) -> Frames:
        """The frames of a track's packets, all of them in decoding order, by the shortest way that is exact."""
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
        """Decode no more than the wanted packets need; None where the file turns out not to be what its packets say."""
        decoder = stream.codec_context
        runs = table.runs(wanted.tolist())
        work = stream.width * stream.height * sum(run[-1] + 1 - first for first, run in runs)
        stream.thread_type = "AUTO"
        stream.thread_count = self.threads or (1 if work < _THREADED else 0)
        droppable = decoder.codec.canonical_name == "h264"  # nal_ref_idc = 0 proves that nothing refers to a picture
        converter = PictureConverter(self.path, stream, self.max_side)
        found: dict[int, Picture] = {}
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
                            found[frame.pts] = converter.convert(frame)
                        else:
                            converter.pass_by(frame)
                decoder.flush_buffers()
        except (av.FFmpegError, MediaError):  # damage; a format that can't be converted
            return None
        return [found[time] for time in times] if len(found) == len(times) else None

    def _decode_all(self, expected: int) -> Frames:
        """The reference: decode every packet in turn.

        The frames are counted and taken in one pass if there are nearly as many as expected; otherwise the second pass
        takes them.

        Args:
            expected: The number of frames by the packets.
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
        """Decode the track up to frame `until`, or up to what the decoder refuses.

        Returns:
            (pictures, total, rate, damage): the wanted pictures by their index, the number of frames decoded, the track's
            frame rate, and the reason for an early end.
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
    """The pictures as `Frames`; the rare track without any clock gets one from its frame rate."""
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
    """The packets from `first` to `last`, to which the iteration hasn't come yet, then None: give what is held back."""
    for number, packet in numbered:
        if number >= first:
            yield packet
        if number == last:
            break
    yield None
