"""Independent random streams, one per purpose and scene, so that no stream depends on how much another one draws."""

import numpy as np

STREAMS = (
    "plan",
    "scene",
    "sound",
    "process",
    "events",
    "audience",
    "user",
    "rows",
    "title",
    "authors",
    "views",
    "split",
)


def generator(seed: int, stream: str, item: int = 0) -> np.random.Generator:
    """Return the generator of a stream (one of `STREAMS`) for a seed and an item."""
    return np.random.default_rng([seed, STREAMS.index(stream), item])
