"""Conversion of segments of sound to a model's rate and largest length."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import soxr

from models.encoders.errors import EncoderError


def fitted(segments: Sequence[np.ndarray], rate: int, *, to_rate: int, longest: int) -> list[np.ndarray]:
    """Resample segments and keep the middle of longer ones, so that no processor crops at random.

    Args:
        segments: Segments (samples,).
        rate: Their samples per second.
        to_rate: Samples per second of the result.
        longest: Largest number of samples of a result.

    Raises:
        EncoderError: A segment is empty, not one-dimensional or not finite, or `rate` is not positive.
    """
    if rate < 1:
        raise EncoderError(f"rate must be positive, not {rate}")
    return [_fitted(index, segment, rate, to_rate, longest) for index, segment in enumerate(segments)]


def _fitted(index: int, segment: np.ndarray, rate: int, to_rate: int, longest: int) -> np.ndarray:
    if segment.ndim != 1 or not len(segment):
        raise EncoderError(f"segment {index} has shape {segment.shape}; (samples,) with at least one sample is needed")
    if not np.isfinite(segment).all():
        raise EncoderError(f"segment {index} holds samples that are not finite")
    sound = segment.astype(np.float32, copy=False)
    if rate != to_rate:
        sound = soxr.resample(sound, rate, to_rate)
        if not len(sound):
            raise EncoderError(f"segment {index} has {len(segment)} samples at {rate} Hz, not one at {to_rate} Hz")
    first = max(0, (len(sound) - longest) // 2)
    return sound[first : first + longest]
