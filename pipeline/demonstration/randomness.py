"""Random streams of the set, one for each purpose and each scene: none depends on how much another draws."""

import numpy as np

STREAMS = ("plan", "scene", "sound", "process", "events", "audience", "user", "rows", "title")


def generator(seed: int, stream: str, item: int = 0) -> np.random.Generator:
    """The generator of a stream (one of `STREAMS`) of the set with this seed."""
    return np.random.default_rng([seed, STREAMS.index(stream), item])
