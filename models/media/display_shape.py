"""Display size of a track's pictures, whose pixels need not be square."""

from __future__ import annotations

from av.video.stream import VideoStream

_WIDEST = (
    4.0  # known formats have aspects of 0.5 to 2.2; a larger one is an error in the header and makes huge pictures
)


def pixel_aspect(stream: VideoStream) -> float:
    """Return the width of a stored pixel relative to its height, from the container or else the codec; 1 if unknown."""
    ratio = float(stream.sample_aspect_ratio or 1)
    return ratio if 1 / _WIDEST <= ratio <= _WIDEST else 1.0


def display_size(width: int, height: int, aspect: float) -> tuple[int, int]:
    """Return the size of a stored picture with square pixels, before rotation; the number of rows does not change."""
    return max(1, round(width * aspect)), height
