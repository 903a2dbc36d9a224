"""A drawing surface in units of the frame's width, so that a scene looks the same at every size."""

import colorsys
from collections.abc import Sequence

from PIL import Image, ImageDraw

Colour = tuple[int, int, int]
Point = tuple[float, float]


def colour(hue: float, saturation: float, value: float) -> Colour:
    """Return the RGB value of a colour.

    Args:
        hue: Any real number; 1 is one turn of the colour circle.
        saturation: Clipped to [0, 1].
        value: Brightness, clipped to [0, 1].
    """
    saturation, value = (min(max(x, 0.0), 1.0) for x in (saturation, value))
    red, green, blue = colorsys.hsv_to_rgb(hue % 1.0, saturation, value)
    return round(255 * red), round(255 * green), round(255 * blue)


class Canvas:
    """A canvas that draws on an image in place.

    Coordinates start at the top left corner: x runs over [0, 1] and y over [0, `height`], both in frame widths.
    """

    def __init__(self, image: Image.Image) -> None:
        """Draw on `image`."""
        self._draw = ImageDraw.Draw(image)
        self._width = image.width
        self.height = image.height / image.width

    def disc(self, centre: Point, radius: float, fill: Colour) -> None:
        """Draw a filled circle."""
        (x, y), w, r = centre, self._width, radius
        self._draw.ellipse(((x - r) * w, (y - r) * w, (x + r) * w, (y + r) * w), fill=fill)

    def ring(self, centre: Point, radius: float, fill: Colour, thickness: float) -> None:
        """Draw a circle's outline."""
        (x, y), w, r = centre, self._width, radius
        box = ((x - r) * w, (y - r) * w, (x + r) * w, (y + r) * w)
        self._draw.ellipse(box, outline=fill, width=max(1, round(thickness * w)))

    def box(self, left: float, top: float, right: float, bottom: float, fill: Colour) -> None:
        """Draw a filled rectangle; an empty one draws nothing."""
        w = self._width
        if right > left and bottom > top:
            self._draw.rectangle((left * w, top * w, right * w, bottom * w), fill=fill)

    def polygon(self, points: Sequence[Point], fill: Colour) -> None:
        """Draw a filled polygon."""
        self._draw.polygon([(x * self._width, y * self._width) for x, y in points], fill=fill)

    def line(self, points: Sequence[Point], fill: Colour, thickness: float) -> None:
        """Draw a line through the points, with rounded joints."""
        width = max(1, round(thickness * self._width))
        self._draw.line([(x * self._width, y * self._width) for x, y in points], fill=fill, width=width, joint="curve")
