"""The descriptions of a vocabulary that are nearest to a sound, by cosine."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from models.encoders.roles import Description


def nearest(
    sounds: np.ndarray, vocabulary: np.ndarray, descriptions: Sequence[str], *, top: int
) -> list[list[Description]]:
    """Return the nearest descriptions of each sound with their cosines, nearest first.

    Args:
        sounds: (n, d) vectors of unit length.
        vocabulary: (m, d) vectors of unit length, one per description.
        descriptions: The m descriptions.
        top: Number of descriptions per sound.

    Example:
        >>> nearest(np.eye(2)[:1], np.eye(2), ["rain", "wind"], top=1)
        [[('rain', 1.0)]]
    """
    cosines = sounds @ vocabulary.T  # (n, descriptions)
    best = np.argsort(-cosines, axis=1, kind="stable")[:, :top]
    return [[(descriptions[column], float(row[column])) for column in columns] for row, columns in zip(cosines, best)]
