"""Mel spectrograms of the sound of some videos."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import dagster as dg
import numpy as np

from assets.engine.media_tasks import decode_segment
from assets.engine.plots import picture

MOST_VIDEOS = 4
WINDOW = 512  # samples
FLOOR_DB = -80.0


def spectrograms(segments: Mapping[str, tuple[Sequence[bytes], int]]) -> dict[str, dg.MetadataValue]:
    """Return one mel spectrogram per video as metadata; nothing without sound.

    Args:
        segments: Item -> its segments as the stage `audio` stores them, and their samples per second. The segments are
            drawn one after the other.
    """
    from matplotlib.figure import Figure

    from models.encoders.handcrafted.acoustic import HIGHEST, LOWEST

    if not segments:
        return {}
    figure = Figure(figsize=(5.2, 1.5 * len(segments)), layout="constrained")
    for axes, (item, (stored, rate)) in zip(
        figure.subplots(len(segments), 1, squeeze=False)[:, 0], segments.items(), strict=True
    ):
        wave = np.concatenate([decode_segment(segment) for segment in stored])
        seconds = len(wave) / rate
        axes.imshow(
            mel_decibels(wave, rate),
            origin="lower",
            aspect="auto",
            extent=(0, seconds, 0, 1),
            vmin=FLOOR_DB,
            vmax=0,
        )
        for border in range(1, len(stored)):
            axes.axvline(border * seconds / len(stored), color="white", linewidth=0.5)
        axes.set_title(f"video {item}", fontsize=9, loc="left")
        axes.set_yticks([0, 1], [f"{LOWEST:.0f} Hz", f"{HIGHEST / 1000:.1f} kHz"])
    axes.set_xlabel("seconds of kept sound, one segment per frame")
    return {"mel_spectrogram": picture(figure)}


def mel_decibels(wave: np.ndarray, rate: int) -> np.ndarray:
    """Return the mel spectrogram of a wave (samples,) in dB, (bands, windows).

    Example:
        >>> tone = np.sin(2 * np.pi * 1000 * np.arange(8000) / 16000)
        >>> mel_decibels(tone, 16000).shape
        (40, 30)
    """
    from models.encoders.handcrafted.acoustic import mel_filters

    shape = np.hanning(WINDOW)
    padded = np.pad(wave, (0, max(WINDOW - len(wave), 0)))
    framed = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[:: WINDOW // 2] * shape
    power = np.abs(np.fft.rfft(framed) / shape.sum()) ** 2
    return 10 * np.log10(np.maximum(power @ mel_filters(rate, WINDOW), 10 ** (FLOOR_DB / 10))).T
