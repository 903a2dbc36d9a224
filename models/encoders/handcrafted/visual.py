"""What can be measured of a frame: colour, light, edges, layout, and how it differs from its neighbours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from PIL import Image

from models.encoders.images import checked_images

SIDE = 64  # pixels of the square that every frame is averaged down to before it is measured
GRID = 4  # cells a side of the coarse layout
HUES, LEVELS, ORIENTATIONS = 12, 8, 8
_EDGE = 0.05  # change of the luminance from one pixel to the next from which it is an edge
_CHANGED = 0.08  # difference of luminance from which a pixel counts as changed


@dataclass(frozen=True)
class Measurements:
    """One row a frame, all float32 and mostly in [0, 1].

    Attributes:
        hue: (n, 12) share of each hue among the coloured pixels, weighted by how coloured they are. Bins are centred on
            red, orange, yellow and so on round the circle.
        saturation_levels, value_levels: (n, 8) share of pixels by saturation, by brightness.
        brightness, contrast, saturation, colourfulness, entropy: (n,) mean and deviation of the luminance, mean
            saturation, Hasler and Suesstrunk's colourfulness (2003), entropy of the luminance over a flat histogram's.
        edges: (n,) share of pixels on an edge; orientation: (n, 8) its direction; sharpness: (n,) energy of detail.
        layout: (n, 48) mean RGB of 4 x 4 cells.
        motion: (n, 4) mean difference from the sample before and from the one after, share of changed pixels, change of
            the histogram of brightness; 0 where there is no neighbour.
    """

    hue: np.ndarray
    saturation_levels: np.ndarray
    value_levels: np.ndarray
    brightness: np.ndarray
    contrast: np.ndarray
    saturation: np.ndarray
    colourfulness: np.ndarray
    entropy: np.ndarray
    edges: np.ndarray
    orientation: np.ndarray
    sharpness: np.ndarray
    layout: np.ndarray
    motion: np.ndarray


def measure(images: Sequence[np.ndarray]) -> Measurements:
    """Measure the frames of one video, in order: n >= 1 of (h, w, 3) uint8. All frames at once.

    Raises:
        EncoderError: An image of another shape or type.
    """
    pixels = np.stack([_shrunk(image) for image in checked_images(images)])  # (n, SIDE, SIDE, 3)
    # One plane a colour, each contiguous: what follows is several times faster than on interleaved pixels.
    planes = np.ascontiguousarray(np.moveaxis(pixels, -1, 0), dtype=np.float32) / 255  # (3, n, SIDE, SIDE)
    red, green, blue = planes
    high, low = np.maximum(np.maximum(red, green), blue), np.minimum(np.minimum(red, green), blue)
    chroma = high - low
    saturation = chroma / np.maximum(high, 1e-3)
    luminance = 0.299 * red + 0.587 * green + 0.114 * blue  # Rec. ITU-R BT.601

    edges_y, edges_x = np.gradient(luminance, axis=(1, 2))
    strength = np.hypot(edges_x, edges_y)
    direction = np.arctan2(edges_y, edges_x) % np.float32(np.pi) / np.float32(np.pi)  # an edge has no sign
    detail = 4 * luminance[:, 1:-1, 1:-1] - (
        luminance[:, :-2, 1:-1] + luminance[:, 2:, 1:-1] + luminance[:, 1:-1, :-2] + luminance[:, 1:-1, 2:]
    )
    value_levels = _histogram(high, LEVELS)
    grey = _histogram(luminance, 4 * LEVELS)
    return Measurements(
        hue=_histogram(_hue(planes, high, chroma), HUES, weights=chroma),
        saturation_levels=_histogram(saturation, LEVELS),
        value_levels=value_levels,
        brightness=luminance.mean((1, 2)),
        contrast=luminance.std((1, 2)),
        saturation=saturation.mean((1, 2)),
        colourfulness=_colourfulness(red - green, (red + green) / 2 - blue),
        entropy=-(grey * np.log2(np.maximum(grey, 1e-12))).sum(1) / np.log2(grey.shape[1]),
        edges=(strength > _EDGE).mean((1, 2), dtype=np.float32),
        orientation=_histogram(direction, ORIENTATIONS, weights=strength),
        sharpness=np.sqrt(np.square(detail).mean((1, 2))),
        layout=_cell_means(planes),
        motion=_motion(luminance, value_levels),
    )


class HandcraftedVisualEncoder:
    """Colour, light, edges, layout and motion of each frame; see `roles.VisualEncoder`."""

    width = HUES + 2 * LEVELS + 5 + 1 + ORIENTATIONS + 1 + 3 * GRID * GRID + 4
    identity: ClassVar[dict[str, Any]] = {
        "name": "handcrafted-visual",
        "backend": "numpy",
        "checkpoint": None,
        "revision": None,
        "options": {"side": SIDE, "grid": GRID},
        "code": 1,
    }

    def encode(self, images: Sequence[np.ndarray]) -> np.ndarray:
        if not len(images):
            return np.zeros((0, self.width), dtype=np.float32)
        found = measure(images)
        # Roots of the shares: Euclidean distance between them is Hellinger's between the histograms.
        parts = [
            np.sqrt(found.hue),
            np.sqrt(found.saturation_levels),
            np.sqrt(found.value_levels),
            *(
                column[:, None]
                for column in (
                    found.brightness,
                    2 * found.contrast,
                    found.saturation,
                    2 * found.colourfulness,
                    found.entropy,
                    found.edges,
                )
            ),
            np.sqrt(found.orientation),
            2 * found.sharpness[:, None],
            found.layout,
            2 * found.motion,
        ]
        return np.concatenate(parts, axis=1, dtype=np.float32)

    def encode_videos(self, videos: Sequence[Sequence[np.ndarray]]) -> list[np.ndarray]:
        return [self.encode(images) for images in videos]

    def prepare(self, images: Sequence[np.ndarray]) -> np.ndarray:
        """All of the work: there is no model that it could be ahead of."""
        return self.encode(images)

    def from_prepared(self, videos: Sequence[np.ndarray]) -> list[np.ndarray]:
        return list(videos)


def _shrunk(image: np.ndarray) -> np.ndarray:
    """(h, w, 3) uint8 -> (SIDE, SIDE, 3) uint8, the mean over each pixel's area."""
    return np.asarray(Image.fromarray(image).resize((SIDE, SIDE), Image.Resampling.BOX))


def _hue(planes: np.ndarray, high: np.ndarray, chroma: np.ndarray) -> np.ndarray:
    """Hue of (3, n, h, w) in [0, 1), moved by half a bin so that bins are centred: red in the first, greys with it."""
    red, green, blue = planes
    sextant = np.where(high == red, green - blue, np.where(high == green, blue - red, red - green))
    sextant /= np.maximum(chroma, 1e-6)
    sextant += np.where(high == red, np.float32(0), np.where(high == green, np.float32(2), np.float32(4)))
    return (sextant / 6 + np.float32(0.5 / HUES)) % 1


def _colourfulness(red_green: np.ndarray, yellow_blue: np.ndarray) -> np.ndarray:
    """Hasler and Suesstrunk, "Measuring colourfulness in natural images" (2003), of (n, h, w) opponent colours."""
    spread = np.hypot(red_green.std((1, 2)), yellow_blue.std((1, 2)))
    return spread + 0.3 * np.hypot(red_green.mean((1, 2)), yellow_blue.mean((1, 2)))


def _cell_means(planes: np.ndarray) -> np.ndarray:
    """(3, n, SIDE, SIDE) -> (n, GRID * GRID * 3), cells by rows, each red, green, blue."""
    side = SIDE // GRID
    means = planes.reshape(3, -1, GRID, side, GRID, side).mean(-1).mean(3)  # (3, n, GRID, GRID)
    return np.moveaxis(means, 0, -1).reshape(planes.shape[1], -1)


def _histogram(values: np.ndarray, bins: int, *, weights: np.ndarray | None = None) -> np.ndarray:
    """(n, h, w) in [0, 1] -> (n, bins) float32 shares, which sum to 1, or to 0 where all weights are (nearly) 0."""
    n = len(values)
    cell = np.minimum((values * bins).astype(np.int32), bins - 1) + bins * np.arange(n, dtype=np.int32)[:, None, None]
    counts = np.bincount(cell.ravel(), None if weights is None else weights.ravel(), minlength=n * bins)
    counts = counts.reshape(n, bins)
    total = counts.sum(1, keepdims=True)
    # A trace of colour or of edge is noise of the codec, so it is not blown up to a full share.
    return (counts / np.maximum(total, 0.01 * values[0].size)).astype(np.float32)


def _motion(luminance: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """(n, SIDE, SIDE), (n, LEVELS) -> (n, 4), see `Measurements.motion`."""
    motion = np.zeros((len(luminance), 4), dtype=np.float32)
    if len(luminance) > 1:
        change = np.abs(np.diff(luminance, axis=0))
        motion[1:, 0] = motion[:-1, 1] = change.mean((1, 2))
        motion[1:, 2] = (change > _CHANGED).mean((1, 2))
        motion[1:, 3] = np.abs(np.diff(levels, axis=0)).sum(1) / 2
        motion[0, 2:] = motion[1, 2:]  # the first sample has only its successor to differ from
    return motion
