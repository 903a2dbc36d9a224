"""Sound around given moments: one mono segment a timestamp, resampled."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import av
import numpy as np
import soxr

from models.media.container import audio_stream, open_media
from models.media.errors import MediaError

_TOLERANCE = 0.05  # seconds that a packet's clock may differ from the samples before it: containers round to 1 ms or so
_MARGIN = 0.05  # seconds kept around a segment, so that the resampling filter sees real samples at its ends

# What a channel weighs in the mono sum, relative to front left and right: Rec. ITU-R BS.775 down-mix to stereo, then
# the mean of both. The bass channel is left out, as there; channels not named here lie beside or behind the listener.
_WEIGHTS = {"FL": 1.0, "FR": 1.0, "FC": 2**0.5, "LFE": 0.0, "LFE2": 0.0}
_SURROUND = 0.5**0.5


def sample_audio(
    path: str | Path, timestamps: Sequence[float] | np.ndarray, *, rate: int = 48000, seconds: float
) -> list[np.ndarray] | None:
    """The sound centred on each timestamp.

    Args:
        timestamps: (n,) seconds on the file's clock, as `Frames.timestamps`.
        rate: Samples a second of the result: 16,000 for AST, 48,000 for CLAP.
        seconds: Length of a segment.

    Returns:
        n arrays (round(rate * seconds),) float32, mono in [-1, 1], zero where the track has no sound (before its start,
        after its end, in its gaps); None where the file has no audio track.

    Raises:
        FileNotFoundError: No such file.
        MediaError: `empty_file`, `not_media`, `truncated`; `decode` where there is a track and not one sample of it
            could be decoded. A track damaged further on gives silence from there.
        ValueError: A rate or length that isn't positive.
    """
    if rate < 1 or seconds <= 0:
        raise ValueError(f"rate and seconds must be positive, not {rate} and {seconds}")
    with open_media(path) as container:
        stream = audio_stream(container)
        if stream is None:
            return None
        return cut_segments(path, container.demux(stream), timestamps, rate=rate, seconds=seconds)


def cut_segments(
    path: str | Path,
    packets: Iterable[av.Packet],
    timestamps: Sequence[float] | np.ndarray,
    *,
    rate: int,
    seconds: float,
) -> list[np.ndarray] | None:
    """`sample_audio` of packets that were read already; None where there is not one packet."""
    starts = np.asarray(timestamps, dtype=np.float64) - seconds / 2
    runs, held = _decode(packets, starts - _MARGIN, starts + seconds + _MARGIN)
    if not held:
        return None
    if runs is None:
        raise MediaError("decode", path, "there is an audio track, but not one sample of it could be decoded")
    length = round(rate * seconds)
    segments = [np.zeros(length, dtype=np.float32) for _ in starts]
    for run in runs:
        sound = run.resampled(rate)
        for segment, start in zip(segments, starts):
            offset = round((run.start - start) * rate)  # of the run's first sample within the segment
            first, last = max(0, offset), min(length, offset + len(sound))
            if first < last:
                segment[first:last] = sound[first - offset : last - offset]
    return segments


@dataclass
class _Run:
    """Samples without a gap, mono, from `start` seconds on."""

    start: float
    rate: int
    parts: list[np.ndarray] = field(default_factory=list)
    samples: int = 0

    @property
    def end(self) -> float:
        return self.start + self.samples / self.rate

    def append(self, part: np.ndarray) -> None:
        self.parts.append(part)
        self.samples += len(part)

    def resampled(self, rate: int) -> np.ndarray:
        sound = np.concatenate(self.parts)
        return sound if rate == self.rate else soxr.resample(sound, self.rate, rate)


def _decode(packets: Iterable[av.Packet], begins: np.ndarray, ends: np.ndarray) -> tuple[list[_Run] | None, bool]:
    """Decode all packets, so that the samples are those of a sequential decode, and keep what lies in a window.

    Returns:
        (runs, held): None instead of the runs where nothing could be decoded; whether there was any packet.
    """
    runs: list[_Run] = []
    held = decoded = False
    clock: float | None = None
    try:
        for packet in packets:
            held = held or packet.size > 0
            for frame in packet.decode():
                decoded = True
                time = float(frame.pts * packet.time_base) if frame.pts is not None else None
                if clock is None or (time is not None and abs(time - clock) > _TOLERANCE):
                    clock = time if time is not None else 0.0
                end = clock + frame.samples / frame.sample_rate
                if np.any((begins < end) & (ends > clock)):
                    run = runs[-1] if runs else None
                    if run is None or run.rate != frame.sample_rate or abs(run.end - clock) > 0.5 / run.rate:
                        runs.append(_Run(clock, frame.sample_rate))
                    runs[-1].append(_mono(frame))
                clock = end
    except av.FFmpegError:
        pass  # what was decoded before the damage stands; the rest is silence
    return (runs if decoded else None), held


def _mono(frame: av.AudioFrame) -> np.ndarray:
    """(samples,) float32 in [-1, 1]: the weighted mean of a frame's channels."""
    samples = frame.to_ndarray()  # (channels, samples) planar, (1, samples * channels) packed
    channels = frame.layout.nb_channels
    if not frame.format.is_planar and channels > 1:
        samples = samples.reshape(-1, channels).T
    weights = np.array([_WEIGHTS.get(channel.name, _SURROUND) for channel in frame.layout.channels], dtype=np.float32)
    if len(weights) != channels or not weights.any():  # a layout without names, or bass alone: equal shares
        weights = np.ones(channels, dtype=np.float32)
    weights /= weights.sum()
    if samples.dtype == np.uint8:
        return weights @ (samples.astype(np.float32) - 128) / 128
    if samples.dtype.kind == "i":
        return weights @ samples.astype(np.float32) / -float(np.iinfo(samples.dtype).min)
    return weights @ samples.astype(np.float32, copy=False)
