"""Conversion of decoded frames to pictures: RGB, upright, with square pixels, scaled down to a size limit."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from models.media.display_shape import display_size, pixel_aspect
from models.media.errors import MediaError
from models.media.orientation import display_matrix, rotation_of, upright


@dataclass(frozen=True)
class Picture:
    """Converted frame.

    Attributes:
        image: (h, w, 3) uint8, RGB, upright.
        seconds: Time on the file's clock; None without a timestamp.
        rotation: Degrees clockwise by which the stored picture was turned.
    """

    image: np.ndarray
    seconds: float | None
    rotation: int


class PictureConverter:
    """Converter of one track's frames, in the decoder's order.

    A frame's orientation applies to the following frames, until another frame states one.
    """

    def __init__(self, path: str | Path, stream: VideoStream, max_side: int | None):
        """Make a converter.

        Args:
            path: The file, for errors.
            stream: The video track.
            max_side: Longest side of a picture in pixels; None keeps the size.
        """
        self._path = path
        self._time_base = stream.time_base
        self._aspect = pixel_aspect(stream)
        self._max_side = max_side
        self._reformatter = VideoReformatter()
        self._matrix: np.ndarray | None = None

    def restart(self) -> None:
        """Forget the orientation, because decoding starts again at a packet that states it."""
        self._matrix = None

    def pass_by(self, frame: av.VideoFrame) -> None:
        """Read the orientation of a frame that is not converted."""
        matrix = display_matrix(frame)
        if matrix is not None:
            self._matrix = matrix

    def convert(self, frame: av.VideoFrame) -> Picture:
        """Convert one frame, and scale it down if it is larger than the limit.

        The file's colour matrix and range are used.

        Args:
            frame: The frame.

        Returns:
            The picture.

        Raises:
            MediaError: `decode`: pictures of this format cannot be converted.
        """
        self.pass_by(frame)
        width, height = display_size(frame.width, frame.height, self._aspect)
        scale = min(1.0, self._max_side / max(width, height)) if self._max_side else 1.0
        try:
            rgb = self._reformatter.reformat(
                frame,
                width=max(1, round(width * scale)),
                height=max(1, round(height * scale)),
                format="rgb24",
                interpolation="AREA" if scale < 1 else None,
            )
            image = upright(rgb.to_ndarray(), self._matrix)
        except (av.FFmpegError, ValueError) as error:
            reason = f"{frame.format.name} pictures can't be converted: {error}"
            raise MediaError("decode", self._path, reason) from error
        seconds = float(frame.pts * self._time_base) if frame.pts is not None else None
        return Picture(image, seconds, rotation_of(self._matrix))
