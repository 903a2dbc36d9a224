"""Sound around given moments: one mono segment a timestamp, resampled."""

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

_TOLERANCE = 0.05  # seconds that a packet's clock may differ from the samples before it: containers round to 1 ms or so
_TOLERANCE_AFTER_LOSS = 0.002  # after a packet that was lost, whose length is known but for the container's rounding
_MARGIN = 0.05  # seconds kept around a segment, so that the resampling filter sees real samples at its ends
# What a channel weighs in the mono sum, relative to front left and right: Rec. ITU-R BS.775 down-mix to stereo, then
# the mean of both. The bass channel is left out, as there; channels not named here lie beside or behind the listener.
_WEIGHTS = {"FL": 1.0, "FR": 1.0, "FC": 2**0.5, "LFE": 0.0, "LFE2": 0.0}
_SURROUND = 0.5**0.5


class Segments(list[np.ndarray]):
    """Segments of sound, one for each timestamp.

    Attributes:
        damage: What of the track couldn't be decoded, in words; None for a track that is whole, as far as was seen.
    """

    def __init__(self, segments: Iterable[np.ndarray], *, damage: str | None = None):
        super().__init__(segments)
        self.damage = damage


def sample_audio(
    path: str | Path, timestamps: Sequence[float] | np.ndarray, *, rate: int = 48000, seconds: float
) -> Segments | None:
    """Return the sound centred on each timestamp.

    Args:
        path: The file.
        timestamps: (n,) seconds on the file's clock, as `Frames.timestamps`.
        rate: Samples a second of the result: 16,000 for AST, 48,000 for CLAP.
        seconds: Length of a segment.

    Returns:
        n arrays (round(rate * seconds),) float32, mono in [-1, 1] (a track of floating-point samples may be louder), zero
        where the track has no sound (before its start, after its end, in its gaps), holds NaN, or is damaged; None if the
        file has no audio track.

    Raises:
        FileNotFoundError: No such file.
        MediaError: `empty_file`, `not_media`, `truncated`; `decode` where there is a track and not one sample of it
            could be decoded.
        ValueError: A rate or length that isn't positive.
    """
    if rate < 1 or seconds <= 0:
        raise ValueError(f"rate and seconds must be positive, not {rate} and {seconds}")
    with open_media(path) as container:
        stream = audio_track(container, path)
        if stream is None:
            return None
        for other in container.streams:
            if other is not stream:
                other.discard = Discard.all  # so that its packets aren't read from the disk
        return cut_segments(path, read_packets(container, stream), timestamps, rate=rate, seconds=seconds)


def cut_segments(
    path: str | Path,
    packets: Iterable[av.Packet],
    timestamps: Sequence[float] | np.ndarray,
    *,
    rate: int,
    seconds: float,
) -> Segments | None:
    """Return what `sample_audio` does, from packets that were read already; None if there is not one packet."""
    starts = np.asarray(timestamps, dtype=np.float64) - seconds / 2
    track = _decode(packets, _merged(starts - _MARGIN, starts + seconds + _MARGIN))
    if track.is_empty:
        return None
    if not track.has_sound:
        raise MediaError("decode", path, "there is an audio track, but not one sample of it could be decoded")
    length = round(rate * seconds)
    segments = Segments((np.zeros(length, dtype=np.float32) for _ in starts), damage=track.damage)
    for run in track.runs:
        sound, position = run.resampled(rate)  # the run's samples and their place in its stretch, at `rate`
        for segment, start in zip(segments, starts):
            offset = round((run.origin - start) * rate) + position  # of the run's first sample within the segment
            first, last = max(0, offset), min(length, offset + len(sound))
            if first < last:
                segment[first:last] = sound[first - offset : last - offset]
    return segments


class _Run:
    """Samples without a gap between them: a part of a stretch of the track that has none, mixed down to one channel.

    Attributes:
        origin: Seconds at which the stretch starts; `skipped`: its samples before this part.
        samples: So far.
    """

    def __init__(self, origin: float, skipped: int, first: av.AudioFrame):
        """The run that begins with a frame, which is still to be appended."""
        self.origin, self.skipped, self.samples = origin, skipped, 0
        self._rate, self._layout, self._kind = first.sample_rate, first.layout.name, first.format.name
        # Of eight planes or more PyAV reads past the last one, and crashes; some formats it has no array for.
        count = first.layout.nb_channels
        odd = (first.format.is_planar and count >= 8) or self._kind not in format_dtypes
        self._resampler = av.AudioResampler(format="flt") if odd else None
        self._planar = first.format.is_planar and not odd
        self._dtype = np.dtype("f4" if odd else format_dtypes[self._kind])
        self._weights = _weights(first.layout)
        full = 2.0 ** (8 * self._dtype.itemsize - 1) if self._dtype.kind in "iu" else 1.0
        self._scale = np.float32(1 / (sum(self._weights) * full))
        self._parts: list[np.ndarray] = []

    def goes_on_with(self, origin: float, position: int, frame: av.AudioFrame) -> bool:
        """Whether a frame, `position` samples into the stretch that starts at `origin`, is the next of this run."""
        return (
            position == self.skipped + self.samples
            and origin == self.origin
            and frame.sample_rate == self._rate
            and frame.layout.name == self._layout
            and frame.format.name == self._kind
        )

    def append(self, frame: av.AudioFrame) -> None:
        """Mix a frame's channels, at once: its memory is warm, and then goes back to the decoder."""
        self.samples += frame.samples
        if self._resampler is not None:
            (frame,) = self._resampler.resample(frame)
        if self._planar:  # views of the decoder's memory: a quarter of what `to_ndarray` costs
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
        """The samples at another rate, and the place of the first of them in the whole stretch at that rate."""
        sound = np.concatenate(self._parts)
        if self._dtype == np.uint8:
            sound -= 128 * sum(self._weights)
        sound *= self._scale
        if self._dtype.kind == "f" and (wrong := ~np.isfinite(sound)).any():
            sound[wrong] = 0  # a filter would spread it over some hundred samples
        if rate == self._rate:
            return sound, self.skipped
        # Start where samples of both rates coincide: then these are the samples of the whole stretch resampled.
        period = self._rate // math.gcd(rate, self._rate)
        late = -self.skipped % period
        if late >= _MARGIN * self._rate:  # odd rates coincide too rarely: half a sample early or late is no harm
            late = 0
        return soxr.resample(sound[late:], self._rate, rate), round((self.skipped + late) * rate / self._rate)


@dataclass
class _Decoded:
    """The sound of a track that lies in one of the windows.

    Attributes:
        runs: In the order of the track.
        is_empty: Whether the track has no packet.
        has_sound: Whether a sample could be decoded, in a window or not.
        damage: What couldn't be decoded, in words; None if nothing.
    """

    runs: list[_Run] = field(default_factory=list)
    is_empty: bool = True
    has_sound: bool = False
    damage: str | None = None


def _decode(packets: Iterable[av.Packet], windows: list[tuple[float, float]]) -> _Decoded:
    """Decode all packets, so that the samples are those of a sequential decode, and keep what lies in a window.

    A packet that the decoder refuses leaves a gap as long as its sound.
    """
    found = _Decoded()
    origin, rate, position = 0.0, 1, 0  # the stretch at hand: its start, its rate, its samples so far
    tolerance = -1.0  # the first frame begins a stretch in any case
    total, refused = 0, 0
    try:
        for packet in packets:
            if found.is_empty:
                found.is_empty, tick = not packet.size, float(packet.time_base)
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
                tolerance, found.has_sound = _TOLERANCE, True
                begin = origin + position / rate
                end = begin + frame.samples / rate
                if any(first < end and last > begin for first, last in windows):
                    if not found.runs or not found.runs[-1].goes_on_with(origin, position, frame):
                        found.runs.append(_Run(origin, position, frame))
                    found.runs[-1].append(frame)
                position += frame.samples
    except av.FFmpegError as error:  # the container is damaged: what was read before stands, the rest is silence
        found.damage = f"the file can't be read beyond {origin + position / rate:.2f} s: {error.strerror}"
    if refused:
        found.damage = f"{refused} of {total} packets of sound can't be decoded, {reason}"
    return found


def _merged(starts: np.ndarray, ends: np.ndarray) -> list[tuple[float, float]]:
    """The union of intervals as intervals that don't touch, ascending."""
    merged: list[tuple[float, float]] = []
    for start, end in sorted(zip(starts.tolist(), ends.tolist())):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def _weights(layout: AudioLayout) -> list[float]:
    """What each channel weighs in the sum."""
    weights = [_WEIGHTS.get(channel.name, _SURROUND) for channel in layout.channels]
    if len(weights) != layout.nb_channels or not any(weights):  # a layout without names, or bass alone: equal shares
        return [1.0] * layout.nb_channels
    return weights
