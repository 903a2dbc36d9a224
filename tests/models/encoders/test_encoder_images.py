"""All encoders of frames refuse images of a wrong shape or type."""

import numpy as np
import pytest

from models.encoders import EncoderError, load


@pytest.mark.parametrize("profile", ["handcrafted", "tiny"])
@pytest.mark.parametrize("role", ["visual", "captions"])
@pytest.mark.parametrize(
    "image",
    [
        np.zeros((8, 8), dtype=np.uint8),
        np.zeros((8, 8, 4), dtype=np.uint8),
        np.zeros((8, 8, 3), dtype=np.float32),
        np.zeros((0, 8, 3), dtype=np.uint8),
    ],
)
def test_wrong_images_are_refused(cache, profile, role, image):
    encoder = load(role, profile, **({"cache": cache} if profile == "tiny" else {}))
    use = encoder.encode if role == "visual" else encoder.caption
    with pytest.raises(EncoderError, match=r"image 1 is \(.*; \(h, w, 3\) uint8 is needed"):
        use([np.zeros((8, 8, 3), dtype=np.uint8), image])
