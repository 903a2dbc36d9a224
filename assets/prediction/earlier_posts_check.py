"""The check that no predictor reads a post that was published later than the one it forecasts."""

from collections.abc import Sequence

import dagster as dg
import numpy as np
import polars as pl

from assets.engine.skip_unchanged import stage_marks, table_marks, verdict_stands
from assets.engine.store_access import open_store
from assets.metadata import author_history
from assets.metadata.author_history import published_by
from assets.prediction.popularity_model import popularity_model
from assets.prediction.published_posts import posts_are_read, published_posts
from assets.protocol.labels import NAME as LABELS
from assets.settings import Settings
from models.predictors import EarlierPosts

LENGTH = 64  # posts per sequence that are compared


@dg.asset_check(asset=popularity_model, blocking=True)
@verdict_stands(
    "earlier_posts_were_published_before",
    reads=lambda store, settings: [
        *stage_marks(store),
        *table_marks(store, "popularity", LABELS, author_history.NAME),
    ],
)
def earlier_posts_were_published_before(settings: Settings) -> dg.AssetCheckResult:
    """Every earlier post has an earlier t = 0, or the same and an earlier place in the data set (docs/protocol.md)."""
    if not posts_are_read(settings):
        return dg.AssetCheckResult(passed=True, metadata={"posts": 0})
    store = open_store(settings)
    rows, posts = published_posts(store, settings)
    return check_earlier_posts(list(rows), EarlierPosts(posts, np.arange(len(posts))), published_by(store))


def check_earlier_posts(items: Sequence[str], earlier: EarlierPosts, videos: pl.DataFrame) -> dg.AssetCheckResult:
    """Compare the posts before each post with the raw times and authors.

    Args:
        items: Id of each post.
        earlier: One window per post, in the same order.
        videos: `item`, `author`, `t0` (ms), in the order of the data set.
    """
    raw = pl.DataFrame({"item": items}).join(
        videos.with_row_index("place"), on="item", how="left", maintain_order="left"
    )
    place, time = raw["place"].to_numpy(), raw["t0"].cast(pl.Float64).fill_null(np.nan).to_numpy()
    author, own = raw["author"].to_numpy(), earlier.own[:, None]
    wrong = np.zeros(len(items), bool)
    for sequence, same_author in ((earlier.of_anybody(LENGTH), False), (earlier.of_the_author(LENGTH), True)):
        before = (time[sequence] < time[own]) | ((time[sequence] == time[own]) & (place[sequence] < place[own]))
        if same_author:
            before &= author[sequence] == author[own]
        wrong |= ((sequence >= 0) & (sequence != own) & ~before).any(1)
    names = [items[row] for row in np.flatnonzero(wrong)]
    return dg.AssetCheckResult(
        passed=not names,
        metadata={"posts": len(items), "wrong": len(names), "first": dg.MetadataValue.json(sorted(names)[:10])},
    )
