"""Descriptions of sound made of what was measured, in a small fixed vocabulary."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from models.encoders.handcrafted.acoustic import HandcraftedAcousticEncoder, SoundMeasurements, measure_sound
from models.encoders.roles import Description

_LEAST = 0.1  # fit below which a word is not used


class HandcraftedSoundDescriber:
    """The descriptions that fit a segment best, e.g. loud, bass-heavy, rhythmic sound; see `roles.AudioCaptioner`."""

    rate = HandcraftedAcousticEncoder.rate
    seconds = HandcraftedAcousticEncoder.seconds

    def __init__(self, *, top: int = 4):
        if top < 1:
            raise ValueError(f"top must be at least 1 description, not {top}")
        self.top = top
        self.identity: dict[str, Any] = {
            "name": "handcrafted-sounds",
            "backend": "scipy",
            "checkpoint": None,
            "revision": None,
            "options": {"top": top},
            "code": 1,
        }

    def describe(self, segments: Sequence[np.ndarray], rate: int) -> list[list[Description]]:
        if not len(segments):
            return []
        found = measure_sound(segments, rate)
        fits = _fits(found)
        names = list(fits)
        table = np.stack([fits[name] for name in names], axis=1)  # (n, descriptions)
        best = np.argsort(-table, axis=1, kind="stable")[:, : self.top]
        return [
            [("silence", 1.0)] if silent else _named(names, row, columns)
            for silent, row, columns in zip(found.silent, table, best)
        ]

    def prepare(self, segments: Sequence[np.ndarray], rate: int) -> list[list[Description]]:
        """All of the work: there is no model that it could be ahead of."""
        return self.describe(segments, rate)

    def from_prepared(self, videos: Sequence[list[list[Description]]]) -> list[list[list[Description]]]:
        return list(videos)


def _named(names: list[str], row: np.ndarray, columns: np.ndarray) -> list[Description]:
    fitting = [(f"{names[column]} sound", float(row[column])) for column in columns if row[column] >= _LEAST]
    return fitting or [("ordinary sound", 1.0)]


def _fits(found: SoundMeasurements) -> dict[str, np.ndarray]:
    """How well each word fits, in [0, 1]: a ramp between a value at which it doesn't and one at which it does."""
    return {
        "loud": _ramp(found.loudness, -25, -10),
        "quiet": _ramp(found.loudness, -25, -45),
        "bass-heavy": _ramp(found.bass, 0.3, 0.8),
        "bright": _ramp(found.centroid, 1500, 3500),
        "dull": _ramp(found.centroid, 800, 200),
        "tonal": _ramp(found.flatness, 0.05, 0.001),
        "noisy": _ramp(found.flatness, 0.1, 0.5),
        "rhythmic": _ramp(found.rhythm, 0.25, 0.7) * _ramp(found.flux, 0.003, 0.02),
        "fast rhythmic": _ramp(found.rhythm, 0.3, 0.8) * _ramp(found.tempo, 2.5, 4) * _ramp(found.flux, 0.003, 0.02),
        "steady": _ramp(found.loudness_std, 4, 1),
        "changing": _ramp(found.loudness_std, 4, 12),
        "hissing": _ramp(found.treble, 0.1, 0.5),
    }


def _ramp(values: np.ndarray, none: float, full: float) -> np.ndarray:
    return np.clip((values - none) / (full - none), 0, 1)
