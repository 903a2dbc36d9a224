"""The descriptions of a vocabulary that are nearest to a sound, by cosine."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from models.encoders.roles import Description


def nearest(
    sounds: np.ndarray, vocabulary: np.ndarray, descriptions: Sequence[str], *, top: int
) -> list[list[Description]]:
    """(n, d) and (descriptions, d), both of unit length -> the `top` best of each sound with their cosines, best first."""
    cosines = sounds @ vocabulary.T  # (n, descriptions)
    best = np.argsort(-cosines, axis=1, kind="stable")[:, :top]
    return [[(descriptions[column], float(row[column])) for column in columns] for row, columns in zip(cosines, best)]
