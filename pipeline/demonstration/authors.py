"""The authors of the videos: talent, followers, favourite category, and how often each author publishes."""

from dataclasses import dataclass

import numpy as np

ACTIVITY_SPREAD = 1.0  # standard deviation of log activity: a few authors publish much of the set
LOG2_FOLLOWERS = (10.0, 1.8, 1.0)  # mean, effect per unit of talent, standard deviation of the rest


@dataclass(frozen=True, slots=True)
class Authors:
    """Authors, numbered from 1 in the set's files."""

    talent: np.ndarray  # (authors,) standard units
    followers: np.ndarray  # (authors,) int64
    favourite: (
        np.ndarray
    )  # (authors,) in [0, 1): place of the favourite category in the cumulative shares of the categories
    activity: np.ndarray  # (authors,) relative number of videos


def draw(count: int, rng: np.random.Generator) -> Authors:
    """Draw `count` authors. Talented authors have more followers."""
    mean, slope, spread = LOG2_FOLLOWERS
    talent = rng.standard_normal(count)
    followers = 2.0 ** (mean + slope * talent + spread * rng.standard_normal(count))
    return Authors(
        talent=talent,
        followers=np.floor(followers).astype(np.int64),
        favourite=rng.random(count),
        activity=rng.lognormal(0.0, ACTIVITY_SPREAD, count),
    )
