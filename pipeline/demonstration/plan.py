"""The plan of the set: author, category, style, appeal, archetype and publication time of each video."""

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, softmax

from pipeline.demonstration.authors import Authors

HOUR = 3_600_000  # ms
DAY = 24 * HOUR
START = 1_767_571_200_000  # 2026-01-05T00:00:00Z, unix ms
SPREAD_DAYS = 60  # labelled videos are published within this many days
LABEL_DAYS = 7
MARGIN_DAYS = 1  # slack between the last label's horizon and the end of the data

ARCHETYPES = ("viral explosion", "slow burn", "flash in the pan", "sleeper hit")  # M3TR, figure 2


@dataclass(frozen=True, slots=True)
class Category:
    """A category's effect on feedback."""

    share: float  # relative share of the videos
    log2_rate: float  # effect on the log2 rate of the background
    tendency: tuple[float, float, float, float]  # logits of the archetypes


CATEGORIES = {
    "dance": Category(1.3, 0.8, (1.6, -0.4, 0.2, -0.6)),
    "cooking": Category(1.0, 0.0, (-0.6, 1.6, -0.6, 0.0)),
    "cats": Category(1.2, 0.9, (0.9, 0.3, 0.3, 0.0)),
    "cars": Category(0.9, -0.4, (0.0, 0.8, 0.4, -0.2)),
    "nature": Category(0.9, -0.9, (-1.2, 1.2, -1.2, 1.0)),
    "sports": Category(1.1, 0.3, (0.8, -0.4, 1.2, -0.8)),
    "gaming": Category(1.1, 0.2, (0.6, 0.4, 0.6, -0.4)),
    "news": Category(0.9, 0.4, (0.0, -0.8, 2.2, -1.2)),
    "music": Category(0.9, -0.3, (0.2, 0.0, -0.8, 1.2)),
    "diy": Category(0.7, -0.8, (-0.8, 1.4, -0.4, 0.5)),
}
# Logit added to each archetype per standard unit of a style property.
STYLE_LOGITS = {
    "quality": (0.0, 0.6, -1.0, 0.8),
    "pace": (1.3, -0.6, 0.3, -0.8),
    "colour": (0.3, 0.0, 0.0, 0.0),
    "drama": (0.4, -1.0, 1.5, -0.9),
}
APPEAL_WEIGHTS = {"quality": 0.6, "pace": 0.35, "colour": 0.45, "drama": 0.15}
APPEAL_HIDDEN = (1.0 - sum(w * w for w in APPEAL_WEIGHTS.values())) ** 0.5  # appeal has unit variance
TALENT_SHARE = 0.6  # of the variance of the hidden part of appeal: the author's
FAVOURITE_SHARE = 0.6  # how often an author's video is of the author's favourite category


@dataclass(frozen=True, slots=True)
class Style:
    """The visible and audible properties of a video, each in (0, 1)."""

    quality: float  # sharpness, steadiness, clean sound
    pace: float  # motion and tempo
    colour: float  # saturation and brightness
    drama: float  # zooms, flashes, swelling sound


@dataclass(frozen=True, slots=True)
class Video:
    """One planned video.

    `file` is "ok", "missing" (no file), "damaged" (cut short), "copy" (the bytes of `original`) or "reencoded" (the frames of
    `original` at another size and bit rate).
    """

    item: int
    author: int
    category: str
    style: Style
    appeal: float  # standard units; 29% of its variance shows in no frame and no sound
    archetype: str
    published_at: int  # unix ms
    upload: bool  # published less than seven days before the end of the data
    original: int  # the item itself, or the source of a re-upload
    file: str
    sound: bool


def draw(*, videos: int, uploads: int, authors: Authors, rng: np.random.Generator) -> tuple[list[Video], int]:
    """Draw the plan of the set.

    Args:
        videos: Number of items whose label is known.
        uploads: Number of new items without a label.
        authors: The authors of the videos, from `authors.draw`.
        rng: Source of randomness.

    Returns:
        The videos, numbered from 1 in order of publication (the uploads come last), and the end of the data in unix
        milliseconds.
    """
    n = videos + uploads
    end = START + (SPREAD_DAYS + LABEL_DAYS + MARGIN_DAYS) * DAY
    published = np.concatenate(
        [np.sort(START + rng.integers(0, SPREAD_DAYS * DAY, videos)), np.sort(end - _upload_ages(uploads, rng))]
    )
    names = list(CATEGORIES)
    share = np.array([CATEGORIES[name].share for name in names])
    category = rng.choice(len(names), n, p=share / share.sum())
    author = rng.choice(authors.activity.size, n, p=authors.activity / authors.activity.sum())
    favourite = rng.random(n) < FAVOURITE_SHARE
    category[favourite] = np.searchsorted((share / share.sum()).cumsum(), authors.favourite[author[favourite]])
    style = rng.standard_normal((n, len(STYLE_LOGITS)))
    hidden = TALENT_SHARE**0.5 * authors.talent[author] + (1 - TALENT_SHARE) ** 0.5 * rng.standard_normal(n)
    appeal = style @ np.array(list(APPEAL_WEIGHTS.values())) + APPEAL_HIDDEN * hidden
    chosen = rng.random(n)
    original = np.arange(n)
    file = np.full(n, "ok", dtype=object)
    _plant_imperfections(original, file, videos, rng)
    again = original != np.arange(n)  # a re-upload has its original's content and feedback of its own
    category[again], style[again], appeal[again] = (x[original[again]] for x in (category, style, appeal))

    logits = np.array([CATEGORIES[name].tendency for name in names])[category] + style @ np.array(
        list(STYLE_LOGITS.values())
    )
    archetype = (chosen[:, None] > softmax(logits, axis=1).cumsum(axis=1)[:, :-1]).sum(axis=1)
    shown = ndtr(style)
    sound = rng.random(n) >= 0.04
    sound[again] = sound[original[again]]
    return [
        Video(
            item=i + 1,
            author=int(author[i]) + 1,
            category=names[category[i]],
            style=Style(*map(float, shown[i])),
            appeal=float(appeal[i]),
            archetype=ARCHETYPES[archetype[i]],
            published_at=int(published[i]),
            upload=i >= videos,
            original=int(original[i]) + 1,
            file=file[i],
            sound=bool(sound[i]),
        )
        for i in range(n)
    ], end


def _upload_ages(uploads: int, rng: np.random.Generator) -> np.ndarray:
    """Draw the ages of the new uploads at the end of the data, in ms: 60 % days, 25 % hours, 15 % minutes."""
    kind = rng.choice(3, uploads, p=(0.6, 0.25, 0.15))
    low = np.array([6 * HOUR, HOUR, HOUR // 60])[kind]
    high = np.array([6 * DAY, 6 * HOUR, HOUR])[kind]
    return rng.integers(low, high) if uploads else np.zeros(0, np.int64)


def _plant_imperfections(original: np.ndarray, file: np.ndarray, videos: int, rng: np.random.Generator) -> None:
    """Choose, in place, the re-uploads (2.5% of the videos), the missing files (0.5%) and one damaged file."""
    copies, reencoded = max(1, videos // 200), max(1, videos // 50)
    missing, damaged = max(1, videos // 200), 1
    late = rng.permutation(np.arange(videos // 2, videos))  # a re-upload comes after its original
    early = rng.permutation(videos // 2)
    again = late[: copies + reencoded]
    original[again] = early[: again.size]
    file[again[:copies]] = "copy"
    file[again[copies:]] = "reencoded"
    spoiled = early[again.size :][: missing + damaged]
    file[spoiled[:missing]] = "missing"
    file[spoiled[missing:]] = "damaged"
