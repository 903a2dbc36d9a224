"""What can be measured of a segment of sound: its mel spectrum, loudness, brightness, noise and rhythm."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
import scipy.fft
import scipy.signal

from models.encoders.errors import EncoderError

BANDS = 40
LOWEST, HIGHEST = 50.0, 7600.0  # Hz; within what 16,000 samples a second can hold, so that rates are comparable
_WINDOW = 0.032  # seconds; the hop is half of it
_FLOOR = 1e-8  # power; -80 dB below full scale
_SILENCE = -55.0  # dB below which a segment is silent
_FAINT = 0.002  # deviation of the flux (0.16 dB a window) below which a period is chance
_BLOCK = 64  # segments that are transformed at once
_LARGEST = 1e12  # of a sample: squares of what is above leave float32


@dataclass(frozen=True)
class SoundMeasurements:
    """One row a segment, float32.

    Attributes:
        mel_mean, mel_std: (n, 40) of the log mel power over time, in units of 80 dB: 0 silent, 1 full scale.
        loudness, loudness_std: (n,) root mean square in dB, its deviation over time.
        crossing: (n,) Hz, half the number of sign changes a second.
        centroid, centroid_std, rolloff, bandwidth: (n,) Hz, power-weighted over time.
        flatness: (n,) geometric over arithmetic mean of the spectrum: 0 a tone, 1 noise.
        flux, flux_std: (n,) rise of the mel spectrum between windows, in units of 80 dB.
        rhythm, tempo: (n,) strength in [0, 1] and frequency in Hz of the strongest period of the flux, 0.5 to 8 Hz.
        bass, treble: (n,) share of the power below 250 Hz, above 4,000 Hz.
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
        """(n,) bool."""
        return self.loudness < _SILENCE


def measure_sound(segments: Sequence[np.ndarray], rate: int) -> SoundMeasurements:
    """Measure n >= 1 segments (samples,) at `rate` samples a second, all of one length at once.

    Raises:
        EncoderError: A segment shorter than one window, or with samples that aren't finite.
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
        if not (np.abs(waves) < _LARGEST).all():  # nor where it is NaN
            raise EncoderError(
                f"segments {first} to {last - 1} hold samples that are not finite, or above {_LARGEST:g}"
            )
        blocks.append(_measure_block(waves, rate, window))
    return SoundMeasurements(**{name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]})


class HandcraftedAcousticEncoder:
    """Mel spectrum and its statistics of each segment; see `roles.AcousticEncoder`."""

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
        if not len(segments):
            return np.zeros((0, self.width), dtype=np.float32)
        found = measure_sound(segments, rate)
        columns = [
            1 + found.loudness / 80,
            found.loudness_std / 20,
            found.crossing / 4000,
            found.centroid / 4000,
            found.centroid_std / 2000,
            found.rolloff / 8000,
            found.bandwidth / 4000,
            found.flatness,
            4 * found.flux,
            4 * found.flux_std,
            found.rhythm,
            found.rhythm * found.tempo / 8,
            found.bass,
            found.treble,
        ]
        return np.concatenate([found.mel_mean, 2 * found.mel_std, np.stack(columns, 1)], axis=1, dtype=np.float32)

    def prepare(self, segments: Sequence[np.ndarray], rate: int) -> np.ndarray:
        """All of the work: there is no model that it could be ahead of."""
        return self.encode(segments, rate)

    def from_prepared(self, videos: Sequence[np.ndarray]) -> list[np.ndarray]:
        return list(videos)


def _equal_lengths(lengths: list[int]) -> list[tuple[int, int]]:
    """Ranges of neighbours of one length, none longer than a block."""
    ranges, first = [], 0
    for index in range(1, len(lengths) + 1):
        if index == len(lengths) or lengths[index] != lengths[first] or index - first == _BLOCK:
            ranges.append((first, index))
            first = index
    return ranges


def _measure_block(waves: np.ndarray, rate: int, window: int) -> dict[str, np.ndarray]:
    """(n, samples) float32 -> the fields of SoundMeasurements."""
    hop = window // 2
    shape = scipy.signal.get_window("hann", window).astype(np.float32)
    framed = np.lib.stride_tricks.sliding_window_view(waves, window, axis=1)[:, ::hop]  # (n, t, window)
    spectrum = scipy.fft.rfft(framed * shape, axis=-1)
    power = (spectrum.real**2 + spectrum.imag**2) / np.square(shape.sum() / 2)  # a full-scale sine has power 1
    filters, frequency = _mel_filters(rate, window), np.fft.rfftfreq(window, 1 / rate).astype(np.float32)
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
    found = {
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
    return {name: values.astype(np.float32) for name, values in found.items()}


def _rhythm(rise: np.ndarray, windows_a_second: float) -> tuple[np.ndarray, np.ndarray]:
    """(n, t) rise of the spectrum -> (strength, Hz) of its strongest period, by the autocorrelation's peak."""
    n, length = rise.shape
    shortest, longest = int(np.ceil(windows_a_second / 8)), int(windows_a_second / 0.5)
    longest = min(longest, length // 2)
    if longest <= shortest:
        return np.zeros(n), np.zeros(n)
    centred = rise - rise.mean(1, keepdims=True)
    power = np.abs(scipy.fft.rfft(centred, 2 * length, axis=1)) ** 2
    correlation = scipy.fft.irfft(power, axis=1)[:, : longest + 1]
    energy = np.maximum(correlation[:, 0], length * _FAINT**2)
    lag = shortest + np.argmax(correlation[:, shortest:], axis=1)
    strength = correlation[np.arange(n), lag] / energy
    return np.clip(strength, 0, 1), windows_a_second / lag


@lru_cache(maxsize=8)
def _mel_filters(rate: int, window: int) -> np.ndarray:
    """(window // 2 + 1, BANDS) triangles, evenly spaced on the mel scale (O'Shaughnessy's 2595 log10(1 + f / 700))."""
    mel = np.linspace(2595 * np.log10(1 + LOWEST / 700), 2595 * np.log10(1 + HIGHEST / 700), BANDS + 2)
    edge = 700 * (10 ** (mel / 2595) - 1)
    frequency = np.fft.rfftfreq(window, 1 / rate)[:, None]
    rising = (frequency - edge[:-2]) / (edge[1:-1] - edge[:-2])
    falling = (edge[2:] - frequency) / (edge[2:] - edge[1:-1])
    return np.maximum(np.minimum(rising, falling), 0).astype(np.float32)
