"""A short fingerprint of a picture that survives re-encoding and scaling, to find near-duplicates."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image


def perceptual_hash(images: Sequence[np.ndarray]) -> np.ndarray:
    """Difference hash of each picture: is a cell of a 9 x 8 grid brighter than its left neighbour?

    Args:
        images: n arrays (h, w, 3) uint8.

    Returns:
        (n,) uint64. Bit 63 is the upper left comparison, rows first. Two hashes compare by the number of bits that
        differ (`np.bitwise_count(a ^ b)`): 0 for the same picture, some 32 of 64 for unrelated ones.
    """
    bits = np.empty((len(images), 64), dtype=np.uint8)
    for row, image in zip(bits, images):
        grid = np.asarray(Image.fromarray(image).convert("L").resize((9, 8), Image.Resampling.BOX), dtype=np.int16)
        row[:] = (grid[:, 1:] > grid[:, :-1]).reshape(-1)
    return np.packbits(bits, axis=1).view(">u8").astype(np.uint64).reshape(-1)
