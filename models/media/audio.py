"""Sampling of sound: one resampled mono segment per timestamp."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import av
import numpy as np
import soxr
from av.audio.frame import format_dtypes
from av.audio.layout import AudioLayout
from av.stream import Discard

from models.media.container import open_media, read_packets
from models.media.errors import MediaError
from models.media.tracks import audio_track

# Seconds by which a packet's timestamp may differ from the end of the samples before it; containers round to about 1 ms.
_TOLERANCE = 0.05
_TOLERANCE_AFTER_LOSS = 0.002  # after a lost packet: only the container's rounding of its length is uncertain
_MARGIN = 0.05  # seconds kept around a segment, so that the resampling filter sees real samples at its ends
# Weight of a channel in the mono sum, relative to front left and right: the down-mix to stereo of Rec. ITU-R BS.775, then
# the mean of both. As in BS.775, the bass channel is omitted. Channels that are not named here are at the side or back.
_WEIGHTS = {"FL": 1.0, "FR": 1.0, "FC": 2**0.5, "LFE": 0.0, "LFE2": 0.0}
_SURROUND = 0.5**0.5


class Segments(list[np.ndarray]):
    """Segments of sound, one per timestamp.

    Attributes:
        damage: Description of the part of the track that could not be decoded; None if no damage was seen.
    """

    def __init__(self, segments: Iterable[np.ndarray], *, damage: str | None = None):
        """Make a list of the segments, with the track's damage."""
        super().__init__(segments)
        self.damage = damage


def sample_audio(
    path: str | Path, timestamps: Sequence[float] | np.ndarray, *, rate: int = 48000, seconds: float
) -> Segments | None:
    """Return the sound centred on each timestamp.

    Args:
        path: The file.
        timestamps: (n,) seconds on the file's clock, as in `Frames.timestamps`.
        rate: Samples per second of the result: 16,000 for AST, 48,000 for CLAP.
        seconds: Length of a segment.

    Returns:
        n arrays (round(rate * seconds),) float32, mono in [-1, 1]; a track of floating-point samples may be louder. Samples
        are zero before the track's start, after its end, in its gaps, at NaN, and where it is damaged. None if the file
        has no audio track.

    Raises:
        FileNotFoundError: There is no such file.
        MediaError: `empty_file`, `not_media`, `truncated`; `decode` if there is a track but none of its samples could be
            decoded.
        ValueError: The rate or the length is not positive.
    """
    if rate < 1 or seconds <= 0:
        raise ValueError(f"rate and seconds must be positive, given {rate} and {seconds}")
    with open_media(path) as container:
        stream = audio_track(container, path)
        if stream is None:
            return None
        for other in container.streams:
            if other is not stream:
                other.discard = Discard.all  # its packets are then not read from the disk
        return cut_segments(path, read_packets(container, stream), timestamps, rate=rate, seconds=seconds)


def cut_segments(
    path: str | Path,
    packets: Iterable[av.Packet],
    timestamps: Sequence[float] | np.ndarray,
    *,
    rate: int,
    seconds: float,
) -> Segments | None:
    """Return the segments of `sample_audio` from packets that are already in memory.

    Args:
        path: The file, for errors.
        packets: All packets of its audio track, in decoding order.
        timestamps: As for `sample_audio`.
        rate: As for `sample_audio`.
        seconds: As for `sample_audio`.

    Returns:
        The segments; None if there are no packets.

    Raises:
        MediaError: `decode`: none of the track's samples could be decoded.
    """
    starts = np.asarray(timestamps, dtype=np.float64) - seconds / 2
    track = _decode(packets, _merged(starts - _MARGIN, starts + seconds + _MARGIN))
    if track.is_empty:
        return None
    if not track.has_sound:
        raise MediaError("decode", path, "there is an audio track, but not one sample of it could be decoded")
    length = round(rate * seconds)
    segments = Segments((np.zeros(length, dtype=np.float32) for _ in starts), damage=track.damage)
    for run in track.runs:
        sound, position = run.resampled(rate)  # the run's samples, and their position in its stretch, at `rate`
        for segment, start in zip(segments, starts):
            offset = round((run.origin - start) * rate) + position  # position of the run's first sample in the segment
            first, last = max(0, offset), min(length, offset + len(sound))
            if first < last:
                segment[first:last] = sound[first - offset : last - offset]
    return segments


class _Run:
    """Consecutive samples, mixed down to one channel.

    A stretch is a part of the track without gaps. A run is the part of a stretch that is needed.

    Attributes:
        origin: Seconds at which the stretch starts.
        skipped: Number of the stretch's samples before this run.
        samples: Number of samples appended so far.
    """

    def __init__(self, origin: float, skipped: int, first: av.AudioFrame):
        """Prepare a run for the format of its first frame, which is not appended yet."""
        self.origin, self.skipped, self.samples = origin, skipped, 0
        self._rate, self._layout, self._kind = first.sample_rate, first.layout.name, first.format.name
        # With eight planes or more PyAV reads past the last plane and crashes. For some formats it has no array type.
        count = first.layout.nb_channels
        unsupported = (first.format.is_planar and count >= 8) or self._kind not in format_dtypes
        self._resampler = av.AudioResampler(format="flt") if unsupported else None
        self._planar = first.format.is_planar and not unsupported
        self._dtype = np.dtype("f4" if unsupported else format_dtypes[self._kind])
        self._weights = _weights(first.layout)
        full_scale = 2.0 ** (8 * self._dtype.itemsize - 1) if self._dtype.kind in "iu" else 1.0
        self._scale = np.float32(1 / (sum(self._weights) * full_scale))
        self._parts: list[np.ndarray] = []

    def is_continued_by(self, origin: float, position: int, frame: av.AudioFrame) -> bool:
        """Return whether a frame continues this run; it is at `position` in the stretch that starts at `origin`."""
        return (
            position == self.skipped + self.samples
            and origin == self.origin
            and frame.sample_rate == self._rate
            and frame.layout.name == self._layout
            and frame.format.name == self._kind
        )

    def append(self, frame: av.AudioFrame) -> None:
        """Append a frame, mixed down.

        Mixing at once is fast, because the samples are still in the cache, and lets the decoder reuse the frame's memory.
        """
        self.samples += frame.samples
        if self._resampler is not None:
            (frame,) = self._resampler.resample(frame)
        if self._planar:  # views of the decoder's memory cost a quarter of `to_ndarray`
            channels = [np.frombuffer(plane, self._dtype, frame.samples) for plane in frame.planes]
        else:
            count = len(self._weights)
            channels = np.frombuffer(frame.planes[0], self._dtype, frame.samples * count).reshape(-1, count).T
        mixed = np.zeros(frame.samples, dtype=np.float32)
        for weight, channel in zip(self._weights, channels):
            if weight == 1:
                mixed += channel
            elif weight:
                mixed += np.float32(weight) * channel
        self._parts.append(mixed)

    def resampled(self, rate: int) -> tuple[np.ndarray, int]:
        """Return the samples at another rate, and the first one's position in the whole stretch at that rate."""
        sound = np.concatenate(self._parts)
        if self._dtype == np.uint8:
            sound -= 128 * sum(self._weights)
        sound *= self._scale
        if self._dtype.kind == "f" and (invalid := ~np.isfinite(sound)).any():
            sound[invalid] = 0  # the resampling filter would spread it over some hundred samples
        if rate == self._rate:
            return sound, self.skipped
        # Start at a sample where both rates coincide. The result then equals that part of the whole stretch resampled.
        period = self._rate // math.gcd(rate, self._rate)
        shift = -self.skipped % period
        if shift >= _MARGIN * self._rate:  # these rates coincide too rarely; an error of half a sample is acceptable
            shift = 0
        return soxr.resample(sound[shift:], self._rate, rate), round((self.skipped + shift) * rate / self._rate)


@dataclass
class _Decoded:
    """The part of a track's sound that lies in the requested windows.

    Attributes:
        runs: Runs in the order of the track.
        is_empty: Whether the track has no packet.
        has_sound: Whether any sample could be decoded, inside or outside the windows.
        damage: Description of the part that could not be decoded; None if there is none.
    """

    runs: list[_Run] = field(default_factory=list)
    is_empty: bool = True
    has_sound: bool = False
    damage: str | None = None


def _decode(packets: Iterable[av.Packet], windows: list[tuple[float, float]]) -> _Decoded:
    """Decode all packets and keep the samples that lie in a window.

    All packets are decoded, so that the samples equal those of a sequential decode. A packet that the decoder refuses leaves
    a gap of the length of its sound.
    """
    track = _Decoded()
    origin, rate, position = 0.0, 1, 0  # of the current stretch: start in seconds, sample rate, samples so far
    tolerance = -1.0  # the first frame always begins a stretch
    total, refused = 0, 0
    try:
        for packet in packets:
            if track.is_empty:
                track.is_empty, tick = not packet.size, float(packet.time_base)
            total += packet.size > 0
            try:
                frames = packet.decode()
            except av.FFmpegError as error:
                if not refused:
                    at = origin + position / rate if packet.pts is None else packet.pts * tick
                    reason = f"the first at {at:.2f} s: {error.strerror}"
                refused += 1
                position += round((packet.duration or 0) * tick * rate)
                tolerance = min(tolerance, _TOLERANCE_AFTER_LOSS)
                continue
            for frame in frames:
                begin = origin + position / rate
                time = begin if frame.pts is None else frame.pts * tick
                if abs(time - begin) > tolerance or frame.sample_rate != rate:
                    origin, rate, position = time, frame.sample_rate, 0
                tolerance, track.has_sound = _TOLERANCE, True
                begin = origin + position / rate
                end = begin + frame.samples / rate
                if any(first < end and last > begin for first, last in windows):
                    if not track.runs or not track.runs[-1].is_continued_by(origin, position, frame):
                        track.runs.append(_Run(origin, position, frame))
                    track.runs[-1].append(frame)
                position += frame.samples
    except av.FFmpegError as error:  # the container is damaged: keep the part before, the rest is silence
        track.damage = f"the file can't be read beyond {origin + position / rate:.2f} s: {error.strerror}"
    if refused:
        track.damage = f"{refused} of {total} packets of sound can't be decoded, {reason}"
    return track


def _merged(starts: np.ndarray, ends: np.ndarray) -> list[tuple[float, float]]:
    """Return the union of intervals as separate intervals, ascending."""
    merged: list[tuple[float, float]] = []
    for start, end in sorted(zip(starts.tolist(), ends.tolist())):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def _weights(layout: AudioLayout) -> list[float]:
    """Return the weight of each channel in the mono sum."""
    weights = [_WEIGHTS.get(channel.name, _SURROUND) for channel in layout.channels]
    if len(weights) != layout.nb_channels or not any(weights):  # channels without names, or bass alone: equal weights
        return [1.0] * layout.nb_channels
    return weights
