"""Descriptions of sound from acoustic features, in a small fixed vocabulary."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from models.encoders.handcrafted.acoustic import HandcraftedAcousticEncoder, SoundMeasurements, measure_sound
from models.encoders.roles import Description

_LEAST = 0.1  # words with a lower score are not used


class HandcraftedSoundDescriber:
    """A describer of sound by its acoustic features; see `roles.AudioCaptioner`.

    Example:
        >>> HandcraftedSoundDescriber().describe([np.zeros(16000, dtype=np.float32)], 16000)
        [[('silence', 1.0)]]
    """

    rate = HandcraftedAcousticEncoder.rate
    seconds = HandcraftedAcousticEncoder.seconds

    def __init__(self, *, top: int = 4):
        """Create a describer that returns at most `top` descriptions per segment.

        Raises:
            ValueError: `top` is below 1.
        """
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
        """Return the best descriptions of each segment (samples,) at `rate` samples per second, best first."""
        if not len(segments):
            return []
        sound = measure_sound(segments, rate)
        scores = _scores(sound)
        names = list(scores)
        table = np.stack([scores[name] for name in names], axis=1)  # (n, descriptions)
        best = np.argsort(-table, axis=1, kind="stable")[:, : self.top]
        return [
            [("silence", 1.0)] if silent else _best_descriptions(names, row, columns)
            for silent, row, columns in zip(sound.silent, table, best)
        ]

    def prepare(self, segments: Sequence[np.ndarray], rate: int) -> list[list[Description]]:
        """Return the result of `describe`: there is no model, so the whole work is preparation."""
        return self.describe(segments, rate)

    def from_prepared(self, videos: Sequence[list[list[Description]]]) -> list[list[list[Description]]]:
        """Return the descriptions of each video, which `prepare` has already computed."""
        return list(videos)


def _best_descriptions(names: list[str], row: np.ndarray, columns: np.ndarray) -> list[Description]:
    descriptions = [(f"{names[column]} sound", float(row[column])) for column in columns if row[column] >= _LEAST]
    return descriptions or [("ordinary sound", 1.0)]


def _scores(sound: SoundMeasurements) -> dict[str, np.ndarray]:
    """Return the score of each word in [0, 1]: linear between a value with score 0 and a value with score 1."""
    return {
        "loud": _ramp(sound.loudness, -25, -10),
        "quiet": _ramp(sound.loudness, -25, -45),
        "bass-heavy": _ramp(sound.bass, 0.3, 0.8),
        "bright": _ramp(sound.centroid, 1500, 3500),
        "dull": _ramp(sound.centroid, 800, 200),
        "tonal": _ramp(sound.flatness, 0.05, 0.001),
        "noisy": _ramp(sound.flatness, 0.1, 0.5),
        "rhythmic": _ramp(sound.rhythm, 0.25, 0.7) * _ramp(sound.flux, 0.003, 0.02),
        "fast rhythmic": _ramp(sound.rhythm, 0.3, 0.8) * _ramp(sound.tempo, 2.5, 4) * _ramp(sound.flux, 0.003, 0.02),
        "steady": _ramp(sound.loudness_std, 4, 1),
        "changing": _ramp(sound.loudness_std, 4, 12),
        "hissing": _ramp(sound.treble, 0.1, 0.5),
    }


def _ramp(values: np.ndarray, none: float, full: float) -> np.ndarray:
    return np.clip((values - none) / (full - none), 0, 1)
