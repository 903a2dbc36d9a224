"""A small world whose windows have a table with columns of every group, some values unknown, and two targets."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from models.predictors import Rows, Samples, Table, VideoFeatures
from tests.models.predictors.synthetic import World, make_world

NUMBERS = (
    "age_hours",
    "events",
    "events_log2",
    "author_followers",
    "history_items",
    "hour",
    "hashtag_count",
    "duration",
)
CATEGORIES = ("author", "category_1", "category_2")


def tabular_world(*, items: int = 120, seed: int = 0) -> World:
    """The synthetic world; log2 of the followers, and log2 of the events, are the second target with noise."""
    world = make_world(items=items, neighbours=3, circles=6, seed=seed)
    parts = [_with_table(part, seed + place) for place, part in enumerate((world.train, world.dev, world.test))]
    return replace(world, train=parts[0], dev=parts[1], test=parts[2])


def _with_table(samples: Samples, seed: int) -> Samples:
    rng = np.random.default_rng(seed)
    n = len(samples)
    events, followers = rng.normal(size=n), rng.normal(size=n)
    numbers = np.column_stack(
        [
            np.full(n, 24.0),
            np.exp2(5 + events),
            5 + events,
            np.exp2(8 + followers),
            rng.integers(0, 9, n),
            rng.integers(0, 24, n),
            rng.integers(0, 5, n),
            rng.normal(size=n),
        ]
    )
    numbers[rng.random(numbers.shape) < 0.05] = np.nan
    categories = np.array(
        [[f"a{rng.integers(9)}", "music", f"music/{rng.choice(['live', ''])}"] for _ in range(n)], object
    )
    second = np.where(rng.random(n) < 0.8, 5 + events + followers + 0.1 * rng.normal(size=n), np.nan)
    return replace(
        samples,
        table=Table(numbers, NUMBERS, categories, CATEGORIES),
        target=np.column_stack([samples.target[:, 0], second]),
    )


def without(samples: Samples, **masked: np.ndarray) -> Samples:
    """Return samples whose videos in `masked[MODALITY]` (n,) bool lack the modality."""
    features = {name: getattr(samples.features, name) for name in ("visual", "acoustic", "text", "temporal")}
    for name, gone in masked.items():
        features[name] = Rows(features[name].values, features[name].mask & ~gone[:, None])
    return replace(samples, features=VideoFeatures(**features))


def padded(samples: Samples) -> Samples:
    """Return samples with one more row per video and modality, which is masked and full of rubbish."""
    features = {}
    for name in ("visual", "acoustic", "text", "temporal"):
        rows = getattr(samples.features, name)
        more = np.full((len(rows), 1, rows.width), np.nan, np.float32)
        features[name] = Rows(np.concatenate([rows.values, more], 1), np.pad(rows.mask, ((0, 0), (0, 1))))
    return replace(samples, features=VideoFeatures(**features))


def twice(samples: Samples, *, factor: float) -> Samples:
    """Return samples with a second window per video, whose counts are another multiple of the first window's."""
    counts = [name in ("events", "events_log2", "age_hours") for name in samples.table.numeric_names]
    second = replace(samples.table, numeric=np.where(counts, factor * samples.table.numeric, samples.table.numeric))
    rows = np.tile(np.arange(len(samples)), 2)
    table = Table(
        np.concatenate([samples.table.numeric, second.numeric]),
        samples.table.numeric_names,
        samples.table.take(rows).categorical,
        samples.table.categorical_names,
    )
    return replace(
        samples,
        items=samples.items[rows],
        features=samples.features.take(rows),
        neighbourhood=samples.neighbourhood.take(rows),
        target=samples.target[rows],
        share=np.repeat([0.5, 0.5], len(samples)),
        table=table,
    )
