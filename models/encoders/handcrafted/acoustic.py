"""Acoustic features of a segment of sound: mel spectrum, loudness, brightness, noise and rhythm."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
import scipy.fft

from models.encoders.errors import EncoderError

BANDS = 40
LOWEST, HIGHEST = 50.0, 7600.0  # Hz; every rate from 16,000 samples per second up covers them, so rates are comparable
_WINDOW = 0.032  # seconds; the hop is half of it
_FLOOR = 1e-8  # power; 80 dB below full scale
_SILENCE = -55.0  # dB; quieter segments are silent
_FAINT = 0.002  # deviation of the flux (0.16 dB per window); periods of a fainter flux are chance
_BLOCK = 64  # segments per transform
_LARGEST = 1e12  # absolute value of a sample; the square of a larger one overflows float32


@dataclass(frozen=True)
class SoundMeasurements:
    """Acoustic features, one float32 row per segment.

    Attributes:
        mel_mean: (n, 40) mean over time of the log mel power, in units of 80 dB: 0 is silence, 1 full scale.
        mel_std: (n, 40) its standard deviation over time.
        loudness: (n,) root mean square in dB.
        loudness_std: (n,) its standard deviation over time, in dB.
        crossing: (n,) half the number of sign changes per second, in Hz.
        centroid: (n,) spectral centroid in Hz, the power-weighted mean over time.
        centroid_std: (n,) its power-weighted standard deviation over time, in Hz.
        rolloff: (n,) frequency in Hz below which 85 % of the power lies.
        bandwidth: (n,) standard deviation of the mean power spectrum, in Hz.
        flatness: (n,) geometric over arithmetic mean of the spectrum: 0 is a tone, 1 is noise.
        flux: (n,) mean rise of the mel spectrum from one window to the next, in units of 80 dB.
        flux_std: (n,) its standard deviation over time.
        rhythm: (n,) strength of the flux's strongest period between 0.5 and 8 Hz, in [0, 1].
        tempo: (n,) frequency of that period in Hz.
        bass: (n,) share of the power below 250 Hz.
        treble: (n,) share of the power above 4,000 Hz.
    """

    mel_mean: np.ndarray
    mel_std: np.ndarray
    loudness: np.ndarray
    loudness_std: np.ndarray
    crossing: np.ndarray
    centroid: np.ndarray
    centroid_std: np.ndarray
    rolloff: np.ndarray
    bandwidth: np.ndarray
    flatness: np.ndarray
    flux: np.ndarray
    flux_std: np.ndarray
    rhythm: np.ndarray
    tempo: np.ndarray
    bass: np.ndarray
    treble: np.ndarray

    @property
    def silent(self) -> np.ndarray:
        """Whether each segment is silent, (n,) bool."""
        return self.loudness < _SILENCE


def measure_sound(segments: Sequence[np.ndarray], rate: int) -> SoundMeasurements:
    """Compute the features of at least one segment. Successive segments of equal length are transformed together.

    Args:
        segments: n segments, each (samples,).
        rate: Their samples per second.

    Raises:
        EncoderError: A segment is shorter than one window (32 ms), or has samples that are not finite or above 1e12.
    """
    window = scipy.fft.next_fast_len(round(rate * _WINDOW), real=True)
    for index, segment in enumerate(segments):
        if segment.ndim != 1 or len(segment) < window:
            raise EncoderError(
                f"segment {index} has shape {segment.shape}; at {rate} Hz at least ({window},) samples are needed"
            )
    blocks = []
    for first, last in _equal_lengths([len(segment) for segment in segments]):
        waves = np.stack(segments[first:last]).astype(np.float32, copy=False)
        if not (np.abs(waves) < _LARGEST).all():  # also true for NaN
            raise EncoderError(
                f"segments {first} to {last - 1} hold samples that are not finite, or above {_LARGEST:g}"
            )
        blocks.append(_measure_block(waves, rate, window))
    return SoundMeasurements(**{name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]})


class HandcraftedAcousticEncoder:
    """An encoder of sound: mel spectrum and 14 statistics per segment; see `roles.AcousticEncoder`.

    Example:
        >>> encoder = HandcraftedAcousticEncoder()
        >>> encoder.encode([np.zeros(16000, dtype=np.float32)], 16000).shape
        (1, 94)
    """

    width = 2 * BANDS + 14
    rate = 16000
    seconds = 2.0
    identity: ClassVar[dict[str, Any]] = {
        "name": "handcrafted-acoustic",
        "backend": "scipy",
        "checkpoint": None,
        "revision": None,
        "options": {"bands": BANDS, "lowest": LOWEST, "highest": HIGHEST},
        "code": 1,
    }

    def encode(self, segments: Sequence[np.ndarray], rate: int) -> np.ndarray:
        """Return one vector per segment (samples,) at `rate` samples per second: (n, 94) float32."""
        if not len(segments):
            return np.zeros((0, self.width), dtype=np.float32)
        sound = measure_sound(segments, rate)
        columns = [
            1 + sound.loudness / 80,
            sound.loudness_std / 20,
            sound.crossing / 4000,
            sound.centroid / 4000,
            sound.centroid_std / 2000,
            sound.rolloff / 8000,
            sound.bandwidth / 4000,
            sound.flatness,
            4 * sound.flux,
            4 * sound.flux_std,
            sound.rhythm,
            sound.rhythm * sound.tempo / 8,
            sound.bass,
            sound.treble,
        ]
        return np.concatenate([sound.mel_mean, 2 * sound.mel_std, np.stack(columns, 1)], axis=1, dtype=np.float32)

    def prepare(self, segments: Sequence[np.ndarray], rate: int) -> np.ndarray:
        """Return the result of `encode`: there is no model, so the whole work is preparation."""
        return self.encode(segments, rate)

    def from_prepared(self, videos: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Return the vectors of each video, which `prepare` has already computed."""
        return list(videos)


def _equal_lengths(lengths: list[int]) -> list[tuple[int, int]]:
    """Return (first, last + 1) of each run of equal lengths; a run has at most `_BLOCK` members."""
    ranges, first = [], 0
    for index in range(1, len(lengths) + 1):
        if index == len(lengths) or lengths[index] != lengths[first] or index - first == _BLOCK:
            ranges.append((first, index))
            first = index
    return ranges


def _measure_block(waves: np.ndarray, rate: int, window: int) -> dict[str, np.ndarray]:
    """Return the fields of `SoundMeasurements` for waves of equal length, (n, samples) float32."""
    hop = window // 2
    # the periodic Hann window; scipy.signal, which has it, takes a second to load
    shape = (0.5 + 0.5 * np.cos(np.linspace(-np.pi, np.pi, window + 1)))[:-1].astype(np.float32)
    framed = np.lib.stride_tricks.sliding_window_view(waves, window, axis=1)[:, ::hop]  # (n, t, window)
    spectrum = scipy.fft.rfft(framed * shape, axis=-1)
    power = (spectrum.real**2 + spectrum.imag**2) / np.square(shape.sum() / 2)  # a full-scale sine has power 1
    filters, frequency = mel_filters(rate, window), np.fft.rfftfreq(window, 1 / rate).astype(np.float32)
    mel = np.log10(np.maximum(power @ filters, _FLOOR)) / 8 + 1  # (n, t, BANDS), 0 at -80 dB

    inside = (frequency >= LOWEST) & (frequency <= HIGHEST)
    power, frequency = power[..., inside], frequency[inside]
    total = power.sum(-1) + _FLOOR  # (n, t)
    centroid = power @ frequency / total
    mean_power = power.mean(1) + _FLOOR / len(frequency)  # (n, f)
    share = mean_power / mean_power.sum(1, keepdims=True)
    middle = share @ frequency
    decibel = 10 * np.log10(np.maximum(np.square(framed).mean(-1), _FLOOR))  # (n, t)
    rise = np.maximum(np.diff(mel, axis=1), 0).mean(-1)  # (n, t - 1)
    rhythm, tempo = _rhythm(rise, rate / hop)
    weight = total / total.sum(1, keepdims=True)
    mean_centroid = (weight * centroid).sum(1)
    fields = {
        "mel_mean": mel.mean(1),
        "mel_std": mel.std(1),
        "loudness": 10 * np.log10(np.maximum(np.square(waves).mean(1), _FLOOR)),
        "loudness_std": decibel.std(1),
        "crossing": rate / 2 * (np.signbit(waves[:, 1:]) != np.signbit(waves[:, :-1])).mean(1),
        "centroid": mean_centroid,
        "centroid_std": np.sqrt((weight * np.square(centroid - mean_centroid[:, None])).sum(1)),
        "rolloff": frequency[np.argmax(np.cumsum(share, 1) >= 0.85, axis=1)],
        "bandwidth": np.sqrt((share * np.square(frequency - middle[:, None])).sum(1)),
        "flatness": np.exp(np.log(mean_power).mean(1)) / mean_power.mean(1),
        "flux": rise.mean(1) if rise.shape[1] else np.zeros(len(waves)),
        "flux_std": rise.std(1) if rise.shape[1] else np.zeros(len(waves)),
        "rhythm": rhythm,
        "tempo": tempo,
        "bass": share[:, frequency < 250].sum(1),
        "treble": share[:, frequency > 4000].sum(1),
    }
    return {name: values.astype(np.float32) for name, values in fields.items()}


def _rhythm(rise: np.ndarray, windows_per_second: float) -> tuple[np.ndarray, np.ndarray]:
    """Return strength and frequency (Hz) of the strongest period of `rise` (n, t): the peak of its autocorrelation."""
    n, length = rise.shape
    shortest, longest = int(np.ceil(windows_per_second / 8)), int(windows_per_second / 0.5)
    longest = min(longest, length // 2)
    if longest <= shortest:
        return np.zeros(n), np.zeros(n)
    centred = rise - rise.mean(1, keepdims=True)
    power = np.abs(scipy.fft.rfft(centred, 2 * length, axis=1)) ** 2
    correlation = scipy.fft.irfft(power, axis=1)[:, : longest + 1]
    energy = np.maximum(correlation[:, 0], length * _FAINT**2)
    lag = shortest + np.argmax(correlation[:, shortest:], axis=1)
    strength = correlation[np.arange(n), lag] / energy
    return np.clip(strength, 0, 1), windows_per_second / lag


@lru_cache(maxsize=8)
def mel_filters(rate: int, window: int) -> np.ndarray:
    """Return triangular filters, (window // 2 + 1, BANDS), evenly spaced on the mel scale.

    The scale is O'Shaughnessy's, 2595 log10(1 + f / 700).
    """
    mel = np.linspace(2595 * np.log10(1 + LOWEST / 700), 2595 * np.log10(1 + HIGHEST / 700), BANDS + 2)
    edge = 700 * (10 ** (mel / 2595) - 1)
    frequency = np.fft.rfftfreq(window, 1 / rate)[:, None]
    rising = (frequency - edge[:-2]) / (edge[1:-1] - edge[:-2])
    falling = (edge[2:] - frequency) / (edge[2:] - edge[1:-1])
    return np.maximum(np.minimum(rising, falling), 0).astype(np.float32)
