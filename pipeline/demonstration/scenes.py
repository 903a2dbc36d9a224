"""The frames of a video: a drifting background in the category's colours, figures in motion, the marks of its style.

Quality is sharpness, steadiness and little grain; pace is the speed of the scene's clock; colour is saturation and
brightness; drama is a zoom that pulses and frames that flash. So what the audience will like is there to be seen.
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from pipeline.demonstration.canvas import Canvas, colour
from pipeline.demonstration.figures import FIGURES, Palette
from pipeline.demonstration.plan import Video

FPS = 12
SIZES = ((128, 228), (128, 228), (128, 228), (144, 256), (128, 160), (228, 128))  # mostly vertical, as on the platforms

# Hue of the background and of the subject.
HUES = {
    "dance": (0.80, 0.92),
    "cooking": (0.08, 0.04),
    "cats": (0.10, 0.07),
    "cars": (0.58, 0.00),
    "nature": (0.52, 0.33),
    "sports": (0.36, 0.15),
    "gaming": (0.70, 0.45),
    "news": (0.62, 0.99),
    "music": (0.76, 0.55),
    "diy": (0.11, 0.60),
}


@dataclass(frozen=True, slots=True)
class Look:
    """How a scene is filmed. A re-upload has its original's scene with a look of its own."""

    width: int
    height: int
    seconds: float


def look(video: Video, seed: int) -> Look:
    """Size and length of the video's own file: both even, as H.264 with 4:2:0 asks, 2.4 to 3.6 seconds."""
    rng = np.random.default_rng([seed, 1, video.original])
    width, height = SIZES[rng.integers(len(SIZES))]
    seconds = 2.4 + 0.1 * int(rng.integers(13))
    if video.file == "reencoded":
        width, height = width * 3 // 4 // 2 * 2, height * 3 // 4 // 2 * 2
    return Look(width, height, seconds)


def draw(video: Video, seed: int) -> np.ndarray:
    """The frames of a video, (n, height, width, 3) uint8 at `FPS`; the same for the same seed."""
    rng = np.random.default_rng([seed, 2, video.original])
    style, size = video.style, look(video, seed)
    layout = rng.random(16)
    hue, subject = (base + 0.05 * rng.standard_normal() for base in HUES[video.category])
    saturation, value = 0.15 + 0.8 * style.colour, 0.4 + 0.5 * style.colour
    palette: Palette = (
        colour(subject, saturation, 0.25 + value),
        colour(subject + 0.12, 0.8 * saturation, 0.1 + value),
        colour(subject + 0.5, 0.25 * saturation, 0.5 + value),
        colour(subject, saturation, 0.35 * value),
    )
    backdrop = _backdrop(rng, hue, saturation, value, size)
    # A poor camera has fewer pixels, shakes, and its grain shows.
    sharp = 0.35 + 0.65 * style.quality
    drawn = (max(16, round(size.width * sharp)), max(16, round(size.height * sharp)))
    shake = 0.03 * (1 - style.quality)
    grain = rng.normal(0, 1 + 8 * (1 - style.quality), (size.height + 16, size.width + 16, 1)).astype(np.int16)
    speed = 1.0 + 5.0 * style.pace
    start = 10 * rng.random()

    count = round(size.seconds * FPS)
    frames = np.empty((count, size.height, size.width, 3), np.uint8)
    for i in range(count):
        time = i / FPS
        beat = start + speed * time
        zoom = 1.0 + 0.25 * style.drama**2 * abs(np.sin(1.5 * beat))
        jump = shake * rng.standard_normal(2)
        image = _crop(backdrop, 0.04 * speed * time + jump[0], zoom, drawn)
        FIGURES[video.category](Canvas(image), beat, layout, palette)
        if zoom > 1.0 or shake > 0.0:
            image = _camera(image, zoom, jump)
        frame = np.asarray(image.resize((size.width, size.height), Image.Resampling.BILINEAR), np.int16)
        flash = 70 * style.drama**2 if np.sin(2.5 * beat) > 0.9 else 0
        dy, dx = rng.integers(0, 16, 2)
        frame = frame + grain[dy : dy + size.height, dx : dx + size.width] + np.int16(flash)
        frames[i] = np.clip(frame, 0, 255)
    return frames


def _backdrop(rng: np.random.Generator, hue: float, saturation: float, value: float, size: Look) -> Image.Image:
    """A soft random field of nearby hues, twice as wide as the frame: it tells scenes of one category apart."""
    rows, columns = (8, 10) if size.height >= size.width else (5, 16)
    shade = 0.45 + 0.65 * rng.random((rows, columns))
    tint = hue + 0.08 * rng.standard_normal((rows, columns))
    cells = [
        [colour(tint[r, c], saturation * (0.5 + 0.4 * shade[r, c]), value * shade[r, c]) for c in range(columns)]
        for r in range(rows)
    ]
    field = Image.fromarray(np.array(cells, np.uint8))
    return field.resize((2 * size.width, size.height), Image.Resampling.BICUBIC)


def _crop(backdrop: Image.Image, drift: float, zoom: float, drawn: tuple[int, int]) -> Image.Image:
    """The part of the backdrop behind the frame when the camera has drifted by `drift` widths (there and back)."""
    width, height = backdrop.width / 2, backdrop.height
    left = width * (1 - abs(1 - abs(drift) % 2.0))
    margin = 0.5 * (1 - 1 / zoom)
    box = (left + margin * width, margin * height, left + (1 - margin) * width, (1 - margin) * height)
    return backdrop.resize(drawn, Image.Resampling.BILINEAR, box=box)


def _camera(image: Image.Image, zoom: float, jump: np.ndarray) -> Image.Image:
    """The image through a camera that zooms and shakes, kept inside the frame."""
    width, height = image.size
    zoom = max(zoom, 1.06)
    room = 0.5 * (1 - 1 / zoom)
    x, y = (room + float(np.clip(j, -room, room)) for j in jump)
    return image.resize(
        image.size,
        Image.Resampling.BILINEAR,
        box=(x * width, y * height, (x + 1 / zoom) * width, (y + 1 / zoom) * height),
    )
