"""Feedback of the demonstration set: the parameters of each video's Hawkes process, by archetype, and its events.

The four archetypes are those of M3TR's figure 2 and appendix A. Each has a background (viewers that the platform brings) and a
branching matrix (viewers that other viewers bring):

- *viral explosion*: a strong start and strong excitation (branching ratio 0.75). The background decays within a day, and the
  cascade with it.
- *slow burn*: a steady background over weeks, with little excitation.
- *flash in the pan*: a surge in the first hours. Many of its events are comments, which excite only further comments.
- *sleeper hit*: nearly no feedback until a catalyst (a mention, a change of the recommender) one to four days after
  publication. Its probability and size depend on the video's potential, which shows early in the share of `share` events.

In all archetypes comments *inhibit* likes: people argue instead of liking. In some videos, more often in dramatic ones, a
*quarrel* breaks out during the first day: a wave of comments, which suppresses the likes for some hours (M3TR, figure 8).

Nothing is adjusted afterwards: every count is a count of simulated events.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from pipeline.demonstration.clusters import Background, Events, simulate
from pipeline.demonstration.plan import CATEGORIES, HOUR, Video

TYPES = ("like", "comment", "share")
DECAY = np.array([1 / 1.5, 1 / 3.0, 1 / 5.0])  # per hour, by the parent's type
LIFETIME_DAYS = 9  # longer than the seven days of the label, so that the label cuts the feedback off

# Mean children of each type (rows) per event of each type (columns), before scaling to the archetype's branching ratio.
INSPIRING = np.array([[0.50, 0.00, 1.60], [0.12, 0.40, 0.40], [0.06, 0.05, 0.30]])
QUARRELSOME = np.array([[0.40, 0.00, 0.80], [0.15, 0.70, 0.30], [0.04, 0.00, 0.20]])
PREVENTED_LIKES = 0.6  # mean likes that a comment prevents, while there are likes to prevent


@dataclass(frozen=True, slots=True)
class Shape:
    """Parameters of an archetype: the first component of its background, and its excitation."""

    log2_immigrants: float  # over the life of the first component, at most seven days
    log2_appeal: float  # added per unit of appeal
    log2_spread: float  # standard deviation of the part that no feature shows
    lasting: float  # hours
    lasting_appeal: float  # one unit of appeal multiplies `lasting` by exp(lasting_appeal)
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
QUARREL_HOURS = (3.0, 18.0)
QUARREL_LASTING = 1.5  # hours
QUARREL_SHARE = (0.1, 0.4)  # of the calmest and of the most dramatic videos
QUARREL_SIZE = 0.8  # comments, per immigrant of the first component on the first day


@dataclass(frozen=True, slots=True)
class Parameters:
    """Parameters of the simulation of n videos; stored with the set as its truth."""

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
    # `rate` uses the lasting of mean appeal: an appealing video both starts higher and decays later.
    rate = immigrants / np.minimum(each("lasting"), 7 * 24)
    lasting = each("lasting") * np.exp(each("lasting_appeal") * appeal)

    sleeper = np.array([video.archetype == "sleeper hit" for video in videos])
    potential = 0.8 * appeal + 0.6 * rng.standard_normal(n)
    caught = sleeper & (rng.random(n) < expit(2.5 + 1.5 * potential))
    catalyst = 2.0 ** (6.0 + 0.8 * potential + category + 0.7 * luck) / CATALYST_LASTING
    when = rng.uniform(*CATALYST_HOURS, n)

    mix = each("mix")
    mix[:, 2] *= np.where(sleeper, np.exp(0.4 * potential), 1.0)
    mix /= mix.sum(axis=1, keepdims=True)

    calm, dramatic = QUARREL_SHARE
    drama = np.array([video.style.drama for video in videos])
    quarrels = rng.random(n) < calm + (dramatic - calm) * drama
    first_day = -rate * lasting * np.expm1(-24.0 / lasting)
    comments_only = np.eye(len(TYPES))[np.full(n, TYPES.index("comment"))]
    background = Background(
        rate=np.column_stack(
            [rate, np.where(caught, catalyst, 0.0), np.where(quarrels, QUARREL_SIZE * first_day / QUARREL_LASTING, 0.0)]
        ),
        start=np.column_stack([np.zeros(n), when, rng.uniform(*QUARREL_HOURS, n)]),
        lasting=np.column_stack([lasting, np.full(n, CATALYST_LASTING), np.full(n, QUARREL_LASTING)]),
        mix=np.stack([mix, mix, comments_only], axis=1),
    )
    return Parameters(background, np.stack([branching_matrix(video.archetype) for video in videos]))


def branching_matrix(archetype: str) -> np.ndarray:
    """Return the (3, 3) mean numbers of children; a negative number is a mean number of prevented events.

    The spectral radius of the positive part is the archetype's branching ratio.
    """
    shape = SHAPES[archetype]
    matrix = shape.excitation * (shape.branching / np.abs(np.linalg.eigvals(shape.excitation)).max())
    matrix[TYPES.index("like"), TYPES.index("comment")] = -PREVENTED_LIKES
    return matrix


def draw(videos: Sequence[Video], process: Parameters, *, end: int, rng: np.random.Generator) -> Events:
    """Draw all events of all videos.

    Args:
        videos: The videos; `sequence` of the events is the index in this list.
        process: Parameters of the videos, from `parameters`.
        end: Unix milliseconds at which the data end. A video's feedback ends there or after nine days.
        rng: Source of randomness.
    """
    published = np.array([video.published_at for video in videos], dtype=np.int64)
    window = np.minimum((end - published) / HOUR, LIFETIME_DAYS * 24.0)
    return simulate(process.background, process.branching, DECAY, window, rng)
