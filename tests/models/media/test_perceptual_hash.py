"""Hashes of the same picture are near, of others far."""

import numpy as np
from PIL import Image

from models.media import perceptual_hash

RNG = np.random.default_rng(0)


def scene(height: int = 120, width: int = 160) -> np.ndarray:
    """A random smooth picture."""
    coarse = Image.fromarray(RNG.integers(0, 256, (6, 8, 3), dtype=np.uint8))
    return np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC))


def distance(a: np.uint64, b: np.uint64) -> int:
    return int(np.bitwise_count(a ^ b))


def slow_hash(image: np.ndarray) -> int:
    """The definition, cell by cell."""
    grey = Image.fromarray(image).convert("L").resize((9, 8), Image.Resampling.BOX)
    value = 0
    for y in range(8):
        for x in range(8):
            value = 2 * value + (grey.getpixel((x + 1, y)) > grey.getpixel((x, y)))
    return value


def test_the_definition():
    images = [scene() for _ in range(5)]
    hashes = perceptual_hash(images)
    assert hashes.dtype == np.uint64 and hashes.tolist() == [slow_hash(image) for image in images]
    rising = np.tile(np.arange(0, 252, 28, dtype=np.uint8)[None, :, None], (8, 1, 3))
    assert perceptual_hash([rising, rising[:, ::-1], 0 * rising]).tolist() == [2**64 - 1, 0, 0]


def test_scaling_and_noise_change_few_bits_and_another_picture_many():
    for _ in range(20):
        image = scene()
        smaller = np.asarray(Image.fromarray(image).resize((90, 70)))
        noisy = np.clip(image + RNG.normal(0, 4, image.shape), 0, 255).astype(np.uint8)
        first, second, third, other = perceptual_hash([image, smaller, noisy, scene()])
        assert distance(first, second) <= 6 and distance(first, third) <= 6 and distance(first, other) >= 12


def test_no_pictures_give_no_hashes():
    assert perceptual_hash([]).shape == (0,)
