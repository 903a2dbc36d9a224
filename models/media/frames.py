"""Sampling K frames of a video, exactly: the picture that a full sequential decode has at that index."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import av
import numpy as np
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from models.media.container import decoded, open_media, read_packets, required_video
from models.media.errors import MediaError
from models.media.orientation import display_matrix, rotation_of, upright
from models.media.packets import PacketTable, kept, read_table, too_large_to_hold

SamplingMethod = Literal["even", "stride"]
_THREADED = 20_000_000  # pixels to decode from which starting threads is repaid


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
        stream = required_video(container, path)
        if too_large_to_hold(path):
            table = read_table(stream, read_packets(container, stream))
            with open_media(path) as again:  # the packets a second time, one after another
                stream = required_video(again, path)
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
        if table.reliable:
            order = table.display_order
            indices = sampled_indices(len(order), count=self.count, method=self.method, stride=self.stride)
            frames = self._decode_runs(stream, packets, table, order[indices])
            if frames is not None:
                return self._collect(frames, indices, stream)
        return self._decode_all()

    def _decode_runs(
        self, stream: VideoStream, packets: Iterable[av.Packet], table: PacketTable, wanted: np.ndarray
    ) -> list[_Picture] | None:
        """Decode no more than the wanted packets need; None where the file turns out not to be what its packets say."""
        decoder = stream.codec_context
        runs = table.runs(wanted.tolist())
        work = stream.width * stream.height * sum(run[-1] + 1 - first for first, run in runs)
        stream.thread_type = "AUTO"
        stream.thread_count = self.threads or (1 if work < _THREADED else 0)
        decoder.options = {}  # damage that it would paint over depends on what was decoded before
        droppable = decoder.codec.canonical_name == "h264"  # nal_ref_idc = 0 proves that nothing refers to a picture
        reformatter = VideoReformatter()
        found: dict[int, _Picture] = {}
        times = table.pts[wanted].tolist()
        targets = set(times)
        numbered = enumerate(packet for packet in packets if packet.size)
        try:
            for first, run in runs:
                latest = None
                for packet in _stretch(numbered, first, run[-1]):
                    if packet is not None and droppable:
                        decoder.skip_frame = "DEFAULT" if packet.pts in targets else "NONREF"
                    for frame in decoder.decode(packet):
                        if frame.is_corrupt or (latest is not None and frame.pts is not None and frame.pts <= latest):
                            return None
                        latest = frame.pts
                        if frame.pts in targets:
                            found[frame.pts] = self._picture(frame, reformatter)
                decoder.flush_buffers()
        except (av.FFmpegError, ValueError):  # damage; a format that can't be converted
            return None
        return [found[time] for time in times] if len(found) == len(times) else None

    def _decode_all(self) -> Frames:
        """The reference: decode every packet in turn, once to count the frames and once more to take them."""
        total, damage = 0, None
        with open_media(self.path) as container:
            try:
                for _ in decoded(container, required_video(container, self.path)):
                    total += 1
            except av.FFmpegError as error:
                damage = f"the decoder refused what follows frame {total}: {error.strerror}"
        if total == 0:
            raise MediaError("decode", self.path, damage or "the video track holds no frame")
        indices = sampled_indices(total, count=self.count, method=self.method, stride=self.stride)
        with open_media(self.path) as container:
            stream = required_video(container, self.path)
            reformatter = VideoReformatter()
            wanted = set(indices.tolist())
            frames = enumerate(itertools.islice(decoded(container, stream), int(indices[-1]) + 1))
            pictures = [self._convert(frame, reformatter) for index, frame in frames if index in wanted]
            return self._collect(pictures, indices, stream, damage=damage)

    def _convert(self, frame: av.VideoFrame, reformatter: VideoReformatter) -> _Picture:
        try:
            return self._picture(frame, reformatter)
        except (av.FFmpegError, ValueError) as error:
            raise MediaError(
                "decode", self.path, f"{frame.format.name} pictures can't be converted: {error}"
            ) from error

    def _picture(self, frame: av.VideoFrame, reformatter: VideoReformatter) -> _Picture:
        """Convert (and shrink) one frame; its colour matrix and range are those that the file names."""
        width, height = frame.width, frame.height
        scale = min(1.0, self.max_side / max(width, height)) if self.max_side else 1.0
        rgb = reformatter.reformat(
            frame,
            width=max(1, round(width * scale)),
            height=max(1, round(height * scale)),
            format="rgb24",
            interpolation="AREA" if scale < 1 else None,
        )
        matrix = display_matrix(frame)
        return _Picture(upright(rgb.to_ndarray(), matrix), frame.pts, rotation_of(matrix))

    def _collect(
        self, pictures: list[_Picture], indices: np.ndarray, stream: VideoStream, *, damage: str | None = None
    ) -> Frames:
        rate = float(stream.average_rate or stream.guessed_rate or 25)  # for the rare track without any clock
        times = [
            float(picture.time * stream.time_base) if picture.time is not None else index / rate
            for picture, index in zip(pictures, indices)
        ]
        return Frames(
            images=[picture.image for picture in pictures],
            timestamps=np.array(times, dtype=np.float64),
            indices=indices,
            rotation=pictures[0].rotation,
            damage=damage,
        )


@dataclass(frozen=True)
class _Picture:
    image: np.ndarray
    time: int | None  # in units of the track's time base
    rotation: int


def _stretch(numbered: Iterator[tuple[int, av.Packet]], first: int, last: int) -> Iterator[av.Packet | None]:
    """The packets from `first` to `last`, to which the iteration hasn't come yet, then None: give what is held back."""
    for number, packet in numbered:
        if number >= first:
            yield packet
        if number == last:
            break
    yield None
