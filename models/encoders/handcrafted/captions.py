"""Captions of frames from visual features, in a small fixed vocabulary, so that similar scenes get similar words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from models.encoders.handcrafted.visual import Measurements, measure

_HUE_NAMES = (
    *("red", "orange", "yellow", "lime", "green", "mint"),
    *("cyan", "azure", "blue", "violet", "magenta", "pink"),
)
_LIGHT = ((0.15, "very dark"), (0.35, "dark"), (0.6, "medium bright"), (0.8, "bright"), (np.inf, "very bright"))
_COLOUR = ((0.05, "grey"), (0.15, "muted"), (0.25, "colourful"), (np.inf, "vivid"))
_CONTRAST = ((0.08, "flat"), (0.2, "soft"), (np.inf, "contrasty"))
_TEXTURE = ((0.05, "plain"), (0.2, "simple"), (0.45, "detailed"), (np.inf, "busy"))
_MOTION = ((0.01, "no motion"), (0.04, "slow motion"), (0.1, "moderate motion"), (np.inf, "fast motion"))


class HandcraftedCaptioner:
    """A captioner of frames by their visual features; see `roles.VisualCaptioner`.

    Example:
        >>> HandcraftedCaptioner().caption([np.zeros((48, 64, 3), dtype=np.uint8)])
        ['a very dark, grey, plain, flat scene with no motion, mostly black']
    """

    identity: ClassVar[dict[str, Any]] = {
        "name": "handcrafted-captions",
        "backend": "numpy",
        "checkpoint": None,
        "revision": None,
        "options": {},
        "code": 1,
    }

    def caption(self, images: Sequence[np.ndarray]) -> list[str]:
        """Return one caption per frame of one video, each (h, w, 3) uint8."""
        if not len(images):
            return []
        frames = measure(images)
        return [_sentence(frames, row) for row in range(len(images))]

    def caption_videos(self, videos: Sequence[Sequence[np.ndarray]]) -> list[list[str]]:
        """Return the result of `caption` per video."""
        return [self.caption(images) for images in videos]

    def prepare(self, images: Sequence[np.ndarray]) -> list[str]:
        """Return the result of `caption`: there is no model, so the whole work is preparation."""
        return self.caption(images)

    def from_prepared(self, videos: Sequence[list[str]]) -> list[list[str]]:
        """Return the captions of each video, which `prepare` has already written."""
        return list(videos)


def _sentence(frames: Measurements, row: int) -> str:
    words = [
        _word(_LIGHT, frames.brightness[row]),
        _word(_COLOUR, frames.colourfulness[row]),
        _word(_TEXTURE, frames.edges[row]),
        _word(_CONTRAST, frames.contrast[row]),
    ]
    motion = _word(_MOTION, frames.motion[row, :2].max())
    return f"a {', '.join(words)} scene with {motion}, mostly {_colours(frames, row)}{_light_place(frames, row)}"


def _word(scale: tuple[tuple[float, str], ...], value: float) -> str:
    return next(word for limit, word in scale if value < limit)


def _colours(frames: Measurements, row: int) -> str:
    """Return the one or two most frequent hues, or black, grey or white for a frame without colour."""
    if frames.colourfulness[row] < _COLOUR[0][0]:
        brightness = frames.brightness[row]
        return "black" if brightness < 0.2 else "white" if brightness > 0.8 else "grey"
    order = np.argsort(-frames.hue[row], kind="stable")
    names = [_HUE_NAMES[order[0]]]
    if frames.hue[row, order[1]] > 0.5 * frames.hue[row, order[0]]:
        names.append(_HUE_NAMES[order[1]])
    return " and ".join(names)


def _light_place(frames: Measurements, row: int) -> str:
    """Return the part of the frame that is clearly brighter than the rest (a sky, a floor, a lamp), or an empty string."""
    cells = frames.layout[row].reshape(4, 4, 3).mean(-1)
    centre = cells[1:3, 1:3].mean()
    places = {
        "bright top": cells[:2].mean() - cells[2:].mean(),
        "bright bottom": cells[2:].mean() - cells[:2].mean(),
        "bright left": cells[:, :2].mean() - cells[:, 2:].mean(),
        "bright right": cells[:, 2:].mean() - cells[:, :2].mean(),
        "bright centre": centre - (cells.sum() - 4 * centre) / 12,
    }
    place = max(places, key=places.__getitem__)
    return f", {place}" if places[place] > 0.12 else ""
