"""The frames of a video: a drifting background in the category's colours, moving figures, and the style.

Quality shows as sharpness, steadiness and little grain. Pace is the speed of the motion. Colour is saturation and brightness.
Drama is a pulsing zoom and flashing frames. So the properties that drive the simulated feedback are visible.
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from pipeline.demonstration.canvas import Canvas, colour
from pipeline.demonstration.figures import FIGURES, Palette
from pipeline.demonstration.plan import Video
from pipeline.demonstration.randomness import generator

FPS = 12
SIZES = ((96, 170), (96, 170), (96, 170), (108, 192), (96, 120), (170, 96))  # (width, height), mostly vertical

GRAIN_MARGIN = 16  # pixels; the grain is shifted at random within this margin, so that it differs in every frame

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
class _Scene:
    """The parts of a scene that do not change between frames."""

    width: int
    height: int
    count: int  # frames
    backdrop: Image.Image  # (2 width, height)
    layout: np.ndarray  # (16,)
    palette: Palette
    grain: np.ndarray  # (height + GRAIN_MARGIN, width + GRAIN_MARGIN, 1) int16
    start: float  # of the scene's clock, in beats


def draw(video: Video, seed: int) -> np.ndarray:
    """Draw the frames of a video.

    Returns:
        (n, height, width, 3) uint8 at `FPS` frames per second, the same for the same seed. Height and width are even, as
        H.264 with 4:2:0 chroma requires. A re-encoded video has its original's frames at three quarters of their size.
    """
    rng = generator(seed, "scene", video.original)
    style, scene = video.style, _scene(video, rng)
    width, height = scene.width, scene.height
    # Low quality: fewer pixels and a shaking camera. High drama: zoom and flashes.
    sharp = 0.35 + 0.65 * style.quality
    drawn = (round(width * sharp), round(height * sharp))
    shake = 0.012 * (1 - style.quality)
    speed = 0.6 + 7.0 * style.pace
    frames = np.empty((scene.count, height, width, 3), np.uint8)
    for i in range(scene.count):
        beat = scene.start + speed * i / FPS
        image = _behind(scene.backdrop, 0.05 * speed * i / FPS, drawn)
        FIGURES[video.category](Canvas(image), beat, scene.layout, scene.palette)
        zoom = 1.0 + 4 * shake + 0.25 * style.drama**2 * abs(np.sin(1.5 * beat))
        view = _view(drawn, zoom, shake * rng.standard_normal(2))
        frame = np.asarray(image.resize((width, height), Image.Resampling.BILINEAR, box=view), np.int16)
        dy, dx = rng.integers(0, GRAIN_MARGIN, 2)
        flash = np.int16(70 * style.drama**2 if np.sin(2.5 * beat) > 0.9 else 0)
        frames[i] = np.clip(frame + scene.grain[dy : dy + height, dx : dx + width] + flash, 0, 255)
    return _smaller(frames) if video.file == "reencoded" else frames


def _scene(video: Video, rng: np.random.Generator) -> _Scene:
    style = video.style
    width, height = SIZES[rng.integers(len(SIZES))]
    count = int(rng.integers(24, 37))  # 2 to 3 seconds
    hue, subject = (base + 0.05 * rng.standard_normal() for base in HUES[video.category])
    saturation, value = 0.15 + 0.8 * style.colour, 0.4 + 0.5 * style.colour
    palette = (
        colour(subject, saturation, 0.25 + value),
        colour(subject + 0.12, 0.8 * saturation, 0.1 + value),
        colour(subject + 0.5, 0.25 * saturation, 0.5 + value),
        colour(subject, saturation, 0.35 * value),
    )
    grain = rng.normal(0, 1 + 8 * (1 - style.quality), (height + GRAIN_MARGIN, width + GRAIN_MARGIN, 1))
    return _Scene(
        width=width,
        height=height,
        count=count,
        backdrop=_backdrop(rng, hue, saturation, value, width, height),
        layout=rng.random(16),
        palette=palette,
        grain=grain.astype(np.int16),
        start=10 * rng.random(),
    )


def _backdrop(
    rng: np.random.Generator, hue: float, saturation: float, value: float, width: int, height: int
) -> Image.Image:
    """Draw a soft random field of nearby hues, twice as wide as the frame; it distinguishes scenes of one category."""
    rows, columns = (8, 10) if height >= width else (5, 16)
    shade = 0.45 + 0.65 * rng.random((rows, columns))
    tint = hue + 0.08 * rng.standard_normal((rows, columns))
    cells = [
        [colour(tint[r, c], saturation * (0.5 + 0.4 * shade[r, c]), value * shade[r, c]) for c in range(columns)]
        for r in range(rows)
    ]
    return Image.fromarray(np.array(cells, np.uint8)).resize((2 * width, height), Image.Resampling.BICUBIC)


def _behind(backdrop: Image.Image, drift: float, drawn: tuple[int, int]) -> Image.Image:
    """Return the visible part of the backdrop after a drift of `drift` frame widths, back and forth."""
    width = backdrop.width / 2
    left = width * (1 - abs(1 - drift % 2.0))
    return backdrop.resize(drawn, Image.Resampling.BILINEAR, box=(left, 0, left + width, backdrop.height))


def _view(size: tuple[int, int], zoom: float, jump: np.ndarray) -> tuple[float, float, float, float]:
    """Return the box of the image that the camera sees at a zoom of at least 1, moved by `jump` in parts of the frame."""
    room = 0.5 * (1 - 1 / zoom)
    x, y = (room + float(np.clip(j, -room, room)) for j in jump)
    width, height = size
    return x * width, y * height, (x + 1 / zoom) * width, (y + 1 / zoom) * height


def _smaller(frames: np.ndarray) -> np.ndarray:
    """Shrink the frames to three quarters of their size."""
    height, width = (3 * side // 4 // 2 * 2 for side in frames.shape[1:3])
    shrink = [Image.fromarray(f).resize((width, height), Image.Resampling.BILINEAR) for f in frames]
    return np.stack([np.asarray(image) for image in shrink])
