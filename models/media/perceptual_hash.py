"""Perceptual hash of pictures, to find near-duplicates despite re-encoding and scaling."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image


def perceptual_hash(images: Sequence[np.ndarray]) -> np.ndarray:
    """Return the difference hash of each picture.

    Each bit says whether a cell of a 9 x 8 grid is brighter than its left neighbour.

    Args:
        images: n arrays (h, w, 3) uint8.

    Returns:
        (n,) uint64. Bit 63 is the upper left comparison, rows first. The distance of two hashes is their number of different
        bits, `np.bitwise_count(a ^ b)`: 0 for the same picture, about 32 of 64 for unrelated pictures.

    Example:
        >>> ramp = np.tile(np.arange(90, dtype=np.uint8)[None, :, None], (80, 1, 3))
        >>> brighter, darker = perceptual_hash([ramp, ramp[:, ::-1]])
        >>> int(np.bitwise_count(brighter ^ darker))
        64
    """
    bits = np.empty((len(images), 64), dtype=np.uint8)
    for row, image in zip(bits, images):
        grid = np.asarray(Image.fromarray(image).convert("L").resize((9, 8), Image.Resampling.BOX), dtype=np.int16)
        row[:] = (grid[:, 1:] > grid[:, :-1]).reshape(-1)
    return np.packbits(bits, axis=1).view(">u8").astype(np.uint64).reshape(-1)
