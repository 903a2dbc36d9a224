"""Feedback of the demonstration set: each video's parameters of a known Hawkes process, by archetype, and its events.

The four shapes are those of M3TR's figure 2 and appendix A. Each is a background (those whom a platform brings) and a
branching matrix (those whom the audience itself brings):

- *viral explosion*: a strong start, and an audience that brings the next one (branching ratio 0.75); the background
  dies within a day, and the cascade with it;
- *slow burn*: a steady background over weeks, little excitation;
- *flash in the pan*: a surge in the first hours, much of it comments that excite only further comments, then nothing;
- *sleeper hit*: dormant, until a catalyst (a mention, a change of the recommender) one to four days after publication.
  Whether and how strongly it comes depends on the video's potential, which shows early in the part of shares.

Nothing is adjusted afterwards: counts are counts of simulated events.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from pipeline.demonstration.clusters import Background, Events, simulate
from pipeline.demonstration.plan import CATEGORIES, HOUR, Video

TYPES = ("like", "comment", "share")
DECAY = np.array([1 / 1.5, 1 / 3.0, 1 / 5.0])  # an hour, by the parent's type
LIFETIME_DAYS = 9  # feedback is simulated this long: the seven days of the label are a cut, not the end

# Children of each type (rows) of one event of each type (columns), before scaling to the archetype's branching ratio.
INSPIRING = np.array([[0.50, 0.30, 1.60], [0.12, 0.40, 0.40], [0.06, 0.05, 0.30]])
QUARRELSOME = np.array([[0.40, 0.00, 0.80], [0.15, 0.70, 0.30], [0.04, 0.00, 0.20]])


@dataclass(frozen=True, slots=True)
class Shape:
    """Parameters of an archetype: the first component of its background, and what its audience sets off."""

    log2_immigrants: float  # over the life of the first component, or over seven days if it lasts longer
    log2_appeal: float  # how much a unit of appeal adds to it
    log2_spread: float  # standard deviation of what nobody knows
    lasting: float  # hours
    lasting_appeal: float  # a unit of appeal multiplies `lasting` by its exponential
    branching: float  # spectral radius
    excitation: np.ndarray
    mix: tuple[float, float, float]


SHAPES = {
    "viral explosion": Shape(5.2, 0.75, 0.95, 15.0, 0.30, 0.75, INSPIRING, (0.72, 0.18, 0.10)),
    "slow burn": Shape(6.4, 0.75, 0.95, 400.0, 0.60, 0.30, INSPIRING, (0.70, 0.22, 0.08)),
    "flash in the pan": Shape(5.0, 0.75, 0.95, 4.0, 0.10, 0.45, QUARRELSOME, (0.58, 0.36, 0.06)),
    "sleeper hit": Shape(5.5, 0.65, 0.95, 300.0, 0.00, 0.55, INSPIRING, (0.52, 0.18, 0.30)),
}
CATALYST_HOURS = (24.0, 96.0)
CATALYST_LASTING = 18.0  # hours


@dataclass(frozen=True, slots=True)
class Parameters:
    """Everything that the simulation of n videos takes; kept with the set as its truth."""

    background: Background
    branching: np.ndarray  # (n, 3, 3)


def parameters(videos: Sequence[Video], rng: np.random.Generator) -> Parameters:
    """Draw the process of each video from its archetype, appeal and category."""
    n = len(videos)
    appeal = np.array([video.appeal for video in videos])
    category = np.array([CATEGORIES[video.category].log2_rate for video in videos])
    shapes = [SHAPES[video.archetype] for video in videos]

    def each(name: str) -> np.ndarray:
        return np.array([getattr(shape, name) for shape in shapes])

    luck = each("log2_spread") * rng.standard_normal(n)
    immigrants = 2.0 ** (each("log2_immigrants") + each("log2_appeal") * appeal + category + luck)
    # The rate is that of mean appeal: an appealing video starts higher, and keeps its background longer as well.
    rate = immigrants / np.minimum(each("lasting"), 7 * 24)
    lasting = each("lasting") * np.exp(each("lasting_appeal") * appeal)

    sleeper = np.array([video.archetype == "sleeper hit" for video in videos])
    potential = 0.8 * appeal + 0.6 * rng.standard_normal(n)
    caught = sleeper & (rng.random(n) < expit(2.5 + 1.5 * potential))
    catalyst = 2.0 ** (6.0 + 0.8 * potential + category + 0.7 * luck) / CATALYST_LASTING
    when = rng.uniform(*CATALYST_HOURS, n)

    mix = each("mix")
    mix[:, 2] *= np.where(sleeper, np.exp(0.4 * potential), 1.0)
    background = Background(
        rate=np.column_stack([rate, np.where(caught, catalyst, 0.0)]),
        start=np.column_stack([np.zeros(n), when]),
        lasting=np.column_stack([lasting, np.full(n, CATALYST_LASTING)]),
        mix=mix / mix.sum(axis=1, keepdims=True),
    )
    return Parameters(background, np.stack([branching_matrix(video.archetype) for video in videos]))


def branching_matrix(archetype: str) -> np.ndarray:
    """(3, 3) mean numbers of children, scaled to the archetype's branching ratio (its spectral radius)."""
    shape = SHAPES[archetype]
    return shape.excitation * (shape.branching / np.abs(np.linalg.eigvals(shape.excitation)).max())


def draw(videos: Sequence[Video], process: Parameters, *, end: int, rng: np.random.Generator) -> Events:
    """All events of all videos up to `end` (unix ms) or to the end of a video's life; sequence = index in `videos`."""
    published = np.array([video.published_at for video in videos], dtype=np.int64)
    window = np.minimum((end - published) / HOUR, LIFETIME_DAYS * 24.0)
    return simulate(process.background, process.branching, DECAY, window, rng)
