"""Turning pictures upright: phones store the sensor's picture and a matrix for its display."""

from __future__ import annotations

import av
import numpy as np
from av.sidedata.sidedata import Type


def _unnamed(kind: type[Type], value: int) -> Type:
    member = object.__new__(kind)
    member._name_, member._value_ = f"UNNAMED_{value}", value
    return member


# PyAV reads all of a frame's side data at once, and raises an error for kinds without a name, such as EXIF.
Type._missing_ = classmethod(_unnamed)


def display_matrix(frame: av.VideoFrame) -> np.ndarray | None:
    """Return the linear part of a frame's display matrix, rounded to quarter turns and mirroring.

    The matrix comes from the container, from the EXIF data of the picture, or from a message in the stream. FFmpeg stores it
    as nine int32 in 16.16 fixed point, row by row: `(x', y') = (x, y) [[a, b], [c, d]]`, with y pointing down.

    Args:
        frame: The decoded frame.

    Returns:
        (2, 2) int; angles are rounded to a multiple of 90 degrees. None if the frame has no matrix or a singular one.
    """
    # The container's matrix comes first. A player uses that one too.
    side_data = next((data for data in frame.side_data if data.type is Type.DISPLAYMATRIX), None)
    if side_data is None:
        return None
    a, b, _, c, d = np.frombuffer(bytes(side_data), dtype=np.int32)[:5].tolist()
    if abs(a) + abs(d) >= abs(b) + abs(c):
        matrix = np.array([[np.sign(a), 0], [0, np.sign(d)]])
    else:
        matrix = np.array([[0, np.sign(b)], [np.sign(c), 0]])
    return matrix.astype(int) if np.count_nonzero(matrix) == 2 else None


def rotation_of(matrix: np.ndarray | None) -> int:
    """Return a display matrix's rotation in degrees clockwise: 0, 90, 180 or 270. Mirroring alone is no rotation."""
    if matrix is None:
        return 0
    if matrix[0, 0]:
        return 180 if matrix[0, 0] < 0 and matrix[1, 1] < 0 else 0
    return 90 if matrix[0, 1] > 0 else 270


def upright(image: np.ndarray, matrix: np.ndarray | None) -> np.ndarray:
    """Return an (h, w, 3) image as a player shows it with this display matrix, contiguous."""
    if matrix is None:
        return image
    if matrix[0, 0]:  # x' = +-x, y' = +-y
        image = image[:: int(matrix[1, 1]), :: int(matrix[0, 0])]
    else:  # x' = c y, y' = b x: transpose, then mirror the axes with a negative sign
        image = image.swapaxes(0, 1)[:: int(matrix[0, 1]), :: int(matrix[1, 0])]
    return np.ascontiguousarray(image)
