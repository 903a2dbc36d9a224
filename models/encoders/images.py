"""The check of input images that all encoders of frames share."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from models.encoders.errors import EncoderError


def checked_images(images: Sequence[np.ndarray]) -> Sequence[np.ndarray]:
    """Return the images after checking their shape and type.

    Args:
        images: Images of (h, w, 3) uint8 with at least one pixel.

    Raises:
        EncoderError: An image has another shape or type.
    """
    for index, image in enumerate(images):
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
            raise EncoderError(f"image {index} is {image.shape} {image.dtype}; (h, w, 3) uint8 is needed")
    return images
