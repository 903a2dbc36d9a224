"""The split that comes with the set: 40 % of the videos for training, 10 % for validation, half for testing.

Testing is far cheaper than training, and a large test part makes the metrics' intervals short.
"""

from collections.abc import Sequence

import numpy as np
import polars as pl

from pipeline.demonstration.plan import Video

SHARES = {"train": 0.4, "val": 0.1, "test": 0.5}


def draw(videos: Sequence[Video], rng: np.random.Generator) -> pl.DataFrame:
    """Return `item`, `split` of every video. A re-upload is on the side of its original.

    New uploads have no label by default. A protocol that gives them one tests on them.
    """
    own = [video.item for video in videos if not video.upload and video.original == video.item]
    share = (rng.permutation(len(own)) + 0.5) / len(own)
    sides = np.array(list(SHARES))[np.searchsorted(np.cumsum(list(SHARES.values()))[:-1], share)]
    drawn = dict(zip(own, sides.tolist(), strict=True))
    return pl.DataFrame(
        {"item": [v.item for v in videos], "split": [drawn.get(v.original, "test") for v in videos]},
    )
