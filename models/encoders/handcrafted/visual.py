"""Visual features of a frame: colour, light, edges, layout, and its difference from the frames before and after."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from PIL import Image

from models.encoders.images import checked_images

SIDE = 64  # pixels; every frame is averaged down to a square of this side first
GRID = 4  # the coarse layout has GRID x GRID cells
HUES, LEVELS, ORIENTATIONS = 12, 8, 8
_EDGE = 0.05  # change of the luminance per pixel above which a pixel lies on an edge
_CHANGED = 0.08  # difference of the luminance between frames above which a pixel has changed


@dataclass(frozen=True)
class Measurements:
    """Visual features, one float32 row per frame, mostly in [0, 1].

    Attributes:
        hue: (n, 12) share of each hue, pixels weighted by their chroma. Bins are centred on red, orange, yellow and so on
            round the circle.
        saturation_levels: (n, 8) histogram of the saturation.
        value_levels: (n, 8) histogram of the value (the largest of red, green and blue).
        brightness: (n,) mean luminance.
        contrast: (n,) standard deviation of the luminance.
        saturation: (n,) mean saturation.
        colourfulness: (n,) Hasler and Suesstrunk's colourfulness (2003).
        entropy: (n,) entropy of the luminance's histogram, divided by that of a flat histogram.
        edges: (n,) share of pixels on an edge.
        orientation: (n, 8) histogram of the edges' directions, weighted by their strength.
        sharpness: (n,) root mean square of the luminance's Laplacian.
        layout: (n, 48) mean RGB of 4 x 4 cells.
        motion: (n, 4) mean difference from the sampled frame before, from the one after, share of changed pixels, and
            change of the histogram of values. All are 0 without a neighbouring frame.
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
    """Compute the features of the frames of one video.

    Args:
        images: At least one frame, in order, each (h, w, 3) uint8.

    Raises:
        EncoderError: An image has another shape or type.
    """
    pixels = np.stack([_shrunk(image) for image in checked_images(images)])  # (n, SIDE, SIDE, 3)
    # One contiguous plane per colour: the following steps are several times faster than on interleaved pixels.
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
    """An encoder of frames: colour, light, edges, layout and motion; see `roles.VisualEncoder`.

    Example:
        >>> encoder = HandcraftedVisualEncoder()
        >>> encoder.encode([np.zeros((48, 64, 3), dtype=np.uint8)]).shape
        (1, 95)
    """

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
        """Return one vector per frame of one video, each (h, w, 3) uint8: (n, 95) float32."""
        if not len(images):
            return np.zeros((0, self.width), dtype=np.float32)
        frames = measure(images)
        # Square roots of shares: their Euclidean distance is the Hellinger distance of the histograms.
        parts = [
            np.sqrt(frames.hue),
            np.sqrt(frames.saturation_levels),
            np.sqrt(frames.value_levels),
            *(
                column[:, None]
                for column in (
                    frames.brightness,
                    2 * frames.contrast,
                    frames.saturation,
                    2 * frames.colourfulness,
                    frames.entropy,
                    frames.edges,
                )
            ),
            np.sqrt(frames.orientation),
            2 * frames.sharpness[:, None],
            frames.layout,
            2 * frames.motion,
        ]
        return np.concatenate(parts, axis=1, dtype=np.float32)

    def encode_videos(self, videos: Sequence[Sequence[np.ndarray]]) -> list[np.ndarray]:
        """Return the result of `encode` per video."""
        return [self.encode(images) for images in videos]

    def prepare(self, images: Sequence[np.ndarray]) -> np.ndarray:
        """Return the result of `encode`: there is no model, so the whole work is preparation."""
        return self.encode(images)

    def from_prepared(self, videos: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Return the vectors of each video, which `prepare` has already computed."""
        return list(videos)


def _shrunk(image: np.ndarray) -> np.ndarray:
    """Average an image (h, w, 3) uint8 down to (SIDE, SIDE, 3) uint8."""
    return np.asarray(Image.fromarray(image).resize((SIDE, SIDE), Image.Resampling.BOX))


def _hue(planes: np.ndarray, high: np.ndarray, chroma: np.ndarray) -> np.ndarray:
    """Return the hue (n, h, w) of planes (3, n, h, w), in [0, 1).

    Hues are moved by half a bin, so that bins are centred on the named hues. Red and grey are in the first bin.
    """
    red, green, blue = planes
    sextant = np.where(high == red, green - blue, np.where(high == green, blue - red, red - green))
    sextant /= np.maximum(chroma, 1e-6)
    sextant += np.where(high == red, np.float32(0), np.where(high == green, np.float32(2), np.float32(4)))
    return (sextant / 6 + np.float32(0.5 / HUES)) % 1


def _colourfulness(red_green: np.ndarray, yellow_blue: np.ndarray) -> np.ndarray:
    """Return (n,) colourfulness of opponent colours (n, h, w).

    Hasler and Suesstrunk, "Measuring colourfulness in natural images" (2003).
    """
    spread = np.hypot(red_green.std((1, 2)), yellow_blue.std((1, 2)))
    return spread + 0.3 * np.hypot(red_green.mean((1, 2)), yellow_blue.mean((1, 2)))


def _cell_means(planes: np.ndarray) -> np.ndarray:
    """Return (n, GRID * GRID * 3) for planes (3, n, SIDE, SIDE): cells row by row, each as red, green, blue."""
    side = SIDE // GRID
    means = planes.reshape(3, -1, GRID, side, GRID, side).mean(-1).mean(3)  # (3, n, GRID, GRID)
    return np.moveaxis(means, 0, -1).reshape(planes.shape[1], -1)


def _histogram(values: np.ndarray, bins: int, *, weights: np.ndarray | None = None) -> np.ndarray:
    """Return (n, bins) float32 shares of values (n, h, w) in [0, 1].

    A row sums to 1, or to less if nearly all of its weights are 0.
    """
    n = len(values)
    cell = np.minimum((values * bins).astype(np.int32), bins - 1) + bins * np.arange(n, dtype=np.int32)[:, None, None]
    counts = np.bincount(cell.ravel(), None if weights is None else weights.ravel(), minlength=n * bins)
    counts = counts.reshape(n, bins)
    total = counts.sum(1, keepdims=True)
    # A trace of colour or edges is compression noise: the lower bound of the divisor keeps its shares small.
    return (counts / np.maximum(total, 0.01 * values[0].size)).astype(np.float32)


def _motion(luminance: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """Return `Measurements.motion` (n, 4) for luminance (n, SIDE, SIDE) and histograms of values (n, LEVELS)."""
    motion = np.zeros((len(luminance), 4), dtype=np.float32)
    if len(luminance) > 1:
        change = np.abs(np.diff(luminance, axis=0))
        motion[1:, 0] = motion[:-1, 1] = change.mean((1, 2))
        motion[1:, 2] = (change > _CHANGED).mean((1, 2))
        motion[1:, 3] = np.abs(np.diff(levels, axis=0)).sum(1) / 2
        motion[0, 2:] = motion[1, 2:]  # the first frame can only be compared with its successor
    return motion
