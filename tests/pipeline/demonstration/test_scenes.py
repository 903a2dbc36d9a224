from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from pipeline.demonstration import scenes
from pipeline.demonstration.plan import CATEGORIES, Style, Video

MIDDLE = Style(0.5, 0.5, 0.5, 0.5)


def video(item: int = 1, category: str = "cats", *, style: Style = MIDDLE, file: str = "ok") -> Video:
    return Video(
        item=item,
        author=1,
        category=category,
        style=style,
        appeal=0.0,
        archetype="slow burn",
        published_at=0,
        upload=False,
        original=item,
        file=file,
        sound=True,
    )


def grey(frames: np.ndarray) -> np.ndarray:
    """(n, 8, 8) mean grey of a coarse grid."""
    return np.stack([np.asarray(Image.fromarray(f).convert("L").resize((8, 8)), float) for f in frames])


@pytest.mark.parametrize("category", CATEGORIES)
def test_every_category_moves_and_follows_from_the_seed(category: str):
    frames = scenes.draw(video(category=category), 7)
    n, height, width, channels = frames.shape
    assert frames.dtype == np.uint8 and channels == 3 and height % 2 == 0 and width % 2 == 0
    assert 2.4 <= n / scenes.FPS <= 3.6
    assert np.abs(np.diff(grey(frames), axis=0)).mean() > 0.3
    assert np.array_equal(frames, scenes.draw(video(category=category), 7))
    assert not np.array_equal(frames[0], scenes.draw(video(category=category), 8)[0])


def means(style: Style) -> tuple[float, float, float]:
    """Saturation, roughness (difference of neighbouring pixels' in a flat part) and motion, over a few scenes."""
    saturation, roughness, motion = [], [], []
    for item in range(1, 4):
        frames = scenes.draw(video(item, "nature", style=style), 0).astype(float)
        saturation.append((frames.max(-1) - frames.min(-1)).mean())
        roughness.append(np.abs(np.diff(frames, n=2, axis=2)).mean())
        motion.append(np.abs(np.diff(grey(frames.astype(np.uint8)), axis=0)).mean())
    return float(np.mean(saturation)), float(np.mean(roughness)), float(np.mean(motion))


def test_style_is_seen():
    saturation, roughness, motion = means(MIDDLE)
    assert means(replace(MIDDLE, colour=0.9))[0] > 1.3 * saturation
    assert means(replace(MIDDLE, quality=0.05))[1] > 1.3 * roughness
    assert means(replace(MIDDLE, pace=0.05))[2] < 0.7 * motion
    assert means(replace(MIDDLE, drama=0.98))[2] > 1.3 * motion


def test_a_reencoded_video_has_the_same_pictures_smaller():
    own, again = (scenes.draw(video(file=file), 0) for file in ("ok", "reencoded"))
    assert again.shape[1] < own.shape[1] and again.shape[0] == own.shape[0]
    other = scenes.draw(video(2), 0)
    n = min(len(own), len(other))
    assert np.abs(grey(own) - grey(again)).mean() < 0.1 * np.abs(grey(own)[:n] - grey(other)[:n]).mean()
