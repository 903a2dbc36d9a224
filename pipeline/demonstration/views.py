"""Views: a counter that a crawler of the platform reads now and then.

Viewers excite nothing. So, given the events, the views that leave no event are a Poisson process, and their counts between two
readings are drawn exactly. Its rate follows the background (viewers that the platform brings) and the events (viewers that
other viewers bring). Every event is one more view. Appealing videos need fewer views per event.

The crawler reads a video every three hours for two days and every twelve hours from then on, at irregular times. It misses one
reading in ten, and it was down three times, for a day or two.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from pipeline.demonstration.clusters import Events
from pipeline.demonstration.feedback import DECAY, LIFETIME_DAYS, Parameters
from pipeline.demonstration.plan import DAY, HOUR, SPREAD_DAYS, START, Video

LOG2_VIEWS = (3.5, -0.4, 0.4)  # views per immigrant: mean, effect per unit of appeal, standard deviation of the rest
VIEWS_PER_EVENT = 0.5  # views that an event brings, relative to those of an immigrant
STEPS = np.repeat((3.0, 12.0), (16, 14))  # hours between readings, for nine days
JITTER = 0.3  # of a step
MISSED = 0.1  # share of the readings
OUTAGES, OUTAGE_HOURS = 3, (24, 48)


@dataclass(frozen=True, slots=True)
class Views:
    """Views of n videos."""

    readings: pl.DataFrame  # item, time (unix ms), view: the crawler's readings
    counts: np.ndarray  # (n, ages) the true counts at the ages that were asked for


def draw(
    videos: Sequence[Video],
    process: Parameters,
    events: Events,
    *,
    now: int,
    ages: Sequence[float],
    rng: np.random.Generator,
) -> Views:
    """Draw the views of all videos.

    Args:
        videos: The videos; `sequence` of the events is the index in this list.
        process: Parameters of the videos' feedback.
        events: The videos' feedback.
        now: Unix milliseconds of the end of the data: the latest possible reading.
        ages: Hours since publication at which the true counts are returned.
        rng: Source of randomness.
    """
    down = rng.integers(START, START + SPREAD_DAYS * DAY, OUTAGES)
    up = down + rng.integers(OUTAGE_HOURS[0] * HOUR, OUTAGE_HOURS[1] * HOUR, OUTAGES)
    mean, slope, spread = LOG2_VIEWS
    first = np.searchsorted(events.sequence, np.arange(len(videos) + 1))
    parts, counts = [], np.empty((len(videos), len(ages)), np.int64)
    for row, video in enumerate(videos):
        own = slice(first[row], first[row + 1])
        reach = 2.0 ** (mean + slope * video.appeal + spread * rng.standard_normal())
        hours = (STEPS.cumsum() + JITTER * STEPS * rng.uniform(-1, 1, STEPS.size))[rng.random(STEPS.size) >= MISSED]
        stamp = video.published_at + np.floor(hours * HOUR).astype(np.int64)
        outage = ((stamp[:, None] >= down) & (stamp[:, None] < up)).any(axis=1)
        stamp = stamp[~outage & (stamp <= now)]
        # counted to the millisecond of the reading, because the events' times are whole milliseconds too
        at = np.concatenate([(stamp + 1 - video.published_at) / HOUR, ages])
        views = _counts(process, row, events.time[own], events.type[own], at, reach, rng)
        counts[row] = views[len(stamp) :]
        parts.append(pl.DataFrame({"item": [video.item] * len(stamp), "time": stamp, "view": views[: len(stamp)]}))
    return Views(pl.concat(parts), counts)


def _counts(
    process: Parameters,
    row: int,
    times: np.ndarray,
    types: np.ndarray,
    at: np.ndarray,
    reach: float,
    rng: np.random.Generator,
) -> np.ndarray:
    """Return the views of a video before each of some ages (q,), in hours; a video is seen for nine days."""
    order = np.argsort(at)
    until = np.minimum(at[order], LIFETIME_DAYS * 24.0)
    immigrants = process.background.mass(np.full(until.size, row), until).sum(axis=1)
    since = np.maximum(until[:, None] - times, 0.0)
    brought = -np.expm1(-DECAY[types] * since).sum(axis=1)
    silent = rng.poisson(np.diff(reach * (immigrants + VIEWS_PER_EVENT * brought), prepend=0.0)).cumsum()
    counts = np.empty(at.size, np.int64)
    counts[order] = silent + np.searchsorted(times, at[order], side="left")
    return counts
