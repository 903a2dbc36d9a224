"""Turned and mirrored videos come out upright, as a player shows them."""

import struct

import numpy as np
import pytest

from models.media import probe, sample, sample_frames

# The (a, b, c, d) of the display matrix, by what it does to the stored picture, and the picture to store so that an
# upright one is shown.
TURNS = {
    "as it is": ((1, 0, 0, 1), 0, lambda image: image),
    "clockwise": ((0, 1, -1, 0), 90, lambda image: np.rot90(image, 1)),
    "half": ((-1, 0, 0, -1), 180, lambda image: np.rot90(image, 2)),
    "anticlockwise": ((0, -1, 1, 0), 270, lambda image: np.rot90(image, -1)),
    "mirrored": ((-1, 0, 0, 1), 0, lambda image: image[:, ::-1]),
    "upside down": ((1, 0, 0, -1), 0, lambda image: image[::-1]),
    "transposed": ((0, 1, 1, 0), 90, lambda image: image.swapaxes(0, 1)),
}


def with_matrix(path, matrix):
    """Write a matrix into the track header of an mp4 (tkhd box, version 0: it ends with the matrix, width, height)."""
    data = bytearray(path.read_bytes())
    box = data.index(b"tkhd")
    a, b, c, d = (value * 65536 for value in matrix)
    data[box + 44 : box + 80] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("turn", TURNS)
def test_pictures_are_upright(clip, number_of, paint, turn):
    matrix, degrees, stored = TURNS[turn]
    height, width = stored(paint(0)).shape[:2]
    path = with_matrix(clip(width=width, height=height, transform=stored), matrix)
    frames = sample_frames(path)
    for image, index in zip(frames.images, frames.indices):
        assert image.shape == (64, 80, 3) and image.flags.c_contiguous
        assert number_of(image) == index
    info = probe(path)
    assert (info.width, info.height, info.rotation) == (80, 64, degrees)
    assert sample(path, seconds=1).info == info
    assert frames.rotation == degrees


def test_scaling_goes_by_the_longest_side_of_a_turned_picture(clip, number_of):
    path = with_matrix(clip(width=64, height=80, transform=lambda image: np.rot90(image, 1)), (0, 1, -1, 0))
    frames = sample_frames(path, max_side=40)
    assert frames.images[0].shape == (32, 40, 3)
    assert [number_of(image) for image in frames.images] == frames.indices.tolist()
