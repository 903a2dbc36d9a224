"""The content of all posts in the order of their publication, for predictors that read the posts before a video."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import polars as pl

from assets.embeddings import text_embeddings, visual_embeddings
from assets.engine.packed_rows import packed_rows
from assets.metadata import metadata_features
from assets.metadata.author_history import published_by
from assets.metadata.item_metadata import item_metadata
from assets.prediction.trained_models import trained_models
from assets.protocol.observation import HOUR_MS
from assets.settings import Metadata, Settings
from models.predictor_table import predictor_class
from models.predictors import EarlierPosts, PublishedPosts
from models.predictors.content_components import mean_rows
from storage.hashing import content_hash, row_hashes
from storage.store import Store

CONTENT = {"visual": visual_embeddings.NAME, "text": text_embeddings.NAME}


def posts_are_read(settings: Settings) -> bool:
    """Return whether a predictor of `model.train` reads earlier posts."""
    names = {model.predictor for model in trained_models(settings)}
    return any(predictor_class(name).reads_posts for name in names)


def earlier_posts(store: Store, settings: Settings, items: Sequence[str]) -> EarlierPosts:
    """Return the posts up to each item's own; see `published_posts`.

    Args:
        store: The store.
        settings: `metadata.time_zone` is that of the calendar.
        items: (n,) ids; an item may occur several times.
    """
    rows, posts = published_posts(store, settings)
    return EarlierPosts(posts, np.array([rows[item] for item in items], np.int64))


def published_posts(store: Store, settings: Settings) -> tuple[dict[str, int], PublishedPosts]:
    """Return the row of each item, in the order of the rows, and all posts.

    Posts of every split count, those of the gap and those without a label too, since only their content is read. Feedback
    and labels take no part. The order is that of t = 0, and of the data set for equal times. A post that failed in an
    embedding stage has no content there. The samples of every split and age share one copy.

    Args:
        store: The store.
        settings: `metadata.time_zone` is that of the calendar.
    """
    return _published_posts(store.root, posts_digest(store), settings.metadata.time_zone)


def posts_digest(store: Store) -> str:
    """Return a hash of all that `published_posts` reads of the store."""
    frame = published_by(store)
    for name in (metadata_features.NAME, *CONTENT.values()):
        states = store.stages()[name].states().select("item", pl.col("output_hash").alias(name))
        frame = frame.join(states, on="item", how="left", maintain_order="left")
    return content_hash(row_hashes(frame))


@lru_cache(maxsize=1)
def _published_posts(root: Path, digest: str, time_zone: str) -> tuple[dict[str, int], PublishedPosts]:
    """Return what `published_posts` returns.

    Args:
        root: The store's folder.
        digest: From `posts_digest`; another digest means that the posts have changed.
        time_zone: Time zone of the calendar.
    """
    store = Store(root)
    categories = item_metadata(store, Metadata()).select("item", pl.col("^category_\\d+$"))
    frame = published_by(store).sort("t0", nulls_last=True, maintain_order=True)
    frame = frame.join(categories, on="item", how="left", maintain_order="left")
    items, (author, authors) = frame["item"].to_list(), _codes(frame["author"])
    levels = [_codes(frame[name]) for name in categories.columns[1:]]
    local = pl.from_epoch("t0", time_unit="ms").dt.replace_time_zone("UTC").dt.convert_time_zone(time_zone).dt
    calendar = frame.select(local.month().alias("month"), local.day().alias("day"), local.hour().alias("hour"))
    posts = PublishedPosts(
        time=frame["t0"].to_numpy().astype(np.float64) / HOUR_MS,
        content={
            name: mean_rows(packed_rows(store, store.stages()[stage], items), dtype=np.float32)
            for name, stage in CONTENT.items()
        },
        calendar=calendar.fill_null(-1).to_numpy().astype(np.int64),
        author=author,
        authors=authors,
        category=np.column_stack([np.zeros((len(items), 0), np.int64), *(codes + 1 for codes, _ in levels)]),
        categories=tuple(names for _, names in levels),
    )
    return {item: row for row, item in enumerate(items)}, posts


def _codes(texts: pl.Series) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return the place of each text among the different ones, -1 for null; and the different ones, sorted."""
    names = texts.drop_nulls().unique().sort().to_list()
    places = {name: place for place, name in enumerate(names)}
    return np.array([places.get(text, -1) for text in texts.to_list()], np.int64), tuple(names)
