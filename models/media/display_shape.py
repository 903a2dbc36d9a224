"""The shape in which a track's pictures are shown: pixels need not be square."""

from __future__ import annotations

from av.video.stream import VideoStream

_WIDEST = 4.0  # known formats have pixels of 0.5 to 2.2; beyond this a header is wrong, and the picture would be huge


def pixel_aspect(stream: VideoStream) -> float:
    """Return the width of a stored pixel relative to its height, by the container or else the codec; 1 if not told."""
    ratio = float(stream.sample_aspect_ratio or 1)
    return ratio if 1 / _WIDEST <= ratio <= _WIDEST else 1.0


def display_size(width: int, height: int, aspect: float) -> tuple[int, int]:
    """Return the size with square pixels of a stored picture, before it is turned: its rows are kept."""
    return max(1, round(width * aspect)), height
