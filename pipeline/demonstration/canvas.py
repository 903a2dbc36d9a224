"""A frame to draw on, in units of its width, so that a scene looks the same at every size."""

import colorsys
from collections.abc import Sequence

from PIL import Image, ImageDraw

Colour = tuple[int, int, int]
Point = tuple[float, float]


def colour(hue: float, saturation: float, value: float) -> Colour:
    """RGB of a hue (any real, 1 = once around), saturation and value, both cut to [0, 1]."""
    saturation, value = (min(max(x, 0.0), 1.0) for x in (saturation, value))
    red, green, blue = colorsys.hsv_to_rgb(hue % 1.0, saturation, value)
    return round(255 * red), round(255 * green), round(255 * blue)


class Canvas:
    """Draws on an image in place. x runs over [0, 1], y over [0, height], both in widths, from the top left corner."""

    def __init__(self, image: Image.Image) -> None:
        self._draw = ImageDraw.Draw(image)
        self._width = image.width
        self.height = image.height / image.width

    def disc(self, centre: Point, radius: float, fill: Colour) -> None:
        (x, y), w, r = centre, self._width, radius
        self._draw.ellipse(((x - r) * w, (y - r) * w, (x + r) * w, (y + r) * w), fill=fill)

    def ring(self, centre: Point, radius: float, fill: Colour, thickness: float) -> None:
        (x, y), w, r = centre, self._width, radius
        box = ((x - r) * w, (y - r) * w, (x + r) * w, (y + r) * w)
        self._draw.ellipse(box, outline=fill, width=max(1, round(thickness * w)))

    def box(self, left: float, top: float, right: float, bottom: float, fill: Colour) -> None:
        w = self._width
        if right > left and bottom > top:
            self._draw.rectangle((left * w, top * w, right * w, bottom * w), fill=fill)

    def polygon(self, points: Sequence[Point], fill: Colour) -> None:
        self._draw.polygon([(x * self._width, y * self._width) for x, y in points], fill=fill)

    def line(self, points: Sequence[Point], fill: Colour, thickness: float) -> None:
        width = max(1, round(thickness * self._width))
        self._draw.line([(x * self._width, y * self._width) for x, y in points], fill=fill, width=width, joint="curve")
